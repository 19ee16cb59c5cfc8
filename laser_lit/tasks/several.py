"""One model on several data sets, each of which counts alike: the task of a search for one task-agnostic model."""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import fields
from typing import Any

import numpy as np
import pandas as pd
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from laser_lit.config_data import DataConfig, config_folder
from laser_lit.data.example import TextSet
from laser_lit.data.fingerprint import fingerprint
from laser_lit.data.registry import load_data, named_config
from laser_lit.edits.stack import Stack
from laser_lit.errors import InputError, unknown_name
from laser_lit.linalg.cache import FactorCache
from laser_lit.reft.adapter import Adapter
from laser_lit.scoring.controls import AnswerLogits
from laser_lit.tasks.base import SPLITS, Scorer, Task
from laser_lit.tasks.language import LanguageTask

COUNTS = ("n", "n_groups", "n_truncated")
"""Metrics that are summed over data sets; the others are averaged."""
FACTORS = 0.25
"""Share of a search's memory for the factors of matrices, the same as a `LanguageScorer` sets aside for its own."""


class SeveralTasks:
    """Tasks that share one model; see `laser_lit.tasks.base.Task`.

    Its tables are those of the data sets below each other. Ids and groups begin with the data set's name, the column
    `data` has that name, and `weight` makes each data set count alike: 1 on average, and in a text by tokens.
    """

    def __init__(self, tasks: Mapping[str, Task]) -> None:
        """Keeps the tasks; nothing is scored.

        Args:
            tasks: at least one, by the name of its data set; all on the same model.

        Raises:
            InputError: another model.
        """
        first, *others = tasks.values()
        if any(task.model is not first.model for task in others):
            raise InputError("several data sets are scored on one model: load it once and share it")
        self.tasks = dict(tasks)
        self.model = first.model
        self.matrices = first.matrices
        self.id = first.id
        self.processes = first.processes
        self.writes = first.writes
        self.device = first.device
        self.tokenizer = getattr(first, "tokenizer", None)
        self._data = {name: task.describe()["data"] for name, task in self.tasks.items()}

    @property
    def no_controls(self) -> str | None:
        """Why there are no controls: they are fitted on one data set."""
        return f"they are fitted on one data set, and {len(self.tasks)} are scored"

    def score(self, stack: Stack | None, split: str, adapter: Adapter | None = None) -> pd.DataFrame:
        """Returns the tables of all data sets below each other; the model is as it was afterwards."""
        return _joined({name: _weighted(task.score(stack, split, adapter)) for name, task in self.tasks.items()})

    @contextmanager
    def searching(self, split: str, cache_gb: float) -> Iterator["SeveralScorer"]:
        """Yields what a search scores its stacks with; the memory is shared out evenly."""
        with ExitStack() as open_scorers:
            scorers = {
                name: open_scorers.enter_context(task.searching(split, cache_gb / len(self.tasks)))
                for name, task in self.tasks.items()
            }
            factors = FactorCache(max_memory_bytes=int(FACTORS * cache_gb * 1e9))
            yield SeveralScorer(scorers, [data[f"n_{split}"] for data in self._data.values()], factors)

    def answer_logits(self, split: str, stack: Stack | None = None) -> AnswerLogits:
        """Raises an error: controls are fitted on one data set."""
        raise InputError(f"no answer logits: {self.no_controls}")

    def answer_name(self, column: int) -> str:
        """Raises an error: controls are fitted on one data set."""
        raise InputError(f"no name of column {column}: {self.no_controls}")

    def metrics(self, table: pd.DataFrame) -> dict[str, Any]:
        """Returns the mean over data sets of each metric, counts summed, and in "data_sets" the metrics of each.

        None where a data set has none; "collapsed" where any is.
        """
        each = {str(name): self.tasks[str(name)].metrics(rows) for name, rows in table.groupby("data", sort=False)}
        found = list(each.values())
        return {key: _over(key, [metrics[key] for metrics in found]) for key in found[0]} | {"data_sets": each}

    def objective(self, table: pd.DataFrame) -> float:
        """Returns the mean accuracy, or minus the mean log loss where a data set is text."""
        numbers = self.metrics(table)
        return float(-numbers["log_loss"] if numbers["accuracy"] is None else numbers["accuracy"])

    def content(self) -> dict[str, Any]:
        """Returns what decides the scores besides edits and split."""
        contents = {name: task.content() for name, task in self.tasks.items()}
        first = next(iter(contents.values()))
        return {
            **{key: first[key] for key in ("model", "architecture") if key in first},
            "data_sets": [[name, content] for name, content in contents.items()],
        }

    def describe(self) -> dict[str, Any]:
        """Returns the record's "model" and "data" entries; the latter has those of each data set in "data_sets"."""
        first = next(iter(self.tasks.values()))
        data = list(self._data.values())
        sizes = [f"{kind}_{split}" for kind in ("n", "groups") for split in SPLITS]
        same = {key: data[0][key] for key in ("split", "scoring") if key in data[0]}
        return {
            "model": first.describe()["model"],
            "data": {
                "name": " + ".join(self.tasks),
                "revision": None,
                **same,
                **{key: sum(entry[key] for entry in data) for key in sizes},
                "data_sets": [{**entry, "name": name} for name, entry in self._data.items()],
            },
        }


