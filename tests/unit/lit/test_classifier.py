"""Classifiers: interventions and head train and nothing else; rows, losses and predictions of labels and scores."""

import numpy as np
import pytest
import torch
import transformers
from checkpoints import save_checkpoint
from glue_files import save_glue
from lightning.pytorch.loggers import CSVLogger

from laser_lit.config import TrainerConfig
from laser_lit.config_finetune import FinetuneConfig
from laser_lit.data.registry import load_data
from laser_lit.errors import InputError
from laser_lit.jobs.reft_glue import split_parts
from laser_lit.lit.classifier import ClassifierModule, Text, TextRows, labelled_texts, make_classifier, predict
from laser_lit.lit.finetuning import Finetuning
from laser_lit.models.classifier import load_classifier_weights
from laser_lit.models.load import load_tokenizer
from laser_lit.reft.head import load_classifier
from laser_lit.reft.intervention import Intervention

CPU = TrainerConfig(accelerator="cpu", progress_bar=False)
SETTINGS = FinetuneConfig(steps=8, batch_size=4, accumulate=2, learning_rate=1e-2, warmup=0, save_every=2)
SAID = [Intervention(layer="all", rank=1, positions="f1", dropout=0.1)]


@pytest.fixture(scope="module")
def roberta(tmp_path_factory):
    return save_checkpoint(tmp_path_factory.mktemp("roberta") / "model", "roberta")


@pytest.fixture
def examples(tmp_path):
    """Returns a function that makes a task's examples."""

    def make(task):
        path = save_glue(tmp_path / task, task)
        return load_data("glue", task=task, path=path.strip("[]").split(","))

    return make


def prepared(roberta, data, holdout=0.25):
    """Returns a classifier with what trains, and its texts."""
    classifier = load_classifier_weights(roberta, data.examples[0].choices)
    trainee = make_classifier(classifier, SAID, 0, str(roberta), None, task="any")
    parts = split_parts(data, 0, None, holdout)
    return trainee, labelled_texts(data, parts, load_tokenizer(roberta), trainee.model, 16)


def fitted(trainee, texts, folder, settings=SETTINGS, loggers=()):
    training = Finetuning(settings, texts, 1, folder / "last.ckpt", "reft", ClassifierModule)
    with trainee.attached():
        curve = training.fit(trainee.model, CPU, loggers, trainee.reft)
        trainee.take(folder / "last.ckpt")
    return curve


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize("task", ["cola", "stsb"])
def test_interventions_and_head_train_and_nothing_else(roberta, examples, tmp_path, task, precision):
    trainee, texts = prepared(roberta, examples(task))
    before = {name: weight.clone() for name, weight in trainee.model.state_dict().items()}
    edits = {name: weight.clone() for name, weight in trainee.reft.named_parameters()}
    settings = FinetuneConfig(**{**vars(SETTINGS), "precision": precision})
    curve = fitted(trainee, texts, tmp_path, settings)
    after = trainee.model.state_dict()
    assert {name for name in before if not torch.equal(before[name], after[name])} == set(trainee.classifier.head)
    assert all(name.startswith("classifier.") for name in trainee.classifier.head)
    assert not any(torch.equal(edits[name], weight) for name, weight in trainee.reft.named_parameters())
    assert trainee.parameters == sum(edit.numel() for edit in edits.values()) + trainee.head_parameters
    assert curve[-1]["validation/loss"] < curve[0]["validation/loss"]


class Stop(CSVLogger):
    """Ends a training at a step."""

    def log_metrics(self, metrics, step=None):
        if step == 5:
            raise RuntimeError("killed")


def test_a_killed_training_goes_on_to_the_same_bits(roberta, examples, tmp_path):
    data = examples("cola")
    whole, texts = prepared(roberta, data)
    curve = fitted(whole, texts, tmp_path / "whole")
    with pytest.raises(RuntimeError, match="killed"):
        fitted(prepared(roberta, data)[0], texts, tmp_path / "twice", loggers=[Stop(tmp_path / "csv")])
    resumed = prepared(roberta, data)[0]
    assert fitted(resumed, texts, tmp_path / "twice") == curve
    for one, two in ((whole.model, resumed.model), (whole.reft, resumed.reft)):
        weights = two.state_dict()
        assert [name for name, weight in one.state_dict().items() if not torch.equal(weight, weights[name])] == []


@pytest.mark.parametrize("task", ["cola", "stsb"])
def test_losses_are_transformers_own_and_the_held_out_one_counts_texts(roberta, examples, tmp_path, task):
    trainee, texts = prepared(roberta, examples(task))
    module = ClassifierModule(trainee.model.eval(), learning_rate=1.0)
    rows = texts.rows_of(texts.train)
    batch = rows.batch(range(7))
    torch.testing.assert_close(module.loss(batch), trainee.model(**batch).loss)
    assert module.count(batch) == 7
    trainee.reft.eval()
    held_out = texts.rows[1].batch(range(len(texts.held_out)))
    with torch.no_grad(), trainee.attached():
        expected = float(module.loss(held_out))
    curve = fitted(trainee, texts, tmp_path, FinetuneConfig(**{**vars(SETTINGS), "steps": 1, "batch_size": 3}))
    assert curve[0]["validation/loss"] == pytest.approx(expected, rel=1e-5)


