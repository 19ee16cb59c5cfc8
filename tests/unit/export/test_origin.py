"""What comes along from the model that was edited, and from where."""

import shutil

import pytest
from checkpoints import save_checkpoint

from laser_lit.edits.edit import Edit
from laser_lit.edits.stack import Stack
from laser_lit.export.origin import Origin
from laser_lit.export.write import export_model
from laser_lit.models.load import load_model, load_tokenizer, load_weights

STACK = Stack([Edit(0, "fc_in", rank=2)])


@pytest.fixture
def source(tmp_path):
    return save_checkpoint(tmp_path / "source")


def test_all_chat_templates_come_along(source, tmp_path):
    (source / "chat_template.jinja").write_text("one")
    (source / "additional_chat_templates").mkdir()
    (source / "additional_chat_templates" / "tool.jinja").write_text("two")
    export_model(load_weights(source), STACK, tmp_path / "out")
    assert load_tokenizer(tmp_path / "out").chat_template == {"default": "one", "tool": "two"}


def test_what_is_beside_the_weights_and_what_is_left(source, tmp_path):
    kept = {"LICENSE", "vocab.txt", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "modeling.py"}
    left = {
        *("pytorch_model.bin", "model.fp16.safetensors", "consolidated.00.pth", "pytorch_model.bin.index.json"),
        *("tf_model.h5", "README.md", "stack.yaml", "stack.bases.safetensors", ".gitattributes", "optimizer.pt"),
    }
    for name in kept | left:
        if not (source / name).exists():
            (source / name).write_text("x")
    (tmp_path / "out").mkdir()
    assert set(Origin.at(source).copy_to(tmp_path / "out")) == kept
    assert {path.name for path in (tmp_path / "out").iterdir()} == kept


@pytest.mark.parametrize("name", ["gone", "my model!"])
def test_a_model_whose_folder_has_gone_is_exported_all_the_same(source, tmp_path, name):
    model, tokenizer = load_model(source)
    if name == "gone":
        shutil.move(source, tmp_path / "elsewhere")
    else:
        model.name_or_path = name
    export_model(model, STACK, tmp_path / "out", tokenizer=tokenizer)
    assert load_tokenizer(tmp_path / "out")("w1 w2").input_ids == tokenizer("w1 w2").input_ids
    card = (tmp_path / "out" / "README.md").read_text()
    assert f"# {'source' if name == 'gone' else name}, edited" in card
    assert "base_model" not in card


def test_a_tokenizer_is_saved_where_the_folder_has_none(source, tmp_path):
    model, tokenizer = load_model(source)
    for file in source.glob("tokenizer*"):
        file.unlink()
    assert (source / "generation_config.json").is_file()
    export_model(model, STACK, tmp_path / "out", tokenizer=tokenizer)
    assert load_tokenizer(tmp_path / "out")("w1 w2").input_ids == tokenizer("w1 w2").input_ids