class SeveralScorer:
    """Scores stacks on one split of several data sets; see `laser_lit.tasks.base.Scorer`."""

    def __init__(self, scorers: Mapping[str, Scorer], sizes: Sequence[int], factors: FactorCache | None = None) -> None:
        """Keeps the scorers.

        Args:
            scorers: by the name of the data set.
            sizes: rows of each.
            factors: of the model's matrices, for stacks that bring none, so that no scorer keeps its own.
        """
        self._factors = factors
        self._scorers = dict(scorers)
        self.together = all(scorer.together for scorer in scorers.values())
        self._starts = np.concatenate([[0], np.cumsum(sizes)])

    def score(self, stack: Stack | None, rows: Sequence[int] | None = None) -> pd.DataFrame:
        """Returns the table of some rows under a stack, without their weights; the weights are back afterwards."""
        stack = self._with_factors(stack)
        (table,) = self._tables(rows, lambda scorer, own: [scorer.score(stack, own)])
        return table

    def score_many(self, stacks: Sequence[Stack], rows: Sequence[int] | None = None) -> list[pd.DataFrame]:
        """Returns the tables of some rows under each of several stacks, data set by data set."""
        made = [stack.provided(self._factors) for stack in stacks]
        return self._tables(rows, lambda scorer, own: scorer.score_many(made, own))

    def hold(self, stack: Stack | None) -> None:
        """Says that the stacks to come extend this one."""
        stack = self._with_factors(stack)
        for scorer in self._scorers.values():
            scorer.hold(stack)

    def losses(self, rows: Sequence[int]) -> Iterator[Tensor]:
        """Yields differentiable scalars whose sum is the mean log loss of the rows, each data set counting alike.

        A row counts as much as in the objective: rows of a small data set more than those of a large one.
        """
        wanted = np.asarray(rows, dtype=np.int64)
        places = self._places(wanted)
        shares = np.array([len(own) for _, _, own in places]) / np.diff(self._starts)
        for (name, start, own), share in zip(places, shares / shares.sum(), strict=True):
            if len(own):
                for loss in self._scorers[name].losses((wanted[own] - start).tolist()):
                    yield loss * float(share)

    def _tables(
        self, rows: Sequence[int] | None, score: Callable[[Scorer, list[int]], list[pd.DataFrame]]
    ) -> list[pd.DataFrame]:
        """Returns the tables of some rows, from what a data set's scorer says of its own."""
        wanted = np.arange(self._starts[-1]) if rows is None else np.asarray(rows, dtype=np.int64)
        places = [(name, start, own) for name, start, own in self._places(wanted) if len(own)]
        found = [score(self._scorers[name], (wanted[own] - start).tolist()) for name, start, own in places]
        order = np.argsort(np.concatenate([own for _, _, own in places]), kind="stable")
        names = [name for name, _, _ in places]
        joined = (_joined(dict(zip(names, tables, strict=True))) for tables in zip(*found, strict=True))
        return [table.iloc[order].reset_index(drop=True) for table in joined]

    def _with_factors(self, stack: Stack | None) -> Stack | None:
        return None if stack is None else stack.provided(self._factors)

    def _places(self, wanted: np.ndarray) -> list[tuple[str, int, np.ndarray]]:
        """Returns for each data set its name, its first row, and which of the wanted rows are its own."""
        owners = np.searchsorted(self._starts, wanted, side="right") - 1
        return [
            (name, int(self._starts[number]), np.flatnonzero(owners == number))
            for number, name in enumerate(self._scorers)
        ]


