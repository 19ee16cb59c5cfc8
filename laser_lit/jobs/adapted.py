"""`reft.path=`: the interventions or the LoRA that an evaluation is given, and what it says of them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
from omegaconf import DictConfig

from laser_lit.config import plain
from laser_lit.config_reft import ReftConfig
from laser_lit.errors import InputError
from laser_lit.jobs.scores import Scores, gain_over
from laser_lit.lit.trained_model import RECORD
from laser_lit.reft.adapter import Adapter, load_adapter
from laser_lit.results.reft_result import ReftResult, ReftSplit
from laser_lit.tasks.base import Task

_ROWS = ("path", "id", "task", "world")
"""Fields of `data` that say which rows there are."""


def configured_adapter(config: DictConfig) -> Adapter | None:
    """Returns the adapter that an evaluation names; None where it names none.

    Args:
        config: the whole evaluation config, checked.

    Raises:
        InputError: no such folder, one of another kind, a broken one, or `reft=` names another type than it has.
    """
    if config.reft.path is None:
        return None
    adapter = load_adapter(config.reft.path, config.reft.strength)
    types = adapter.describe()["types"]
    if config.reft.name not in (ReftConfig.name, *types):
        raise InputError(
            f"reft={config.reft.name} reft.path={config.reft.path}: the folder holds {', '.join(types)}; leave "
            f"reft={config.reft.name} out"
        )
    return adapter


def reft_result(task: Task, adapter: Adapter, scores: Scores, config: DictConfig) -> ReftResult:
    """Returns the record's entry.

    Args:
        task: what was scored.
        adapter: what it was scored with.
        scores: on both splits.
        config: the whole evaluation config.
    """
    about = adapter.describe()
    return ReftResult(
        kind=adapter.label,
        path=str(config.reft.path),
        content=adapter.content,
        types=tuple(about.pop("types")),
        parameters=adapter.parameter_count,
        strength=adapter.strength,
        test=_split(task, scores, "test", config.seed),
        validation=_split(task, scores, "validation", config.seed),
        made_for=adapter.made_for,
        about=about,
    )


def _split(task: Task, scores: Scores, split: str, seed: int) -> ReftSplit:
    base, reft = scores.base[split], scores.reft[split]
    alone = ReftSplit(task.metrics(reft), gain_over(base, reft, seed))
    if not scores.laser_reft:
        return alone
    both = scores.laser_reft[split]
    return ReftSplit(
        alone.reft,
        alone.gain,
        task.metrics(both),
        gain_over(base, both, seed),
        gain_over(scores.laser[split], both, seed),
        gain_over(reft, both, seed),
    )


def decides(adapter: Adapter | None) -> dict[str, Any]:
    """Returns what the adapter adds to what is hashed; nothing without one, so that older hashes hold.

    Args:
        adapter: what the model is scored with.
    """
    return {} if adapter is None else {"reft": {"content": adapter.content, "strength": float(adapter.strength)}}


def reft_notes(adapter: Adapter, scores: Scores, config: DictConfig) -> tuple[str, ...]:
    """Returns what a reader of the gains must know, a sentence each.

    Args:
        adapter: what the model was scored with.
        scores: on both splits.
        config: the whole evaluation config.
    """
    return tuple(_notes(adapter, scores, config))


def _notes(adapter: Adapter, scores: Scores, config: DictConfig) -> Iterator[str]:
    given, foreigner = f"reft.path={config.reft.path}", foreign(adapter, config)
    if foreigner is not None:
        yield foreigner
    if adapter.label == "ReFT" and scores.base["test"]["correct"].isna().all():
        yield (
            f"{given} works at tokens of prompts, and text has none but what a window repeats of the one before: its "
            "scores say next to nothing of these interventions"
        )
    elif all(_alike(scores.base[split], scores.reft[split]) for split in scores.base):
        why = "its strength is 0" if not adapter.strength else "no prompt is long enough, or it was never trained"
        yield f"{given} changes no score: {why}"
    yield from _seen(Path(config.reft.path).expanduser() / RECORD, adapter, config)


def foreign(adapter: Adapter, config: DictConfig) -> str | None:
    """Returns a sentence where an adapter was trained on another model than is edited; None where it was not.

    Args:
        adapter: what the model is given.
        config: the whole evaluation config.
    """
    if adapter.made_for is None or _same(adapter.made_for, str(config.model.path)):
        return None
    return f"reft.path={config.reft.path} was trained on {adapter.made_for}, not on {config.model.path}"


def _same(one: str, other: str) -> bool:
    return Path(one).name == Path(other).name or Path(one).resolve() == Path(other).resolve()


def _alike(one: pd.DataFrame, other: pd.DataFrame) -> bool:
    names = [name for name in ("correct", "log_loss", "prediction") if name in one.columns and name in other.columns]
    return one[names].equals(other[names])


def _seen(file: Path, adapter: Adapter, config: DictConfig) -> Iterator[str]:
    """Yields what the folder's record of its training says about the examples that are scored here."""
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
        data, seed = record["data"], record["config"]["seed"]
        asked, split = dict(record["config"]["data"]), data["split"]
    except (OSError, ValueError, KeyError, TypeError):
        return
    name, here = config.data.name, plain(config)["data"]
    if asked.get("name") != name:
        return
    who = "The interventions were trained on" if adapter.label == "ReFT" else "The LoRA was trained on"
    other = [field for field in _ROWS if field in asked and asked[field] != here[field]]
    if other:
        yield (
            f"{who} other rows of data={name} (data.{other[0]}={asked[other[0]]}): whether some of them are scored "
            "here is not known"
        )
    elif split == "all":
        yield f"{who} all of data={name}, the test split too: these are no gains on unseen examples"
    elif (seed, "group") != (config.seed, config.split):
        yield (
            f"{who} another split of data={name} (seed={seed} split=group) than is scored here: test examples may have "
            "been trained on"
        )
    else:
        yield f"{who} the validation split, so that validation gains are those of training; test is unseen"
