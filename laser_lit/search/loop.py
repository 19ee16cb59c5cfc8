"""The one loop under every driver: it scores stacks on validation, writes each cell down, and repeats nothing."""

import logging
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd

from laser_lit.edits.decompose import Calibration
from laser_lit.edits.edit import Edit
from laser_lit.edits.stack import Stack
from laser_lit.errors import InputError
from laser_lit.linalg.cache import FactorCache
from laser_lit.models.matrices import MatrixMap
from laser_lit.results.store import ResultsStore
from laser_lit.search.cell import Cell, Piece
from laser_lit.search.known import Known
from laser_lit.search.objective import Merit, Objective
from laser_lit.search.progress import track
from laser_lit.search.rows import Rows
from laser_lit.search.space import Edits, Space, describe
from laser_lit.tasks.base import Scorer

log = logging.getLogger(__name__)


class Guard(Protocol):
    """What a stack must pass before it is chosen."""

    def passes(self, edits: Edits) -> bool:
        """Returns whether a stack leaves alone what it must."""
        ...


@dataclass(eq=False)
class Loop:
    """Scores stacks for a driver; when made, it reads what is known already and scores the base.

    Attributes:
        scorer: of the validation split.
        space: the candidates.
        objective: what is maximised.
        rows: the validation rows in the search's order.
        matrices: the model's.
        store: where cells are kept.
        content: all that decides the scores besides edits; see `Task.content`.
        seed: of every random choice.
        guard: what a stack must pass before it is chosen.
        calibration: what whitened candidates are calibrated on.
        retry: score cells again that failed before.
        progress: show a progress bar.
        base: the model as it is, on all rows.
        predicted: change of the mean log loss that a gradient predicted for a candidate; for the report.
        path: accepted steps of a greedy search.
        verdicts: whether the guard lets a stack pass, of those that it was asked about.
        fresh: stacks of which this run has scored rows itself, the base left out.
        found: candidates of which the results folder had rows when the search began.

    Raises:
        InputError: the model cannot be scored as it is.
    """

    scorer: Scorer
    space: Space
    objective: Objective
    rows: Rows
    matrices: MatrixMap
    store: ResultsStore
    content: Mapping[str, Any]
    seed: int = field(default=0, kw_only=True)
    guard: Guard | None = field(default=None, kw_only=True)
    calibration: Calibration | None = field(default=None, kw_only=True)
    retry: bool = field(default=False, kw_only=True)
    progress: bool = field(default=False, kw_only=True)
    predicted: dict[Edit, float] = field(default_factory=dict, init=False)
    path: list[Cell] = field(default_factory=list, init=False)
    verdicts: dict[Edits, bool] = field(default_factory=dict, init=False)
    fresh: set[Edits] = field(default_factory=set, init=False)
    found: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self.content = {**self.content, "part": "validation"}
        self._known = Known(self.store, self.content)
        self._asked: dict[Edits, Cell] = {}
        self._tried: set[Edits] = set()
        self._complete: list[tuple[float, Cell]] = []
        self.found = sum(self._known.has((edit,)) for edit in self.space.edits)
        self.base = self.score(())
        if self.base.error is not None:
            raise InputError(f"the model cannot be scored as it is: {self.base.error}")

    @property
    def order(self) -> np.ndarray:
        """(N,) positions of the rows in the split's table, in the search's order."""
        return self.rows.order

    @property
    def groups(self) -> np.ndarray:
        """(N,) name of each row's group."""
        return self.rows.groups

    @property
    def size(self) -> int:
        """N, the number of rows."""
        return len(self.rows.order)

    @property
    def folder(self) -> Path:
        """Where the cells are kept."""
        return self.store.folder

    @property
    def cost(self) -> float:
        """What was asked for so far, the base left out, in whole cells; also what an earlier run had scored."""
        return sum(cell.n for edits, cell in self._asked.items() if edits) / self.size

    @property
    def curve(self) -> list[tuple[float, Merit]]:
        """(cost in whole cells, merit of the best complete cell) after every complete cell, none that was refused."""
        found, best = list[tuple[float, Merit]](), self.objective.merit(self.base)
        for cost, cell in self._complete:
            best = max(best, self.objective.merit(cell)) if self.verdicts.get(cell.edits, True) else best
            found.append((cost, best))
        return found

    @property
    def cells(self) -> list[Cell]:
        """Every stack that was asked for, the base left out, on as many rows as it was asked for at most."""
        return [cell for edits, cell in self._asked.items() if edits]

    def score(self, edits: Edits, n: int | None = None) -> Cell:
        """Returns the score of a stack; only rows that no run has scored yet are scored.

        Args:
            edits: the stack; none score the base.
            n: first rows of the search's order; None is all.
        """
        n = self.size if n is None else min(n, self.size)
        cell = self._known.cell(edits, n)
        again = (self.retry or not edits) and edits not in self._tried  # what ailed the base may not be in the hash
        if cell.n < n and (cell.error is None or again):
            self._tried.add(edits)
            self._add(edits, self._scored(edits, cell.n, n))
            cell = self._known.cell(edits, n)
        self._note(cell)
        return cell

    def prepare(self, stacks: Sequence[Edits]) -> None:
        """Scores stacks that no run has scored yet in passes that they share, where that is faster; `score` finds them.

        Args:
            stacks: that differ in the rank or kind of one matrix alone.
        """
        if not self.scorer.together:
            return
        known = ((edits, self._known.cell(edits, self.size)) for edits in stacks)
        new = [edits for edits, cell in known if cell.n == 0 and cell.error is None]
        if len(new) < 2:
            return
        begin = time.perf_counter()
        try:
            tables = self.scorer.score_many([self.stack(edits) for edits in new], self.order.tolist())
        except Exception as error:  # each is tried by itself then
            log.info("stacks are scored one by one: %s", error)
            return
        seconds = (time.perf_counter() - begin) / len(new)
        for edits, table in zip(new, tables, strict=True):
            self._add(edits, _piece(edits, table, 0, seconds))

    def stack(self, edits: Edits, cache: FactorCache | None = None) -> Stack:
        """Returns a stack of candidates with all that they need.

        Args:
            edits: the candidates.
            cache: where factors are kept.
        """
        return Stack(edits, cache=cache, calibration=self.calibration)

    def knows(self, edits: Edits) -> bool:
        """Returns whether a stack has been scored on all rows, or has failed, in this run or an earlier one.

        Args:
            edits: the stack.
        """
        cell = self._known.cell(edits, self.size)
        return cell.error is not None or cell.n == self.size

    def refresh(self) -> None:
        """Reads what other processes have written since into the results folder."""
        self._known.refresh()

    def hold(self, edits: Edits) -> None:
        """Says that the stacks to come extend this one.

        Args:
            edits: none for the base.
        """
        self.scorer.hold(self.stack(edits) if edits else None)

    def best(self, cells: Iterable[Cell], above: Cell | None = None) -> Cell | None:
        """Returns the best complete cell that beats another one and passes the guard; of equals the first.

        Args:
            cells: to choose from.
            above: what is to be beaten; None is the base.
        """
        least = self.objective.merit(above or self.base)
        complete = [cell for cell in cells if cell.error is None and cell.n == self.size]
        merits = {id(cell): self.objective.merit(cell) for cell in complete}
        for cell in sorted(complete, key=lambda cell: merits[id(cell)], reverse=True):
            if merits[id(cell)] <= least:
                return None
            if self.passes(cell.edits):
                return cell
        return None

    def passes(self, edits: Edits) -> bool:
        """Returns whether the guard lets a stack pass; without one, each does.

        Args:
            edits: the stack.
        """
        if self.guard is None:
            return True
        if edits not in self.verdicts:
            self.verdicts[edits] = self.guard.passes(edits)
        return self.verdicts[edits]

    def note_step(self, cell: Cell) -> None:
        """Keeps an accepted step of a greedy search for the report.

        Args:
            cell: the stack with the step.
        """
        self.path.append(cell)

    def track(self, stacks: Iterable[Edits], label: str) -> Iterator[Edits]:
        """Yields the stacks, and shows how far it is and how long it will take.

        Args:
            stacks: to be scored.
            label: what is being done.
        """
        return track(list(stacks), label, self.progress)

    def _add(self, edits: Edits, piece: Piece) -> None:
        self._known.add(edits, piece)
        if edits:
            self.fresh.add(edits)

    def _scored(self, edits: Edits, start: int, stop: int) -> Piece:
        begin = time.perf_counter()
        try:
            table = self.scorer.score(self.stack(edits) if edits else None, self.order[start:stop].tolist())
        except Exception as error:  # one bad cell must not end a search of thousands
            return _failed(edits, start, time.perf_counter() - begin, f"{type(error).__name__}: {error}")
        return _piece(edits, table, start, time.perf_counter() - begin)

    def _note(self, cell: Cell) -> None:
        before = self._asked.get(cell.edits)
        if before is not None and before.n >= cell.n and cell.error is None:
            return
        self._asked[cell.edits] = cell
        if cell.edits and cell.error is None and cell.n == self.size:
            self._complete.append((self.cost, cell))


def _piece(edits: Edits, table: pd.DataFrame, start: int, seconds: float) -> Piece:
    correct = None if table["correct"].isna().any() else table["correct"].to_numpy(dtype=bool)
    loss = table["log_loss"].to_numpy(dtype=np.float32)
    if not np.isfinite(loss).all():
        return _failed(edits, start, seconds, f"log loss infinite on {np.sum(~np.isfinite(loss))} rows")
    return Piece(start, correct, loss, seconds)


def _failed(edits: Edits, start: int, seconds: float, words: str) -> Piece:
    log.warning("%s cannot be scored: %s", describe(edits) or "the base", words)
    return Piece(start, None, np.zeros(0, dtype=np.float32), seconds, words)
