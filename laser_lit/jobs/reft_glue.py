"""`task=reft` on labelled texts: trains interventions and a classifier's head, and looks at GLUE's metrics."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from lightning.pytorch.loggers import Logger
from omegaconf import DictConfig
from rich.padding import Padding

from laser_lit.config import config_hash
from laser_lit.config_reft import ReftConfig
from laser_lit.data.example import ExampleSet
from laser_lit.data.split import split
from laser_lit.errors import InputError
from laser_lit.files import write_atomic
from laser_lit.jobs.reft_plan import token_limit, train_beside, trained, training_plan, what_decides
from laser_lit.jobs.reft_record import print_ends, print_reft_losses, reft_record
from laser_lit.jobs.training import CHECKPOINT
from laser_lit.jobs.training_identity import folder_name, trainings_folder, what_is
from laser_lit.jobs.training_record import Record
from laser_lit.lit.classifier import (
    ClassifierModule,
    ClassifierTrainee,
    Text,
    Texts,
    labelled_texts,
    make_classifier,
    predict,
)
from laser_lit.lit.finetuning import Finetuning
from laser_lit.lit.trainees import LORA, interventions_of
from laser_lit.lit.trainer import make_trainer
from laser_lit.models.classifier import Classifier, load_classifier_weights
from laser_lit.models.finite import refuse_not_finite
from laser_lit.models.load import load_tokenizer
from laser_lit.report.terminal import add_row, plain_table, result_console
from laser_lit.scoring.glue import glue_metrics

PREDICTIONS = "predictions.parquet"


def train_classifier(config: DictConfig, settings: ReftConfig, examples: ExampleSet) -> float:
    """Returns the loss on what is held out of the train split, or where nothing is, that of the last step.

    Args:
        config: the whole training config.
        settings: its `reft`, checked.
        examples: of GLUE.

    Raises:
        InputError: for anything in the config that does not go together; nothing has been written then.
    """
    _check(settings)
    parts = split_parts(examples, config.seed, config.data.limit, settings.holdout)
    classifier, tokenizer = _load(config, examples)
    about, length = what_is(classifier.model), token_limit(config, settings, classifier.model)
    texts = labelled_texts(examples, parts, tokenizer, classifier.model, length)
    trainee = _trainee(config, settings, classifier, length)
    processes = make_trainer(config.trainer).world_size
    plan = training_plan(settings, len(texts.train), processes)
    said = what_decides(settings, plan, about, (texts, config.data.task), config.seed, processes)
    checkpoint = trainings_folder(config) / config_hash(said) / CHECKPOINT
    training = Finetuning(plan, texts, config.seed, checkpoint, "reft", ClassifierModule)
    return train_beside(
        config,
        trainee,
        training,
        folder_name=f"{folder_name(config)}-{config.data.task}",
        lead=lambda loggers: _record(config, trainee, training, examples, parts, loggers),
        show=print_classifier,
    )


def _check(settings: ReftConfig) -> None:
    if settings.type == LORA:
        raise InputError("reft=lora trains next-token models only; for a classifier name interventions, as reft=loreft")
    if settings.precision == "bf16-true":
        raise InputError(
            "reft.precision=bf16-true would round away what a classifier's head learns; give bf16-mixed or 32-true"
        )
    if settings.show:
        raise InputError(f"reft.show {settings.show}: a classifier answers no prompts; leave it out")


def split_parts(
    examples: ExampleSet, seed: int, limit: int | None, holdout: float
) -> tuple[list[int], list[int], list[int]]:
    """Returns the numbers of the examples to train on, to hold out, and to judge by (the validation split).

    Args:
        examples: with "train" or "validation" as their category.
        seed: of what is held out and kept.
        limit: keep this many groups of both splits together; None: all.
        holdout: share of the train split's groups that is held out, in [0, 1).

    Raises:
        InputError: nothing is left of a split.
    """
    halves = split(examples, seed=seed, limit=limit)
    rows = sorted(halves.validation + halves.test)
    train, validation = (
        [row for row in rows if examples.examples[row].category == name] for name in ("train", "validation")
    )
    for name, part in (("train", train), ("validation", validation)):
        if not part:
            raise InputError(
                f"data={examples.name}: no row of the {name} split; a classifier wants both, as in "
                "data.path=[train.parquet,validation.parquet], and a data.limit that leaves some of both"
            )
    if not holdout:
        return train, [], validation
    groups = [examples.examples[row].group for row in train]
    halves = split(groups, seed=seed + 1, fraction=holdout)  # another hash than the limit's own
    return [train[i] for i in halves.test], [train[i] for i in halves.validation], validation


def _load(config: DictConfig, examples: ExampleSet) -> tuple[Classifier, Any]:
    model = config.model
    source = {"revision": model.revision, "trust_remote_code": model.trust_remote_code}
    tokenizer = load_tokenizer(model.path, **source)
    classifier = load_classifier_weights(model.path, examples.examples[0].choices, seed=config.seed, **source)
    classifier.pad_with(tokenizer)
    refuse_not_finite(classifier.model)
    return classifier, tokenizer


def _trainee(config: DictConfig, settings: ReftConfig, classifier: Classifier, length: int | None) -> ClassifierTrainee:
    path = str(config.model.path)
    revision = None if Path(path).exists() else config.model.revision
    metric = next(iter(glue_metrics(config.data.task, np.zeros(1), np.zeros(1))))
    said = {"task": config.data.task, "metric": metric, "max_length": length}
    return make_classifier(classifier, interventions_of(settings), config.seed, path, revision, **said)


def _record(
    config: DictConfig,
    trainee: ClassifierTrainee,
    training: Finetuning,
    examples: ExampleSet,
    parts: Sequence[Sequence[int]],
    loggers: Sequence[Logger],
) -> Record:
    """Returns the record of a training, with the metrics that the trained classifier has."""
    texts: Any = training.data
    with trained(config, trainee, training, loggers) as curve:
        said = {
            name: predict(trainee.model, texts.rows_of(getattr(texts, name)), config.reft.batch_size)
            for name in ("held_out", "validation")
        }
    metrics = _metrics(config.data.task, texts, said)
    for logger in loggers:
        numbers = {f"{part}/{name}": value for part, found in metrics.items() for name, value in found.items()}
        logger.log_metrics(numbers, training.settings.steps)
    table = pd.concat(_table(examples, part, name, said[name]) for name, part in zip(said, parts[1:], strict=True))
    write_atomic(Path(config.paths.output) / PREDICTIONS, lambda file: table.to_parquet(file, index=False))
    record = reft_record(examples, texts, trainee, training.settings.steps, curve, config)
    record["data"] |= {"split": "train", "task": config.data.task}
    return record | {
        "labels": list(trainee.classifier.labels),
        "head_parameters": trainee.head_parameters,
        "metrics": metrics,
    }


def _metrics(task: str, texts: Texts, said: dict[str, np.ndarray]) -> dict[str, dict[str, float]]:
    """Returns GLUE's metrics by part; "constant": of the commonest training label, on the validation split."""

    def gold(part: tuple[Text, ...]) -> np.ndarray:
        return np.array([text.label for text in part])

    found = {name: glue_metrics(task, said[name], gold(getattr(texts, name))) for name in said if len(said[name])}
    labels, counts = np.unique(gold(texts.train), return_counts=True)
    commonest = np.full(len(texts.validation), labels[counts.argmax()])
    return found | {"constant": glue_metrics(task, commonest, gold(texts.validation))}


