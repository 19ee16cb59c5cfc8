"""What a stack must leave alone to be chosen: the model's predictions on a guard text."""

import logging
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import xxhash
from omegaconf import DictConfig

from laser_lit.config import config_hash
from laser_lit.config_search import GuardConfig
from laser_lit.edits.decompose import Calibration
from laser_lit.edits.edit import Edit
from laser_lit.edits.stack import Stack
from laser_lit.errors import InputError, unknown_name
from laser_lit.linalg.cache import FactorCache
from laser_lit.results.store import Journal
from laser_lit.scoring.batches import Batches, pad_token
from laser_lit.scoring.divergence import Divergence
from laser_lit.scoring.inputs import model_kind
from laser_lit.search.bound import upper_bound
from laser_lit.search.guard_text import PARTS, GuardText
from laser_lit.search.space import Edits
from laser_lit.tasks.base import Task

log = logging.getLogger(__name__)

KINDS = ("kl", "log_perplexity")
KEPT = 0.05
"""Share of a search's memory for the base's hidden states on each part of the text."""
PARTS_BY_USE = {"choosing": PARTS[0], "held_out": PARTS[1]}


class Guard:
    """Turns stacks away that change the model's predictions on a guard text too much.

    A stack passes when the one-sided 95 % upper bound of the mean token KL(base‖edited), or of the change of the log
    perplexity, is at most the limit. What is said of the chosen stack comes from other windows than those that chose.
    """

    def __init__(
        self, task: Task, config: DictConfig, folder: Path | None = None, calibration: Calibration | None = None
    ) -> None:
        """Reads the guard text and cuts it into windows; the model is not run yet.

        Args:
            task: with a causal language model and its tokenizer.
            config: the whole evaluation config.
            folder: where measurements are kept across runs; None keeps them in memory only.
            calibration: what whitened edits are calibrated on.

        Raises:
            InputError: the settings cannot be meant, or model and text do not go together.
        """
        self._settings: GuardConfig = config.search.guard
        _check_settings(self._settings)
        tokenizer = getattr(task, "tokenizer", None)
        if tokenizer is None or model_kind(task.model) != "causal":
            raise InputError(
                f"search.guard.data={self._settings.data}: {task.id} makes no next-token predictions, which a "
                "guard watches; leave it out with search.guard.data=null"
            )
        self._text = GuardText.of(config, task.model, tokenizer)
        self._task = task
        self._calibration = calibration
        cut = partial(Batches, pad_id=pad_token(tokenizer), batch_size=config.batch_size, side=config.padding)
        self._divergences = {
            part: Divergence(task.model, task.matrices, cut(windows), KEPT * config.search.cache_gb)
            for part, windows in self._text.parts.items()
        }
        self._factors = FactorCache(max_memory_bytes=0)  # a stack is measured once
        self._refused: set[Edits] = set()
        content = task.content()
        self._content = {
            "model": {key: content[key] for key in ("model", "architecture")},
            "text": {part: _name_of(windows) for part, windows in self._text.parts.items()},
            **({} if calibration is None else {"calibration": calibration.key}),
        }
        self._journal = None if folder is None else Journal(folder, "guard")
        self._known = {} if self._journal is None else _measured(self._journal)

    @property
    def content(self) -> dict[str, Any]:
        """All that decides which stacks pass, besides them: text, model, kind and limit."""
        return {**self._content, "kind": self._settings.kind, "limit": self._settings.limit}

    @classmethod
    def of(
        cls, task: Task, config: DictConfig, folder: Path | None = None, calibration: Calibration | None = None
    ) -> "Guard | None":
        """Returns the guard that the config asks for, or None where it asks for none.

        Args:
            task: as in the constructor.
            config: the whole evaluation config.
            folder: as in the constructor.
            calibration: as in the constructor.

        Raises:
            InputError: as the constructor, or a path without a choice of data.
        """
        guard = config.search.guard
        if guard.data is None and guard.path is not None:
            raise InputError(
                f"search.guard.path={guard.path}: say what it is too: search.guard.data=text for plain text"
            )
        return None if guard.data is None else cls(task, config, folder, calibration)

    def passes(self, edits: Edits) -> bool:
        """Returns whether a stack leaves the choosing part of the guard text alone.

        Args:
            edits: the stack; one that cannot be measured does not pass.
        """
        try:
            passed = self._measure(edits, "choosing")[self._settings.kind]["bound"] <= self._settings.limit
        except InputError as error:  # numbers that overflow on this text, say: no reason to end the search
            log.warning("the guard turns a stack away that cannot be measured: %s", error)
            passed = False
        if not passed:
            self._refused.add(edits)
        return bool(passed)

    def verdict(self, edits: Edits, part: str = "held_out") -> dict[str, Any]:
        """Returns what to report of a stack.

        Args:
            edits: the stack.
            part: "held_out", windows that chose nothing, or "choosing".

        Returns:
            text: what it is; kind and limit: as configured; windows and tokens: how many were measured; mean, bound
            (one-sided 95 %, upper) and p99 (over tokens): nats; choosing_bound: the bound that let it pass; refused:
            how many stacks were turned away, each of which would have been preferred. Of a stack that cannot be
            measured, what is wrong as problem in place of the numbers.

        Raises:
            InputError: an unknown part.
        """
        if part not in PARTS_BY_USE:
            raise unknown_name("part of the guard text", part, PARTS_BY_USE)
        kind = self._settings.kind
        said = {"text": self._text.name, "kind": kind, "limit": self._settings.limit, "refused": len(self._refused)}
        try:
            chosen, measured = self._measure(edits, "choosing"), self._measure(edits, part)
        except InputError as error:  # a finished search is not thrown away for it
            return {**said, "problem": str(error)}
        sizes = {"windows": measured["windows"], "tokens": measured["tokens"]}
        return {**said, **sizes, **measured[kind], "choosing_bound": chosen[kind]["bound"]}

    def _measure(self, edits: Edits, use: str) -> Mapping[str, Any]:
        """Returns both kinds of change on a part of the text, measured at most once."""
        part = PARTS_BY_USE[use]
        key = config_hash({**self._content, "part": part, "edits": [_said(edit) for edit in edits]})
        if key not in self._known:
            stack = Stack(edits, cache=self._factors, calibration=self._calibration)
            found = self._divergences[part].of(stack if edits else None)
            entry: dict[str, Any] = {"windows": len(np.unique(found.windows)), "tokens": len(found.windows)}
            for kind, values in (("kl", found.kl), ("log_perplexity", found.change)):
                bound = upper_bound(values, found.windows)
                entry[kind] = {"mean": float(values.mean()), "bound": bound, "p99": float(np.quantile(values, 0.99))}
            self._known[key] = entry
            if self._journal is not None and self._task.writes:
                self._journal.append({"hash": key, "guard": entry})
        return self._known[key]


def _said(edit: Edit) -> dict[str, Any]:
    """Returns what names an edit; of a plain SVD what it was before there were others."""
    fields = {key: value for key, value in asdict(edit).items() if key not in ("decomposition", "blocks")}
    return fields | edit.decomposed


def _measured(journal: Journal) -> dict[str, Any]:
    return {entry["hash"]: entry["guard"] for entry in journal.read() if "guard" in entry}


def _name_of(windows: list[Any]) -> str:
    state = xxhash.xxh3_128()
    for window in windows:
        state.update(repr((window.tokens, window.reads, window.targets)).encode())
    return str(state.hexdigest())


def _check_settings(guard: GuardConfig) -> None:
    if guard.kind not in KINDS:
        raise unknown_name("search.guard.kind", guard.kind, KINDS)
    if guard.tokens < 1 or guard.window < 2:
        raise InputError(
            f"search.guard.tokens {guard.tokens}, search.guard.window {guard.window}: must be at least 1 and 2"
        )
    if not np.isfinite(guard.limit) or (guard.kind == "kl" and guard.limit < 0):
        raise InputError(f"search.guard.limit {guard.limit}: must be a number of nats, and at least 0 for kl")
