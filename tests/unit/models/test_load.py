import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from families import FAMILIES
from huggingface_hub import constants
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from torch import nn
from transformers import PreTrainedTokenizerFast
from transformers.utils import logging as transformers_logging

from laser_lit.errors import InputError
from laser_lit.models import source
from laser_lit.models.content import content_hash
from laser_lit.models.load import load_model, load_tokenizer, load_weights

Saved = Callable[[str], Path]


@pytest.fixture
def saved(tmp_path: Path) -> Saved:
    """Returns a function that saves a family's tiny model with a tokenizer and returns the folder."""

    def save(family: str, pad: str | None = None) -> Path:
        model: nn.Module = FAMILIES[family]()
        model.save_pretrained(tmp_path / family)
        words = {f"w{i}": i for i in range(3, 64)} | {"<s>": 0, "</s>": 1, "<pad>": 2}
        tokenizer = Tokenizer(WordLevel(words, unk_token="w3"))
        PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="</s>", pad_token=pad).save_pretrained(
            tmp_path / family
        )
        return tmp_path / family

    return save


def change_config(folder: Path, **fields: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def test_a_saved_model_comes_back_in_eval_mode(saved: Saved) -> None:
    folder = saved("llama")
    model, tokenizer = load_model(folder)
    assert type(model).__name__ == "LlamaForCausalLM"
    assert not model.training
    assert model.dtype == torch.float32
    assert content_hash(model) == content_hash(FAMILIES["llama"]())
    assert tokenizer.pad_token == "</s>"
    assert len(tokenizer) == model.config.vocab_size


def test_the_tokenizers_own_padding_is_kept(tmp_path: Path, saved: Saved) -> None:
    assert load_tokenizer(saved("llama", pad="<pad>")).pad_token == "<pad>"


@pytest.mark.parametrize(
    ("family", "kind", "head"),
    [
        ("gpt2", None, "GPT2LMHeadModel"),
        ("bert", None, "BertForMaskedLM"),
        ("roberta", None, "RobertaForMaskedLM"),
        ("deberta_v2", None, "DebertaV2ForMaskedLM"),
        ("bert", "masked", "BertForMaskedLM"),
        ("t5", "seq2seq", "T5ForConditionalGeneration"),
    ],
)
def test_the_head_follows_the_config(saved: Saved, family: str, kind: str | None, head: str) -> None:
    assert type(load_weights(saved(family), kind=kind)).__name__ == head


def test_types_are_kept_or_cast(saved: Saved) -> None:
    folder = saved("llama")
    load_weights(folder, dtype="bfloat16").save_pretrained(folder)
    assert load_weights(folder).dtype == torch.bfloat16
    assert load_weights(folder, dtype="float16").dtype == torch.float16
    assert load_weights(folder, dtype="float32", device_map="cpu").dtype == torch.float32


@pytest.mark.parametrize(
    ("family", "words", "message"),
    [
        ("t5", {}, r"is an encoder-decoder model \(t5\), which language scoring does not cover; kind='seq2seq'"),
        ("gpt2", {"kind": "masked"}, r"\(gpt2\) has no masked head; use kind=causal"),
        ("gpt2", {"kind": "seq2seq"}, r"has no seq2seq head; use kind=causal"),
        ("gpt2", {"kind": "causl"}, r"unknown kind 'causl'; nearest: causal"),
        ("gpt2", {"dtype": "float8"}, r"unknown dtype 'float8'; nearest: float32, float16"),
        ("vit", {}, r"is not a language model: transformers has no LM head for 'vit'"),
    ],
)
def test_what_cannot_be_loaded_so_is_refused(saved: Saved, family: str, words: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_weights(saved(family), **words)


def edit_weights(folder: Path, drop: str = "", **add: torch.Tensor) -> None:
    weights = load_file(folder / "model.safetensors")
    save_file({k: v for k, v in weights.items() if k != drop} | add, folder / "model.safetensors", {"format": "pt"})


def test_missing_weights_are_not_made_up(saved: Saved) -> None:
    folder = saved("llama")
    edit_weights(folder, drop="model.layers.1.mlp.up_proj.weight")
    with pytest.raises(InputError, match=r"lacks weights, which would be random as LlamaForCausalLM: model\.layers\.1"):
        load_weights(folder)


def test_weights_left_over_are_an_error_unless_known_to_be_harmless(saved: Saved) -> None:
    folder = saved("llama")
    edit_weights(folder, **{"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(2)})
    load_weights(folder)
    edit_weights(folder, **{"model.layers.2.mlp.up_proj.weight": torch.ones(24, 16)})
    with pytest.raises(InputError, match=r"has weights that the model does not use as Llama.*layers\.2\.mlp\.up_proj"):
        load_weights(folder)


def test_a_config_of_another_shape_is_an_error(saved: Saved) -> None:
    folder = saved("llama")
    change_config(folder, intermediate_size=32)
    with pytest.raises(InputError, match=r"do not fit its config\.json|has weights of other shapes"):
        load_weights(folder)


def test_broken_files_are_named(saved: Saved, tmp_path: Path) -> None:
    folder = saved("llama")
    verbosity = transformers_logging.get_verbosity()
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"a weight file of .*llama is broken"):
        load_weights(folder)
    weights.unlink()
    with pytest.raises(InputError, match=r"cannot load .*model\.safetensors"):
        load_weights(folder)
    change_config(folder, model_type="nonsense")
    with pytest.raises(InputError, match=r"cannot load .*nonsense"):
        load_weights(folder)
    (folder / "config.json").write_text("{")
    with pytest.raises(InputError, match=r"cannot load "):
        load_weights(folder)
    assert transformers_logging.get_verbosity() == verbosity


def test_a_folder_without_tokenizer_says_so(saved: Saved) -> None:
    folder = saved("gptj")
    (folder / "tokenizer.json").unlink()
    message = "has no tokenizer; save one there"
    with pytest.raises(InputError, match=message):
        load_model(folder)
    (folder / "tokenizer_config.json").unlink()
    with pytest.raises(InputError, match=message):
        load_tokenizer(folder)


def test_places_without_a_model(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no model folder at .*nowhere, and it is not an id of the hub"):
        load_model(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"is a folder without config\.json"):
        load_model(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="is a file; give the model's folder"):
        load_model(tmp_path / "file")


def test_no_hub_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        InputError, match=r"owner/name is no folder here and not in the hub's cache, and HF_HUB_OFFLINE forbids .*DIR"
    ):
        load_weights("owner/name")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(
        InputError,
        match=r"owner/name is no folder here and not in the hub's cache, and http://127.0.0.1:9 cannot be reach",
    ):
        load_model("owner/name")


def test_a_relative_folder_is_a_folder(saved: Saved, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.move(saved("gpt2"), tmp_path / "here")
    monkeypatch.chdir(tmp_path)
    assert source.find_source("here").folder == Path("here")
    assert load_weights("./here").config.model_type == "gpt2"
    with pytest.raises(InputError, match=r"no model folder at \./there"):
        load_weights("./there")
