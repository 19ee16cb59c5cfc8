"""The folder of a finetuned model: files as large as the base's."""

from families import FAMILIES

from laser_lit.export.origin import Origin
from laser_lit.lit.trained_model import save_trained
from laser_lit.models.content import content_hash
from laser_lit.models.load import load_weights

RECORD = {
    "unfrozen": {"names": ["model.norm.weight"], "trained": 16, "total": 99},
    "data": {"name": "text", "revision": "r"},
    "validation_loss": {"first": 2.0, "last": 1.0},
    "train_loss": {"first": 2.0, "last": 1.0},
    "steps": 3,
}


class Tokenizer:
    def save_pretrained(self, folder):
        (folder / "tokenizer.json").write_text("{}")


def test_several_files_stay_several_and_a_tokenizer_is_there(tmp_path):
    model = FAMILIES["llama"]()
    model.save_pretrained(tmp_path / "base", max_shard_size=8000)
    save_trained(tmp_path / "new", model, Tokenizer(), Origin.at(tmp_path / "base"), RECORD)
    sizes = [max(file.stat().st_size for file in (tmp_path / name).glob("*.safetensors")) for name in ("base", "new")]
    assert sizes[0] / 2 < sizes[1] < 1.5 * sizes[0]
    assert len(list((tmp_path / "new").glob("*.safetensors"))) > 1
    assert (tmp_path / "new" / "tokenizer.json").is_file()
    assert content_hash(load_weights(tmp_path / "new")) == content_hash(model)
