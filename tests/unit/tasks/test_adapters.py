"""A language task under interventions and under a LoRA, with and without edits of its weights."""

import pytest
import torch
from checkpoints import data_arguments, save_checkpoint, save_data
from interventions import saved_lora, saved_reft, strong
from weight_bits import bits, differing

from laser_lit.data.registry import load_data
from laser_lit.edits.edit import Edit
from laser_lit.edits.stack import Stack
from laser_lit.errors import InputError
from laser_lit.models.load import load_weights
from laser_lit.reft.adapter import ReftAdapter, load_adapter
from laser_lit.reft.saving import save_reft
from laser_lit.tasks.language import LanguageTask

STACK = Stack([Edit(1, "mlp", rank=2)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_checkpoint(tmp_path_factory.mktemp("model") / "small")


@pytest.fixture(scope="module")
def masked(tmp_path_factory):
    return save_checkpoint(tmp_path_factory.mktemp("model") / "masked", "bert")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return data_arguments(save_data(tmp_path_factory.mktemp("data")))


@pytest.fixture(scope="module")
def reft(folder, tmp_path_factory):
    """Returns the folder of interventions on the small model."""
    return saved_reft(folder, tmp_path_factory.mktemp("trained") / "reft")


@pytest.fixture(scope="module")
def lora(folder, tmp_path_factory):
    """Returns the folder of a LoRA on the small model."""
    return saved_lora(folder, tmp_path_factory.mktemp("trained") / "lora")


@pytest.fixture
def task(composed, files):
    """Returns a maker of tasks: the model's folder, kind of data, overrides."""

    def make(model, kind="token", *overrides):
        line = ["model=local", f"model.path={model}", *files[kind], "trainer=cpu", "trainer.progress_bar=false"]
        config = composed(*line, *overrides)
        return LanguageTask(config, load_data(config.data))

    return make


@pytest.mark.parametrize("kind", ["token", "choice", "generate", "text"])
def test_each_variant_is_itself_and_the_model_is_as_it_was(task, folder, reft, lora, kind):
    made = task(folder, kind)
    before = bits(made.model)
    base = made.score(None, "test")
    tables = {"laser": made.score(STACK, "test")}
    for name, adapter in (("reft", load_adapter(reft)), ("lora", load_adapter(lora))):
        tables |= {name: made.score(None, "test", adapter), f"laser_{name}": made.score(STACK, "test", adapter)}
    for table in tables.values():
        assert list(table["id"]) == list(base["id"])
        assert not table["log_loss"].equals(base["log_loss"])
    assert not tables["laser_lora"]["log_loss"].equals(tables["lora"]["log_loss"])
    assert not tables["laser_reft"]["log_loss"].equals(tables["laser"]["log_loss"])
    assert made.score(None, "test").equals(base)
    assert not differing(before, made.model)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in made.model.modules())


def test_of_text_only_windows_that_begin_with_context_have_a_prompt(task, folder, reft):
    made = task(folder, "text")
    base, table = made.score(None, "test"), made.score(None, "test", load_adapter(reft))
    context = [request.reads[0] > 0 for request in made.parts["test"].requests]
    assert list(table["log_loss"] != base["log_loss"]) == context
    assert context.count(True) == 1  # the last window reaches back to be a whole one


@pytest.mark.parametrize("kind", ["token", "choice", "generate"])
def test_batches_and_padding_change_nothing(task, folder, reft, kind):
    adapter = load_adapter(reft)
    first = task(folder, kind).score(STACK, "test", adapter)
    for overrides in (("batch_size=1",), ("batch_size=7", "padding=left")):
        other = task(folder, kind, *overrides).score(STACK, "test", adapter)
        assert other["log_loss"].to_numpy() == pytest.approx(first["log_loss"].to_numpy(), abs=1e-5)
        assert other["prediction"].equals(first["prediction"])


def test_a_lora_is_added_to_the_edited_base(task, folder, lora):
    made, adapter = task(folder), load_adapter(lora)
    found = made.score(STACK, "test", adapter)
    with torch.no_grad():
        STACK.apply(made.model)
        for pair in adapter.pairs:
            made.model.get_submodule(pair.module).weight += pair.scale * pair.B @ pair.A
    expected = made.score(None, "test")
    assert found["log_loss"].to_numpy() == pytest.approx(expected["log_loss"].to_numpy(), abs=1e-5)


def test_a_masked_model_is_edited_at_both_ends_of_its_sequences(task, masked):
    made = task(masked, "token")
    adapter = ReftAdapter(strong(made.model, positions="l1"))
    assert not made.score(None, "test", adapter)["log_loss"].equals(made.score(None, "test")["log_loss"])


def test_strength_0_is_the_base_and_a_wrong_model_is_named(task, folder, masked, reft):
    made = task(folder)
    assert made.score(None, "test", load_adapter(reft, 0.0)).equals(made.score(None, "test"))
    with pytest.raises(InputError, match=r"made for a model \(gptj"):
        load_adapter(reft).check(task(masked).model)


def test_interventions_are_in_eval_mode_while_they_score_and_as_they_were_afterwards(task, folder):
    made = task(folder)
    reft = strong(made.model, dropout=0.5, positions="l1").train()
    adapter = ReftAdapter(reft)
    assert made.score(None, "test", adapter).equals(made.score(None, "test", adapter))
    assert reft.training
    assert all(edit.training for edit in reft.edits)


def test_an_attachment_that_fails_leaves_the_weights(task, folder, reft, monkeypatch):
    made, adapter = task(folder), load_adapter(reft)
    before = bits(made.model)
    monkeypatch.setattr(type(adapter.reft), "check", lambda *_: (_ for _ in ()).throw(InputError("no")))
    with pytest.raises(InputError, match="no"):
        made.score(STACK, "test", adapter)
    assert not differing(before, made.model)


def test_the_content_of_an_adapter_is_what_it_does(folder, reft, lora, tmp_path):
    model = load_weights(folder)
    one, other = strong(model, positions="f1+l1"), strong(model, positions="l1")
    for n, made in enumerate((one, other)):
        save_reft(made, tmp_path / str(n), {"note": n})
    again, different = load_adapter(tmp_path / "0", 2.0), load_adapter(tmp_path / "1")
    known = load_adapter(reft)
    assert known.content == again.content != different.content
    assert known.label == "ReFT"
    assert known.parameter_count == one.parameter_count
    assert known.describe()["types"] == ["loreft"]
    assert known.describe()["interventions"][0]["positions"] == "f1+l1"
    with torch.no_grad():
        next(one.parameters()).view(-1)[-1] += 1
    assert ReftAdapter(one).content != known.content
    assert load_adapter(lora).content != known.content


def test_folders_that_hold_no_adapter(folder, tmp_path):
    with pytest.raises(InputError, match=r"no folder .*nowhere: give one that train.py task=reft wrote"):
        load_adapter(tmp_path / "nowhere")
    with pytest.raises(InputError, match="is a model's folder"):
        load_adapter(folder)
