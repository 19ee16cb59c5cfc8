"""`task=reft`: trains interventions on a model's hidden states, or a LoRA beside them, on prompts with answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from omegaconf import DictConfig, OmegaConf
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from laser_lit.config import config_hash
from laser_lit.config_reft import ReftConfig
from laser_lit.data.example import ExampleSet
from laser_lit.data.registry import fit_tokenizer, load_data
from laser_lit.data.split import split
from laser_lit.errors import InputError
from laser_lit.jobs.built_in import ensure_built_in
from laser_lit.jobs.check_reft import check_reft
from laser_lit.jobs.reft_glue import train_classifier
from laser_lit.jobs.reft_plan import token_limit, train_beside, trained, training_plan, what_decides
from laser_lit.jobs.reft_record import print_reft, reft_record
from laser_lit.jobs.training import CHECKPOINT
from laser_lit.jobs.training_identity import folder_name, trainings_folder, what_is
from laser_lit.jobs.training_record import Record
from laser_lit.lit.finetuning import Finetuning
from laser_lit.lit.pairs import Pairs, training_pairs
from laser_lit.lit.trainees import make_trainee
from laser_lit.lit.trainer import make_trainer
from laser_lit.models.finite import refuse_not_finite
from laser_lit.models.load import load_tokenizer, load_weights
from laser_lit.scoring.batches import collate
from laser_lit.scoring.generate import continuations
from laser_lit.scoring.inputs import context_length, input_device, model_kind
from laser_lit.scoring.request import Request
from laser_lit.scoring.tokens import cut_left
from laser_lit.tasks.language import model_id


def run(config: DictConfig) -> float:
    """Returns the loss (nats a token) on what is held out, or where nothing is, that of the last step.

    Raises:
        InputError: for anything in the config that does not go together; nothing has been written then.
    """
    settings = ReftConfig(**OmegaConf.to_container(config.reft, resolve=True))  # type: ignore[arg-type]
    check_reft(config, settings)
    examples = _examples(config)
    if examples.scoring == "label":
        return train_classifier(config, settings, examples)
    return _train(config, settings, examples)


def _train(config: DictConfig, settings: ReftConfig, examples: ExampleSet) -> float:
    """Trains a next-token model; see `run`."""
    ensure_built_in(config)
    model, tokenizer = _load(config, settings)
    examples = fit_tokenizer(examples, config.data, tokenizer)
    pairs, rows = _pairs(config, settings, examples, model, tokenizer)
    base = None if Path(config.model.path).exists() else config.model.revision
    about = what_is(model)
    trainee = make_trainee(model, settings, config.seed, str(config.model.path), base)
    processes = make_trainer(config.trainer).world_size
    plan = training_plan(settings, len(pairs.train), processes)
    said = what_decides(settings, plan, about, (pairs.train, pairs.held_out), config.seed, processes)
    checkpoint = trainings_folder(config) / config_hash(said) / CHECKPOINT
    training = Finetuning(plan, pairs, config.seed, checkpoint, "reft")
    shown = _Shown(examples, rows[: settings.show], pairs, tokenizer, settings.new_tokens)

    def lead(loggers: Sequence[Logger]) -> Record:
        before = shown.answers(trainee.model)  # a LoRA begins at 0
        with trained(config, trainee, training, loggers) as curve:
            answers = shown.rows_of(before, shown.answers(trainee.model))
        return reft_record(examples, pairs, trainee, plan.steps, curve, config) | {"shown": answers}

    return train_beside(config, trainee, training, folder_name=folder_name(config), lead=lead, show=print_reft)


def _examples(config: DictConfig) -> ExampleSet:
    examples = load_data(config.data)
    if not isinstance(examples, ExampleSet):
        raise InputError(
            f"task=reft trains on prompts with answers, and data={config.data.name} is plain text; task=finetune "
            "trains on text"
        )
    return examples


def _load(config: DictConfig, settings: ReftConfig) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Returns the model in the type that it is passed through in, and its tokenizer."""
    model = config.model
    source = {"revision": model.revision, "trust_remote_code": model.trust_remote_code}
    dtype = "bfloat16" if settings.precision == "bf16-true" else "float32"
    tokenizer = load_tokenizer(model.path, **source)
    weights = load_weights(model.path, dtype=dtype, kind=model.kind, quantization=model.quantization, **source)
    if model_kind(weights) != "causal":
        raise InputError(f"task=reft trains next-token models, and {model_id(model)} predicts masked tokens")
    refuse_not_finite(weights)
    return weights, tokenizer


def _pairs(
    config: DictConfig, settings: ReftConfig, examples: ExampleSet, model: PreTrainedModel, tokenizer: Any
) -> tuple[Pairs, list[int]]:
    """Returns what is trained on, and the numbers of its examples."""
    limit, length = context_length(model), token_limit(config, settings, model)
    if limit is not None and settings.show and settings.new_tokens >= limit:
        raise InputError(
            f"reft.new_tokens {settings.new_tokens}: leaves no room for a prompt in the {limit} tokens that model "
            f"{model_id(config.model)} takes"
        )
    halves = split(examples, seed=config.seed, limit=config.data.limit)
    rows = sorted(halves.validation if settings.split == "validation" else halves.validation + halves.test)
    train, held_out = rows, list[int]()
    if settings.holdout:
        groups = [examples.examples[row].group for row in rows]
        parts = split(groups, seed=config.seed + 1, fraction=settings.holdout)  # another hash than the split's own
        train, held_out = [rows[i] for i in parts.test], [rows[i] for i in parts.validation]
    return training_pairs(examples, train, held_out, tokenizer, length), train


@dataclass(frozen=True)
class _Shown:
    """Prompts that are answered before and after a training.

    Attributes:
        examples: the data set.
        rows: numbers of the examples, the first ones of those trained on.
        pairs: what is trained on.
        tokenizer: the model's.
        new_tokens: tokens of an answer.
    """

    examples: ExampleSet
    rows: Sequence[int]
    pairs: Pairs
    tokenizer: Any
    new_tokens: int

    def answers(self, model: Any) -> list[str]:
        """Returns the greedy answers to the prompts as they were trained on, their beginning cut where it must be."""
        if not self.rows:
            return []
        limit = context_length(model)
        prompts = [list(pair.prompt) for pair in self.pairs.train[: len(self.rows)]]
        if limit is not None:
            prompts = [cut_left(self.tokenizer, ids, limit - self.new_tokens)[0] for ids in prompts]
        asked = [Request(n, "generate", tuple(ids), max_new_tokens=self.new_tokens) for n, ids in enumerate(prompts)]
        batch = collate(asked, range(len(asked)), self.pairs.pad_id).to(input_device(model))
        return [str(self.tokenizer.decode(ids, skip_special_tokens=True)) for ids in continuations(model, batch)]

    def rows_of(self, before: Sequence[str], after: Sequence[str]) -> list[dict[str, str]]:
        """Returns prompt, what is taught and both answers, as the record keeps them."""
        asked = [self.examples.examples[row] for row in self.rows]
        return [
            {"prompt": one.prompt, "taught": one.completion or one.answer, "before": first, "after": last}
            for one, first, last in zip(asked, before, after, strict=True)
        ]
