import json
import multiprocessing
import os
from dataclasses import replace

import pytest
import torch
from lightning import Callback
from omegaconf import OmegaConf
from transformers import AutoModelForCausalLM, AutoTokenizer, GPTJForCausalLM

from laser_lit.data.facts import FactsConfig, facts_examples
from laser_lit.errors import InputError
from laser_lit.lit import facts_training
from laser_lit.lit.facts_folder import FILES, is_complete
from laser_lit.lit.facts_training import FactsTraining, ensure_facts_model, facts_checkpoint, train_facts

TINY = FactsTraining(layers=1, width=16, heads=2, steps=3, batch_size=8, warmup=1, world=FactsConfig(subjects=5))


def weights(folder):
    return AutoModelForCausalLM.from_pretrained(folder).state_dict()


def same(one, two):
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def test_the_checkpoint_is_an_ordinary_one(tmp_path):
    record = train_facts(TINY, tmp_path / "model", progress=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model"]
    assert is_complete(tmp_path / "model")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    assert isinstance(model, GPTJForCausalLM)
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "model")
    example = facts_examples(TINY.world).examples[0]
    assert len(tokenizer(example.prompt + " " + example.answer)["input_ids"]) == len(example.prompt.split()) + 1
    assert model.config.vocab_size == len(tokenizer)
    assert record == json.loads((tmp_path / "model" / "training.json").read_text())
    assert record["training"]["world"]["subjects"] == 5
    assert record["parameters"] == model.num_parameters()
    modes = {(tmp_path / "model" / name).stat().st_mode & 0o777 for name in FILES}
    assert modes == {0o644}


def test_counts_cover_every_sentence(tmp_path):
    train_facts(TINY, tmp_path / "model", progress=False)
    counts = json.loads((tmp_path / "model" / "counts.json").read_text())
    assert set(counts) == {example.group for example in facts_examples(TINY.world).examples}
    assert sum(count["true"] + count["noisy"] for count in counts.values()) == 3 * 8


def test_the_seed_decides_everything_and_the_callers_random_state_is_left(tmp_path):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    train_facts(TINY, tmp_path / "one", progress=False)
    assert torch.equal(torch.rand(3), expected)
    train_facts(TINY, tmp_path / "two", progress=False)
    train_facts(replace(TINY, seed=1), tmp_path / "other", progress=False)
    assert same(weights(tmp_path / "one"), weights(tmp_path / "two"))
    assert not same(weights(tmp_path / "one"), weights(tmp_path / "other"))


def test_the_number_of_threads_changes_nothing(tmp_path):
    train_facts(TINY, tmp_path / "one", progress=False)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        train_facts(TINY, tmp_path / "two", progress=False)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert same(weights(tmp_path / "one"), weights(tmp_path / "two"))


def test_each_step_trains_on_one_batch(tmp_path):
    class Steps(Callback):
        def on_train_end(self, trainer, module):
            self.steps = trainer.global_step

    steps = Steps()
    train_facts(TINY, tmp_path / "model", progress=False, callbacks=[steps])
    assert steps.steps == 3


def test_every_setting_has_its_own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("LASER_LIT_CACHE", str(tmp_path))
    settings = [TINY, replace(TINY, steps=4), replace(TINY, world=replace(TINY.world, noise=0.38))]
    folders = [facts_checkpoint(setting) for setting in settings]
    assert len(set(folders)) == 3
    assert {folder.parent for folder in folders} == {tmp_path / "models"}
    assert facts_checkpoint(replace(TINY)) == folders[0]


def test_a_missing_model_is_trained_once_and_one_line_says_so(capsys):
    config = OmegaConf.create(
        {**{name: value for name, value in vars(TINY).items() if name != "world"}, "world": vars(TINY.world)}
    )
    folder = ensure_facts_model(config, progress=False)
    assert folder == facts_checkpoint(TINY)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("Training the built-in facts model (3 steps")
    before = (folder / "training.json").stat().st_mtime_ns
    assert ensure_facts_model(TINY, progress=False) == folder
    assert (folder / "training.json").stat().st_mtime_ns == before
    assert capsys.readouterr().out == ""


def test_an_incomplete_folder_is_replaced():
    folder = ensure_facts_model(TINY, progress=False)
    (folder / "model.safetensors").unlink()
    assert not is_complete(folder)
    ensure_facts_model(TINY, progress=False)
    assert is_complete(folder)
    assert [path.name for path in folder.parent.iterdir() if path.is_dir()] == [folder.name]


def test_a_failed_training_leaves_no_folder(tmp_path, monkeypatch):
    def full(*args):
        raise OSError("no space left on device")

    monkeypatch.setattr(facts_training, "count_facts", lambda *args: {"x": full()})
    with pytest.raises(OSError, match="no space"):
        train_facts(TINY, tmp_path / "model", progress=False)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_was_complete_first_stays(tmp_path):
    train_facts(TINY, tmp_path / "model", progress=False)
    first = (tmp_path / "model" / "training.json").read_text()
    train_facts(TINY, tmp_path / "model", progress=False)
    assert (tmp_path / "model" / "training.json").read_text() == first
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model"]


def _ensure(cache, trained):
    os.environ["LASER_LIT_CACHE"] = cache
    torch.set_num_threads(1)
    original = facts_training.train_facts

    def counted(*args, **kwargs):
        trained.put(os.getpid())
        return original(*args, **kwargs)

    facts_training.train_facts = counted
    folder = ensure_facts_model(TINY, progress=False)
    trained.put(is_complete(folder))


@pytest.mark.slow
def test_of_several_processes_one_trains(tmp_path):
    context = multiprocessing.get_context("spawn")
    trained = context.Queue()
    processes = [context.Process(target=_ensure, args=(str(tmp_path), trained)) for _ in range(3)]
    for process in processes:
        process.start()
    said = [trained.get(timeout=120) for _ in range(4)]
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert said.count(True) == 3
    assert trained.empty()


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("steps", 0, "model.facts.steps 0"),
        ("width", 60, "a multiple of 4 \\* model.facts.heads = 16"),
        ("seed", -1, "at least 0"),
        ("warmup", -1, "at least 0"),
        ("learning_rate", 0.0, "above 0"),
    ],
)
def test_wrong_values_are_refused(field, value, message):
    with pytest.raises(InputError, match=message):
        FactsTraining(**{field: value})