def test_rows_are_padded_and_tell_of_segments_where_the_model_has_them():
    rows = TextRows((Text((5, 6, 7), 1, (0, 0, 1)), Text((8,), 0, (0,))), 2, scores=False)
    batch = {name: tensor.tolist() for name, tensor in rows.batch([0, 1]).items()}
    assert batch == {
        "input_ids": [[5, 6, 7], [8, 2, 2]],
        "attention_mask": [[1, 1, 1], [1, 0, 0]],
        "token_type_ids": [[0, 0, 1], [0, 0, 0]],
        "labels": [1, 0],
    }
    scored = TextRows((Text((5,), 2.5),), 2, scores=True).batch([0])
    assert "token_type_ids" not in scored
    assert (scored["labels"].dtype, scored["labels"].tolist()) == (torch.float32, [2.5])


def test_predictions_do_not_depend_on_the_batch(roberta, examples):
    trainee, texts = prepared(roberta, examples("mnli"))
    rows = texts.rows_of(texts.validation)
    trainee.reft.eval()
    with trainee.attached():
        said = predict(trainee.model, rows, 24)
        assert (said == predict(trainee.model, rows, 5)).all()
    assert set(said) <= {0, 1, 2}
    assert predict(trainee.model, texts.rows_of(()), 5).shape == (0,)
    trainee, texts = prepared(roberta, examples("stsb"))
    said = predict(trainee.model, texts.rows_of(texts.validation), 5)
    assert said.dtype == np.float64
    assert len(set(said)) > 5


def test_long_texts_are_cut_and_splits_kept_apart(roberta, examples):
    data = examples("mrpc")
    train, held_out, validation = split_parts(data, 0, None, 0.25)
    assert sorted([*train, *held_out, *validation]) == list(range(88))
    assert {data.examples[row].category for row in [*train, *held_out]} == {"train"}
    assert {data.examples[row].category for row in validation} == {"validation"}
    assert 8 <= len(held_out) <= 26
    assert split_parts(data, 0, None, 0)[1] == []
    limited = split_parts(data, 0, 30, 0)
    assert set(limited[0]) < {*train, *held_out}
    model = load_classifier_weights(roberta, data.examples[0].choices).model
    texts = labelled_texts(data, ([0], [], [6]), load_tokenizer(roberta), model, 5)
    assert len(texts.train[0].ids) == len(texts.validation[0].ids) == 5


def test_a_head_is_seeded_kept_where_there_is_one_and_new_where_the_labels_differ(roberta, tmp_path):
    one, same, other = (load_classifier_weights(roberta, ("a", "b"), seed=seed) for seed in (0, 0, 1))
    heads = [found.parameters["classifier.dense.weight"] for found in (one, same, other)]
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])
    one.model.save_pretrained(tmp_path / "classifier")
    again = load_classifier_weights(tmp_path / "classifier", ("a", "b"), seed=5)
    assert torch.equal(again.parameters["classifier.dense.weight"], heads[0])
    three = load_classifier_weights(tmp_path / "classifier", ("a", "b", "c"))
    assert three.parameters["classifier.out_proj.weight"].shape == (3, 32)
    assert one.head == again.head == three.head


def test_a_base_that_is_not_whole_is_refused(roberta, tmp_path):
    base = transformers.AutoModelForMaskedLM.from_pretrained(roberta)
    state = {name: weight for name, weight in base.state_dict().items() if "layer.1." not in name}
    base.save_pretrained(tmp_path / "less", state_dict=state)
    with pytest.raises(InputError, match=r"lacks weights.* roberta\.encoder\.layer\.1\..* and \d+ more"):
        load_classifier_weights(tmp_path / "less", ("a", "b"))
    base.config.num_hidden_layers = 2
    base.save_pretrained(tmp_path / "more")
    with pytest.raises(InputError, match=r"has weights not used.* roberta\.encoder\.layer\.2\."):
        load_classifier_weights(tmp_path / "more", ("a", "b"))


@pytest.mark.parametrize("task", ["cola", "stsb"])
def test_a_saved_classifier_has_the_same_logits_bit_for_bit(roberta, examples, tmp_path, task):
    trainee, texts = prepared(roberta, examples(task))
    fitted(trainee, texts, tmp_path)
    trainee.save(tmp_path / "saved")
    assert "load_classifier" in (tmp_path / "saved" / "README.md").read_text()
    assert "load_model" not in (tmp_path / "saved" / "README.md").read_text()
    model, tokenizer, reft = load_classifier(tmp_path / "saved")
    inputs = {name: part for name, part in texts.rows_of(texts.validation).batch(range(9)).items() if name != "labels"}
    assert tokenizer.pad_token_id == texts.pad_id
    bare = model(**inputs).logits
    with torch.no_grad(), trainee.attached(), reft.attached(model):
        expected, found = trainee.model.eval()(**inputs).logits, model(**inputs).logits
    assert torch.equal(found, expected)
    assert not torch.equal(found, bare)
    assert torch.equal(model(**inputs).logits, bare)