def _table(examples: ExampleSet, part: Sequence[int], name: str, said: np.ndarray) -> pd.DataFrame:
    """Returns a row an example: what was said to it, and what is right."""
    asked = [examples.examples[row] for row in part]
    words = [one.choices[int(found)] if one.choices else str(found) for one, found in zip(asked, said, strict=True)]
    content = {"id": [one.id for one in asked], "group": [one.group for one in asked], "split": name}
    return pd.DataFrame(content | {"prediction": words, "answer": [one.answer for one in asked]})


def print_classifier(record: Record, *notes: str) -> None:
    """Prints what trained, the losses, GLUE's metrics, and where the folder is.

    Args:
        record: as in the folder's training.json.
        notes: lines to end with.
    """
    data, metrics = record["data"], record["metrics"]
    print_reft_losses(record, "nats a text" if record["labels"] else "squared error of a score")
    table = plain_table(f"GLUE's metrics of {data['task']}")
    names = list(metrics["validation"])
    for column in ("", "texts", *names):
        table.add_column(column, justify="right" if column else "left")
    rows = {"validation": ("validation split", "validation"), "held_out": ("held out of train", "held_out")}
    rows["constant"] = ("commonest label, on validation", "validation")
    for part in (part for part in rows if part in metrics):
        said, counted = rows[part]
        add_row(table, said, f"{data[counted]:,}", *(f"{metrics[part][name]:.4f}" for name in names))
    result_console().print(Padding(table, (1, 0, 0, 1)))
    print_ends(record, f"{record['head_parameters']:,} of the trainable parameters are the head's", *notes)
