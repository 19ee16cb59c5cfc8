"""A language model on a data set of prompts or text, scored under any stack through Lightning."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch
import xxhash
from lightning.pytorch import Trainer
from omegaconf import DictConfig
from torch import Tensor

from laser_lit.data.example import ExampleSet, TextSet
from laser_lit.data.fingerprint import fingerprint
from laser_lit.data.module import RequestModule
from laser_lit.data.registry import fit_tokenizer
from laser_lit.data.split import split
from laser_lit.edits.callback import LaserCallback
from laser_lit.edits.stack import Stack
from laser_lit.errors import InputError, unknown_name
from laser_lit.lit.evaluate import EvaluationModule
from laser_lit.lit.trainer import LabelledProgressBar, device_name, make_trainer
from laser_lit.models.content import content_hash
from laser_lit.reft.adapter import Adapter
from laser_lit.scoring.answers import outcomes
from laser_lit.scoring.batches import Batches, pad_token
from laser_lit.scoring.controls import AnswerLogits
from laser_lit.scoring.inputs import context_length, model_kind
from laser_lit.scoring.loss import log_losses
from laser_lit.scoring.metrics import metrics
from laser_lit.scoring.request import Request
from laser_lit.scoring.requests import encode
from laser_lit.tasks.answer_places import answers_at_one_place, has_vocabulary, logits_of
from laser_lit.tasks.base import SPLITS
from laser_lit.tasks.configured_model import configured_model
from laser_lit.tasks.part import Part
from laser_lit.tasks.searching import LanguageScorer, Tabulate

MOST_LOGITS = 2**28
"""Largest number of logits that are held for the controls (1 GB in float32)."""


class LanguageTask:
    """Scores a causal or masked language model; see `laser_lit.tasks.base.Task`."""

    def __init__(self, config: DictConfig, examples: ExampleSet | TextSet) -> None:
        """Loads the model and plans every sequence.

        Args:
            config: an evaluation config; of its model, `path` must be set.
            examples: the data set.

        Raises:
            InputError: model, data and config do not go together.
        """
        self._callback = LaserCallback()
        self.trainer: Trainer = make_trainer(config.trainer, [self._callback])
        self.model, self.tokenizer, self.matrices = configured_model(config.model)
        self._callback.model = self.matrices
        self._take(config, examples)
        self._module = EvaluationModule(self.model)
        self.id = model_id(config.model)
        self.processes, self.writes = self.trainer.world_size, self.trainer.is_global_zero
        self.device = device_name(self.trainer.strategy.root_device)

    def on(self, config: DictConfig, examples: ExampleSet | TextSet) -> "LanguageTask":
        """Returns the task on other data (arguments as in the constructor), with this one's model and trainer."""
        other = copy(self)
        vars(other).pop("_tokens", None)
        vars(other)["_weights"] = self._weights  # hashed once
        other._take(config, examples)
        return other

    def _take(self, config: DictConfig, examples: ExampleSet | TextSet) -> None:
        self._config = config
        if isinstance(examples, ExampleSet):
            examples = fit_tokenizer(examples, config.data, self.tokenizer)
        self.examples = examples
        self.parts = self._plan(examples)

    def _encode(self, examples: ExampleSet | TextSet) -> list[Request]:
        config = self._config
        limit = context_length(self.model)
        if config.max_length is not None and limit is not None and config.max_length > limit:
            raise InputError(f"max_length {config.max_length}: model {config.model.name} takes at most {limit} tokens")
        return encode(
            examples,
            self.tokenizer,
            model_kind(self.model),
            config.scoring,
            limit if config.max_length is None else config.max_length,
        )

    def _plan(self, examples: ExampleSet | TextSet) -> dict[str, Part]:
        text = self._encode(examples) if isinstance(examples, TextSet) else []
        units = [request.group for request in text] if isinstance(examples, TextSet) else examples
        config = self._config
        halves = split(units, mode=config.split, seed=config.seed, limit=config.data.limit)
        if isinstance(examples, TextSet):
            return {name: Part.of_text(examples, text, getattr(halves, name)) for name in SPLITS}
        return {name: self._example_part(examples, getattr(halves, name)) for name in SPLITS}

    def _example_part(self, examples: ExampleSet, rows: Sequence[int]) -> Part:
        chosen = replace(examples, examples=tuple(examples.examples[row] for row in rows))
        groups = frozenset(example.group for example in chosen.examples)
        return Part(chosen, self._encode(chosen), groups, len(rows))

    def score(self, stack: Stack | None, split: str, adapter: Adapter | None = None) -> pd.DataFrame:
        """Returns the table of a split under a stack and an adapter; the model is as it was afterwards, bit for bit."""
        return self._table(self._run(stack, split, adapter), self.parts[split])

    @contextmanager
    def searching(self, split: str, cache_gb: float) -> Iterator[LanguageScorer]:
        """Yields what a search scores its stacks with; see `laser_lit.tasks.base.Task`."""

        def prepare(rows: Sequence[int] | None, max_tokens: int | None) -> tuple[Batches, Tabulate]:
            part = self.parts[split] if rows is None else self.parts[split].take(rows)
            return self._batches(part, max_tokens), lambda scores: self._table(scores, part)

        def losses(rows: Sequence[int]) -> Iterator[Tensor]:
            part, pad_id = self.parts[split].take(rows), pad_token(self.tokenizer)
            scoring, side = self._config.scoring, self._config.padding
            return log_losses(self.model, part.examples, part.requests, scoring, pad_id=pad_id, side=side)

        if not hasattr(self.model, "hf_device_map"):
            self.model.to(self.trainer.strategy.root_device)
        with LanguageScorer(self.model, self.matrices, prepare, losses, cache_gb) as scorer:
            yield scorer

    @property
    def no_controls(self) -> str | None:
        """Why controls that shift logits cannot be scored; None where they can."""
        if not answers_at_one_place(self.parts, self._config.normalize_choices):
            return (
                f"the answers of data {self._config.data.name} are neither read off a single place nor the same few "
                "choices for every example"
            )
        if self.processes > 1:
            return "they are fitted on all logits at once, and several processes share the examples"
        rows = sum(part.n for part in self.parts.values() if has_vocabulary(part))
        if rows * self.model.config.get_text_config().vocab_size > MOST_LOGITS:
            return f"the logits of {rows:,} examples over the whole vocabulary do not fit memory; set data.limit"
        return None

    def answer_logits(self, split: str, stack: Stack | None = None) -> AnswerLogits:
        """Returns the logits where the answers are read: over the vocabulary, or over the choices."""
        self._module.keep_logits = has_vocabulary(self.parts[split])
        try:
            scores = self._run(stack, split)
        finally:
            self._module.keep_logits = False
        return logits_of(self.parts[split], scores)

    def answer_name(self, column: int) -> str:
        """Returns the token or choice that a column of `answer_logits` stands for."""
        if isinstance(self.examples, ExampleSet) and self.examples.scoring == "choice":
            return self.examples.examples[0].choices[column]
        return str(self.tokenizer.decode([column])).strip()

    def _run(self, stack: Stack | None, split: str, adapter: Adapter | None = None) -> list[Any]:
        if split not in self.parts:
            raise unknown_name("split", split, self.parts)
        batches = self._batches(self.parts[split])
        bar = self.trainer.progress_bar_callback
        if isinstance(bar, LabelledProgressBar):
            applied = (*(() if stack is None else ("LASER",)), *(() if adapter is None else (adapter.label,)))
            bar.label = f"{' + '.join(applied) or 'base'}, {split}"
        self._callback.stack = stack
        self._callback.within = None if adapter is None else partial(adapter.attached, self.model)
        self._test(RequestModule(batches))
        return self._module.gathered_scores()

    def _test(self, requests: RequestModule) -> None:
        try:
            self.trainer.test(self._module, datamodule=requests, verbose=False)
        except torch.OutOfMemoryError as error:
            raise InputError(
                f"batch_size {self._config.batch_size}: the {self.device} is out of memory; give less, or "
                "model.dtype=float16, or model.device_map=auto with several GPUs"
            ) from error

    def _batches(self, part: Part, max_tokens: int | None = None) -> Batches:
        config = self._config
        return Batches(part.requests, pad_token(self.tokenizer), config.batch_size, max_tokens, config.padding)

    def _table(self, scores: list[Any], part: Part) -> pd.DataFrame:
        return outcomes(
            part.examples,
            part.requests,
            scores,
            self._config.scoring,
            tokenizer=self.tokenizer,
            length_normalize=self._config.normalize_choices,
        )

    def metrics(self, table: pd.DataFrame) -> dict[str, Any]:
        """Returns accuracy, log loss and the other numbers of a table."""
        return metrics(table, self._config.scoring)

    def objective(self, table: pd.DataFrame) -> float:
        """Returns the accuracy, or minus the log loss of text."""
        numbers = self.metrics(table)
        return -numbers["log_loss"] if numbers["accuracy"] is None else numbers["accuracy"]

    @cached_property
    def _weights(self) -> str:
        return content_hash(self.model)

    @property
    def _settings(self) -> dict[str, Any]:
        """The model's own config, which decides the scores beside its weights (rope_theta, say)."""
        settings = self.model.config.to_diff_dict()
        about = ("_name_or_path", "transformers_version", "dtype", "architectures")
        return {key: str(value) for key, value in settings.items() if key not in about}

    @cached_property
    def _tokens(self) -> str:
        """Hash of every sequence that the model is given, which is the tokenizer's work."""
        state = xxhash.xxh3_128()
        for name, part in self.parts.items():
            state.update(name.encode())
            for request in part.requests:
                state.update(repr((request.role, request.tokens, request.reads, request.targets)).encode())
        return str(state.hexdigest())

    def content(self) -> dict[str, Any]:
        """Returns what decides the scores besides edits and split."""
        config = self._config
        return {
            "model": self._weights,
            "architecture": self._settings,
            "data": fingerprint(self.examples),
            "tokens": self._tokens,
            "limit": config.data.limit,
            "scoring": config.scoring,
            "split": config.split,
            "seed": config.seed,
            "max_length": config.max_length,
            "normalize_choices": config.normalize_choices,
        }

    def describe(self) -> dict[str, Any]:
        """Returns the record's "model" and "data" entries."""
        config, validation, test = self._config, self.parts["validation"], self.parts["test"]
        return {
            "model": {
                "id": self.id,
                "revision": None if Path(config.model.path).exists() else config.model.revision,
                "content": self._weights,
                "dtype": str(self.model.dtype).removeprefix("torch."),
                "parameters": self.model.num_parameters(),
                "architecture": self.matrices.architecture,
            },
            "data": {
                "name": config.data.name,
                "revision": self.examples.revision,
                "split": config.split,
                "scoring": config.scoring,
                "n_validation": validation.n,
                "n_test": test.n,
                "groups_validation": len(validation.groups),
                "groups_test": len(test.groups),
            },
        }


def model_id(model: Any) -> str:
    """Returns a model config's name in results: the hub's id or the folder's name, or the built-in model's."""
    if model["facts"] is not None or model["path"] is None:
        return str(model["name"])
    path = Path(model["path"])
    return path.resolve().name if path.exists() else str(model["path"])
