"""The text that a guard watches, or an analysis: which one, and which windows of it choose and which report."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from omegaconf import DictConfig, OmegaConf

from laser_lit.config_data import DataConfig, config_folder
from laser_lit.data.example import ExampleSet, TextSet
from laser_lit.data.hub import HubError, NoSourceError
from laser_lit.data.registry import as_data_config, load_data, named_config
from laser_lit.data.split import split
from laser_lit.errors import InputError
from laser_lit.scoring.inputs import context_length
from laser_lit.scoring.request import Request
from laser_lit.scoring.requests import encode
from laser_lit.search.bound import LEAST

PARTS = ("validation", "test")
"""What chooses and what reports. A guard text is split as any data are, so that one that is also the evaluated data
shows the search nothing of the reported split."""
UNKNOWN = 0.5
"""Largest share of a guard text's tokens that the tokenizer may not know."""


@dataclass(frozen=True)
class GuardText:
    """Windows of the guard text.

    Attributes:
        name: what the text is, in words.
        parts: for each of PARTS, windows drawn at random from that part of the text.
    """

    name: str
    parts: dict[str, list[Request]]

    @classmethod
    def of(
        cls, config: DictConfig, model: Any, tokenizer: Any, typed: str = "search.guard", parts: Sequence[str] = PARTS
    ) -> "GuardText":
        """Returns the windows of the text that a part of the config names.

        Args:
            config: the whole evaluation config.
            model: a causal language model.
            tokenizer: the model's.
            typed: the part of the config, with data, path, tokens and window.
            parts: of PARTS, what is wanted.

        Raises:
            InputError: no such text, too little of it, or text in other words than the model's.
        """
        guard = OmegaConf.select(config, typed)
        data = _data_config(config, guard)
        found = _loaded(data, guard, typed, tokenizer)
        limit = context_length(model)
        window = guard.window if limit is None else min(guard.window, limit)

        def windows(text: TextSet) -> list[Request]:
            return encode(text, tokenizer, "causal", max_length=limit, window=window)

        halves, taken = _halves(found, config, data.limit, windows), {}
        for part in parts:
            taken[part] = _drawn(halves[part], guard.tokens, config.seed)
            _check(taken[part], part, guard, typed, tokenizer)
        questions = " (questions without their answers)" if isinstance(found, ExampleSet) else ""
        return cls(f"{guard.path or guard.data}{questions}", taken)


def _data_config(config: DictConfig, guard: Any) -> DataConfig:
    """Returns the data config of the guard text; the evaluated data's own where it is the same choice."""
    if guard.data == config.data.name and guard.path is None:
        return as_data_config(config.data)
    return named_config(guard.data, config_folder(), **({} if guard.path is None else {"path": guard.path}))


def _loaded(data: DataConfig, guard: Any, typed: str, tokenizer: Any) -> ExampleSet | TextSet:
    """Returns the text; errors name what was typed."""
    said = f"{typed}.data={guard.data}"
    try:
        return load_data(data, tokenizer)
    except NoSourceError:
        raise InputError(f"{said}: needs {typed}.path (a local file)") from None
    except HubError as error:
        raise InputError(
            f"{said}: not to be had from the hub ({error.reason}); {typed}.path=FILE takes a local file instead"
        ) from error
    except InputError as error:
        given = "" if guard.path is None else f" {typed}.path={guard.path}"
        raise InputError(f"{said}{given}: {error}") from error


def _halves(
    found: ExampleSet | TextSet, config: DictConfig, limit: int | None, windows: Any
) -> dict[str, list[Request]]:
    if isinstance(found, TextSet):
        cut = windows(found)
        halves = split([window.group for window in cut], mode=config.split, seed=config.seed, limit=limit)
        return {part: [cut[row] for row in getattr(halves, part)] for part in PARTS}
    halves = split(found, mode=config.split, seed=config.seed, limit=limit)
    return {part: windows(_prompts(found, getattr(halves, part))) for part in PARTS}


def _prompts(found: ExampleSet, rows: Sequence[int]) -> TextSet:
    examples = [found.examples[row] for row in rows]
    prompts, groups = zip(*((example.prompt, example.group) for example in examples), strict=True)
    return TextSet(found.name, prompts, found.revision, groups)


def _drawn(windows: Sequence[Request], tokens: int, seed: int) -> list[Request]:
    """Returns windows drawn at random, in the text's order, of as many tokens as asked for or all there are."""
    order = np.random.default_rng(seed).permutation(len(windows))
    sizes = np.cumsum([len(windows[row].targets) for row in order])
    kept = order[: 1 + int(np.searchsorted(sizes, tokens))]
    return [windows[row] for row in sorted(kept.tolist())]


def _check(windows: Sequence[Request], part: str, guard: Any, typed: str, tokenizer: Any) -> None:
    if len(windows) < LEAST:
        raise InputError(
            f"{typed}: the {part} part of {guard.path or guard.data} has {len(windows)} windows of up to "
            f"{guard.window} tokens, a bound needs at least {LEAST}: take a longer text, more {typed}.tokens or a "
            f"smaller {typed}.window"
        )
    targets = [target for window in windows for target in window.targets]
    unknown = targets.count(tokenizer.unk_token_id) / len(targets)
    if unknown > UNKNOWN:
        raise InputError(
            f"{typed}: the model's tokenizer does not know {unknown:.0%} of {guard.path or guard.data}; "
            f"take text in its words, or the questions of its own data set: {typed}.data=…"
        )