def several(config: DictConfig, first: LanguageTask, names: Sequence[str | Mapping[str, Any]]) -> SeveralTasks:
    """Returns the task on the data set of `first` and on further ones, with one model in memory.

    Args:
        config: the whole evaluation config; its `data.limit` is each further data set's too.
        first: the task on `config.data`.
        names: choices of `data=`, or mappings of `name` and the fields of `data` that differ from that choice.

    Raises:
        InputError: no such data set, one without a name, one that is there already, or text beside questions under
            another objective than log_loss.
    """
    tasks = {str(config.data.name): first}
    for given in names:
        data = _data_config(given, config.data.limit)
        try:
            examples = load_data(data)
        except InputError as error:
            raise InputError(f"search.also: {given}: {error}") from error
        task = first.on(_with_data(config, data), examples)
        _refuse_twice(task, tasks, given)
        tasks[_free(data.name, tasks)] = task
    _check_objective({n: isinstance(task.examples, TextSet) for n, task in tasks.items()}, config.search.objective)
    return SeveralTasks(tasks)


def _data_config(given: str | Mapping[str, Any], limit: int | None) -> DataConfig:
    """Returns the data config of an entry of `search.also`."""
    changed = {"limit": limit, **({"name": given} if isinstance(given, str) else dict(given))}
    if "name" not in changed:
        raise InputError(f"search.also: {given} has no name; say which data set it is, as in {{name: fever}}")
    known = [field.name for field in fields(DataConfig)]
    for key in changed:
        if key not in known:
            raise unknown_name("field in search.also", key, known)
    return named_config(str(changed.pop("name")), config_folder(), **changed)


def _with_data(config: DictConfig, data: DataConfig) -> DictConfig:
    other = copy.deepcopy(config)
    other.data = OmegaConf.structured(data)
    return other


def _free(name: str, taken: Mapping[str, Any]) -> str:
    """Returns the name, numbered where it is taken: two files of data=jsonl are jsonl and jsonl 2."""
    if name not in taken:
        return name
    return next(f"{name} {number}" for number in range(2, len(taken) + 2) if f"{name} {number}" not in taken)


def _refuse_twice(task: LanguageTask, others: Mapping[str, LanguageTask], given: object) -> None:
    """Raises an error for examples that another task has, which would count twice."""
    examples = fingerprint(task.examples)
    for name, other in others.items():
        if fingerprint(other.examples) == examples:
            raise InputError(f"search.also: {given} has the examples of {name}, which would count twice: leave it out")


def _check_objective(texts: Mapping[str, bool], objective: str) -> None:
    """Raises an error for text beside questions, whose accuracies have no mean, unless the log loss is what counts."""
    if len(set(texts.values())) == 2 and objective != "log_loss":
        raise InputError(
            f"{' and '.join(name for name in texts if texts[name])} is text, which has no right answers, and "
            f"{' and '.join(name for name in texts if not texts[name])} is questions: their accuracies have no mean. "
            "Give search.objective=log_loss, or leave one kind out"
        )


def _weighted(table: pd.DataFrame) -> pd.DataFrame:
    """Returns the table with weights that sum to 1: by tokens in a text, else each row alike."""
    text = table["correct"].isna().all()
    counts = table["n_tokens"].to_numpy(dtype=np.float64) if text else np.ones(len(table))
    return table.assign(weight=counts / counts.sum())


def _joined(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Returns the tables below each other; weights, where there are any, are 1 on average."""
    named = [
        table.astype({"id": str, "group": str}).assign(
            id=f"{name}/" + table["id"].astype(str), group=f"{name}/" + table["group"].astype(str), data=name
        )
        for name, table in tables.items()
    ]
    joined = pd.concat([table.astype(object) for table in named], ignore_index=True).infer_objects()
    return joined.assign(weight=joined["weight"] / joined["weight"].mean()) if "weight" in joined else joined


def _over(key: str, values: list[Any]) -> Any:
    """Returns a metric over data sets."""
    if key in COUNTS:
        return sum(values)
    if any(value is None for value in values):
        return None
    return any(values) if any(isinstance(value, bool) for value in values) else float(np.mean(values))
