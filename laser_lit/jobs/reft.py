"""`task=reft`: trains interventions on a model's hidden states, or a LoRA beside them, on prompts with answers."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import xxhash
from omegaconf import DictConfig, OmegaConf
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from laser_lit.config import config_hash
from laser_lit.config_finetune import FinetuneConfig
from laser_lit.config_reft import ReftConfig
from laser_lit.data.example import Example, ExampleSet
from laser_lit.data.registry import load_data
from laser_lit.data.split import split
from laser_lit.errors import InputError
from laser_lit.files import check_new_folder, new_folder
from laser_lit.jobs.built_in import ensure_built_in
from laser_lit.jobs.check_reft import check_reft
from laser_lit.jobs.reft_record import Record, print_reft, reft_record, result_of
from laser_lit.jobs.training import (
    CHECKPOINT,
    alone,
    announce,
    finish_training,
    finished,
    folder_name,
    training_loggers,
    trainings_folder,
)
from laser_lit.lit.finetuning import Finetuning
from laser_lit.lit.pairs import Pairs, training_pairs
from laser_lit.lit.trained_model import RECORD
from laser_lit.lit.trainees import Trainee, make_trainee
from laser_lit.lit.trainer import make_trainer
from laser_lit.models.content import content_hash
from laser_lit.models.finite import refuse_not_finite
from laser_lit.models.load import load_tokenizer, load_weights
from laser_lit.scoring.batches import collate, pad_token
from laser_lit.scoring.generate import continuations
from laser_lit.scoring.inputs import context_length, input_device, model_kind
from laser_lit.scoring.request import Request
from laser_lit.tasks.language import model_id

_NO_MATTER = ("name", "path", "strength", "epochs", "show", "new_tokens", "save_every")
"""Settings that do not change what is trained, or are in the number of steps."""


def run(config: DictConfig) -> float:
    """Returns the loss (nats a token) on what is held out, or where nothing is, that of the last step.

    Raises:
        InputError: for anything in the config that does not go together; nothing has been written then.
    """
    settings = ReftConfig(**OmegaConf.to_container(config.reft, resolve=True))  # type: ignore[arg-type]
    check_reft(config, settings)
    examples = _examples(config)
    ensure_built_in(config)
    model, tokenizer = _load(config, settings)
    pairs, rows = _pairs(config, settings, examples, model, tokenizer)
    base = None if Path(config.model.path).exists() else config.model.revision
    content = content_hash(model)
    trainee = make_trainee(model, settings, config.seed, str(config.model.path), base)
    lead = make_trainer(config.trainer)
    plan = _plan(settings, len(pairs.train), lead.world_size)
    folder = trainings_folder(config) / config_hash(
        _decides(settings, plan, content, pairs, config.seed, lead.world_size)
    )
    name = f"{folder_name(config)}-{settings.type}"
    target = (folder / name if settings.path is None else Path(settings.path)).resolve()
    record = finished(folder, target)
    if record is not None:
        (folder / CHECKPOINT).unlink(missing_ok=True)
        print_reft(record, f"trained before; remove {record['path']} to train again")
        return result_of(record)
    check_new_folder("reft.path", target)
    training = Finetuning(plan, pairs, config.seed, folder / CHECKPOINT, "reft")
    shown = [examples.examples[row] for row in rows[: settings.show]]
    if not lead.is_global_zero:
        return result_of(_trained(config, trainee, training, examples, [])[0])
    with alone(folder):
        announce(training)
        loggers = training_loggers(config)
        record, answers = _trained(config, trainee, training, examples, shown, tokenizer, loggers)
        record |= {"model": model_id(config.model), "hash": folder.name, "path": str(target), "shown": answers}
        _publish(target, trainee, record)
        finish_training(config, folder, record, loggers, print_reft)
    return result_of(record)


def _examples(config: DictConfig) -> ExampleSet:
    examples = load_data(config.data)
    if not isinstance(examples, ExampleSet):
        raise InputError(
            f"task=reft trains on prompts with answers, and data={config.data.name} is plain text; task=finetune "
            "trains on text"
        )
    if examples.scoring == "label":
        raise InputError(
            f"data={config.data.name} is for classifiers, which task=reft does not train yet; take data that asks "
            "questions, or data=jsonl with a prompt that asks for the label"
        )
    return examples


def _load(config: DictConfig, settings: ReftConfig) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Returns the model in the type that it is passed through in, and its tokenizer."""
    model = config.model
    source = {"revision": model.revision, "trust_remote_code": model.trust_remote_code}
    dtype = "bfloat16" if settings.precision == "bf16-true" else "float32"
    tokenizer = load_tokenizer(model.path, **source)
    weights = load_weights(model.path, dtype=dtype, kind=model.kind, **source)
    if model_kind(weights) != "causal":
        raise InputError(f"task=reft trains next-token models, and {model_id(model)} predicts masked tokens")
    refuse_not_finite(weights)
    return weights, tokenizer


