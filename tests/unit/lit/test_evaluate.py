"""Scoring under Lightning."""

import pytest
import torch
from checkpoints import data_arguments, save_checkpoint, save_data
from torch import distributed

from laser_lit.config_data import config_folder
from laser_lit.data.module import RequestModule
from laser_lit.data.registry import load_data, named_config
from laser_lit.errors import InputError
from laser_lit.lit.evaluate import EvaluationModule
from laser_lit.lit.trainer import make_trainer
from laser_lit.models.load import load_model
from laser_lit.scoring.batches import Batches
from laser_lit.scoring.forward import score_batch
from laser_lit.scoring.requests import encode


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    """Returns a model, its requests, and a maker of their batches."""
    model, tokenizer = load_model(save_checkpoint(tmp_path_factory.mktemp("model") / "small"))
    path = data_arguments(save_data(tmp_path_factory.mktemp("data")))["token"][1].removeprefix("data.path=")
    requests = encode(load_data(named_config("counterfact", config_folder(), path=path)), tokenizer)
    return model, requests, lambda size: Batches(requests, 0, size)


@pytest.fixture
def trainer(composed):
    return make_trainer(composed("trainer=cpu", "trainer.progress_bar=false").trainer)


def test_every_request_has_one_score_and_a_new_test_starts_anew(scored, trainer):
    model, requests, batches = scored
    module = EvaluationModule(model)
    for size in (5, 64):
        trainer.test(module, datamodule=RequestModule(batches(size)), verbose=False)
        assert sorted(score.number for score in module.scores) == list(range(len(requests)))
        assert module.gathered_scores() == module.scores


def test_scores_are_those_without_lightning(scored, trainer):
    model, _, batches = scored
    module = EvaluationModule(model)
    trainer.test(module, datamodule=RequestModule(batches(7)), verbose=False)
    expected = [score for batch in batches(7) for score in score_batch(model, batch)]
    assert [score.log_probs for score in module.scores] == [score.log_probs for score in expected]


def test_logits_on_request(scored, trainer):
    model, _, batches = scored
    module = EvaluationModule(model)
    trainer.test(module, datamodule=RequestModule(batches(64)), verbose=False)
    assert all(score.logits is None for score in module.scores)
    module.keep_logits = True
    trainer.test(module, datamodule=RequestModule(batches(64)), verbose=False)
    assert all(len(score.logits) == 96 for score in module.scores)


def test_lightning_does_not_see_the_model(scored):
    module = EvaluationModule(scored[0])
    assert list(module.parameters()) == []


def test_a_model_that_accelerate_has_placed_is_not_moved(scored, trainer, monkeypatch):
    model, _, batches = scored
    monkeypatch.setattr(model, "hf_device_map", {"": 0}, raising=False)
    monkeypatch.setattr(model, "to", lambda *args: pytest.fail("moved"))
    trainer.test(EvaluationModule(model), datamodule=RequestModule(batches(64)), verbose=False)


def test_scores_of_several_processes(scored, monkeypatch):
    module = EvaluationModule(scored[0])
    module._scores = ["mine"]

    def gather(found, mine):
        found[:] = [mine, [], ["theirs"]]

    monkeypatch.setattr(distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(distributed, "get_world_size", lambda: 3)
    monkeypatch.setattr(distributed, "all_gather_object", gather)
    assert module.gathered_scores() == ["mine", "theirs"]

    def fail(found, mine):
        raise RuntimeError("Connection closed by peer")

    monkeypatch.setattr(distributed, "all_gather_object", fail)
    with pytest.raises(InputError, match="another process of this run has failed"):
        module.gathered_scores()


def test_weights_are_on_the_device_of_the_process(scored, trainer):
    model, _, batches = scored
    trainer.test(EvaluationModule(model), datamodule=RequestModule(batches(64)), verbose=False)
    assert {weight.device for weight in model.parameters()} == {torch.device("cpu")}