def _pairs(
    config: DictConfig, settings: ReftConfig, examples: ExampleSet, model: PreTrainedModel, tokenizer: Any
) -> tuple[Pairs, list[int]]:
    """Returns what is trained on, and the numbers of its examples."""
    limit, length = context_length(model), settings.max_length
    if length is not None and limit is not None and length > limit:
        raise InputError(f"reft.max_length {length}: model {model_id(config.model)} takes at most {limit} tokens")
    halves = split(examples, seed=config.seed, limit=config.data.limit)
    rows = sorted(halves.validation if settings.split == "validation" else halves.validation + halves.test)
    train, held_out = rows, list[int]()
    if settings.holdout:
        groups = [examples.examples[row].group for row in rows]
        parts = split(groups, seed=config.seed + 1, fraction=settings.holdout)  # another hash than the split's own
        train, held_out = [rows[i] for i in parts.test], [rows[i] for i in parts.validation]
    return training_pairs(examples, train, held_out, tokenizer, limit if length is None else length), train


def _plan(settings: ReftConfig, examples: int, processes: int) -> FinetuneConfig:
    """Returns the settings of the training itself, with epochs as steps."""
    batch = settings.batch_size * settings.accumulate * processes
    steps = settings.steps or max(1, math.ceil(settings.epochs * examples / batch))
    return FinetuneConfig(
        steps=steps,
        batch_size=settings.batch_size,
        accumulate=settings.accumulate,
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        warmup=round(settings.warmup * steps),
        schedule=settings.schedule,
        clip=settings.clip,
        precision=settings.precision,
        gradient_checkpointing=settings.gradient_checkpointing,
        save_every=settings.save_every or max(1, steps // 10),
    )


def _decides(
    settings: ReftConfig, plan: FinetuneConfig, content: str, pairs: Pairs, seed: int, processes: int
) -> dict[str, Any]:
    """Returns everything that decides what is trained."""
    said = {name: value for name, value in asdict(settings).items() if name not in _NO_MATTER}
    digest = xxhash.xxh3_128_hexdigest(repr((pairs.train, pairs.held_out)).encode())
    return {"reft": said, "steps": plan.steps, "model": content, "pairs": digest, "seed": seed, "processes": processes}


def _trained(
    config: DictConfig,
    trainee: Trainee,
    training: Finetuning,
    examples: ExampleSet,
    shown: Sequence[Example],
    tokenizer: Any = None,
    loggers: Sequence[Any] = (),
) -> tuple[Record, list[dict[str, str]]]:
    """Returns the record of a training, and some prompts as they were answered before and after it."""
    settings: ReftConfig = config.reft
    before = _answers(trainee.model, tokenizer, shown, settings.new_tokens)  # a LoRA begins at 0
    with trainee.attached():
        curve = training.fit(trainee.model, config.trainer, loggers, trainee.reft)
        trainee.take(training.checkpoint)
        trainee.model.eval()
        if trainee.reft is not None:
            trainee.reft.eval()
        after = _answers(trainee.model, tokenizer, shown, settings.new_tokens)
    data: Any = training.data
    record = reft_record(examples, data, trainee, training.settings.steps, curve, config)
    answers = [
        {"prompt": asked.prompt, "taught": asked.completion or asked.answer, "before": first, "after": last}
        for asked, first, last in zip(shown, before, after, strict=True)
    ]
    return record, answers


def _answers(model: Any, tokenizer: Any, shown: Sequence[Example], new_tokens: int) -> list[str]:
    """Returns the greedy answers to some prompts."""
    if not shown:
        return []
    pairs = training_pairs(ExampleSet("shown", "generate", tuple(shown), ""), range(len(shown)), (), tokenizer, None)
    asked = [Request(n, "generate", pair.prompt, max_new_tokens=new_tokens) for n, pair in enumerate(pairs.train)]
    batch = collate(asked, range(len(asked)), pad_token(tokenizer)).to(input_device(model))
    return [str(tokenizer.decode(ids, skip_special_tokens=True)) for ids in continuations(model, batch)]


def _publish(target: Path, trainee: Trainee, record: Record) -> None:
    """Writes the folder of what was trained, with the training's record; all of it or nothing."""
    with new_folder(target) as folder:
        inner = folder / "trained"
        trainee.save(inner)
        for file in inner.iterdir():
            file.rename(folder / file.name)
        inner.rmdir()
        (folder / RECORD).write_text(json.dumps(record, indent=2, allow_nan=False), encoding="utf-8")
