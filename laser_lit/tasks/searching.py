"""What a search scores a language model's stacks with."""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Sequence
from functools import partial
from types import TracebackType

import pandas as pd
import torch
from torch import Tensor, nn

from laser_lit.edits.stack import Stack
from laser_lit.linalg.cache import FactorCache
from laser_lit.models.matrices import MatrixHandle, MatrixMap
from laser_lit.scoring.batches import Batch, Batches
from laser_lit.scoring.forward import MAX_LOGITS, Run, logits_of, score_batch
from laser_lit.scoring.heap import Heap
from laser_lit.scoring.inputs import input_device
from laser_lit.scoring.last_layer import LastLayer
from laser_lit.scoring.request import RequestScore
from laser_lit.scoring.resume import Edited, Resume
from laser_lit.scoring.states import States
from laser_lit.scoring.together import copied, module_of, multiplied, only_difference
from laser_lit.scoring.working import peak_bytes

Tabulate = Callable[[list[RequestScore]], pd.DataFrame]
Prepare = Callable[[Sequence[int] | None, int | None], tuple[Batches, Tabulate]]
Losses = Callable[[Sequence[int]], Iterator[Tensor]]

STATES, FACTORS, WORKING = 0.4, 0.25, 0.12
"""Shares of the budget: recorded states, factors of matrices, and the tensors of a pass, which on the CPU tear holes
into the heap that can come to twice as much again."""
ASIDE = 2**26
"""Bytes that code, tables and the interpreter take, at most half of the budget."""
TIDY = 0.68
"""Share of the budget by which the process may grow before free memory is handed back after each batch."""
MOST_PLANS = 32
"""Sets of rows whose batches are kept."""


class LanguageScorer:
    """Scores stacks on one split of a language task; see `laser_lit.tasks.base.Scorer`.

    A context: what it keeps, files included, is gone when the context closes.

    Attributes:
        together: whether `score_many` lets stacks share passes; at first on CUDA alone.
    """

    def __init__(
        self, model: nn.Module, matrices: MatrixMap, prepare: Prepare, losses: Losses, cache_gb: float
    ) -> None:
        """Measures how large a pass is.

        Args:
            model: in eval mode, where it is to run.
            matrices: the model's.
            prepare: rows of the split (None: all) and most tokens in a batch (None: no bound) -> their requests in
                batches, and what makes the table of them from the scores.
            losses: rows of the split -> scalars as `losses` yields them.
            cache_gb: most memory beyond the model, in 1e9 bytes, unless a pass of a single sequence takes more.
        """
        budget = max(int(cache_gb * 1e9) - ASIDE, int(cache_gb * 5e8))
        self._model = model
        self._matrices = matrices
        self._prepare = prepare
        self._losses = losses
        self._factors = FactorCache(max_memory_bytes=int(FACTORS * budget))
        self._states = States(int(STATES * budget))
        self._resume = Resume(model, matrices, self._states)
        self._last = LastLayer(model, matrices, self._resume.stages)
        self._working = int(WORKING * budget)
        self._max_tokens = _tokens_within(model, prepare(None, None)[0], self._working)
        self.together = input_device(model).type == "cuda"
        self._heap = Heap(int(TIDY * budget))
        self._plans: OrderedDict[Hashable, tuple[list[Batch], Tabulate]] = OrderedDict()

    def __enter__(self) -> "LanguageScorer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._states.close()

    def score(self, stack: Stack | None, rows: Sequence[int] | None = None) -> pd.DataFrame:
        """Returns the table of some rows under a stack; the weights are back afterwards."""
        stack = self._with_factors(stack)
        name, batches, tabulate = self._plan(rows)
        run = self._run(name, self._edited(stack))
        self._states.next_round()
        with stack.applied(self._matrices):
            return tabulate([score for batch in batches for score in self._scores(batch, run)])

    def score_many(self, stacks: Sequence[Stack], rows: Sequence[int] | None = None) -> list[pd.DataFrame]:
        """Returns the tables of some rows under each of several stacks, of as many at a time as fit.

        Stacks that differ in a single matrix (the ranks of one matrix, say) share their passes on an accelerator, where
        a small batch leaves most of it idle; others are scored one after another.

        Args:
            stacks: at least one.
            rows: as in `score`.
        """
        made = [self._with_factors(stack) for stack in stacks]
        tables = [self.score(made[0], rows)]  # records what the passes of the others begin with
        handle = only_difference(made, self._matrices) if self.together and len(made) > 2 else None
        module = None if handle is None else module_of(self._model, self._matrices, handle)
        if handle is None or module is None:
            return tables + [self.score(stack, rows) for stack in made[1:]]
        size = self._copies(handle, rows)
        while len(tables) < len(made):
            group = made[len(tables) : len(tables) + size]
            try:
                tables += self._scored_together(group, handle, module, rows)
            except torch.OutOfMemoryError:
                if size == 1:
                    raise
                size = 1
        return tables

    def _copies(self, handle: MatrixHandle, rows: Sequence[int] | None) -> int:
        """Returns how many copies of each batch of the rows, and of a matrix, a pass may have."""
        most = self._working // (handle.parameter.numel() * handle.parameter.element_size())
        for batch in self._plan(rows)[1]:
            if batch.max_new_tokens:
                return 1
            tokens, logits = batch.input_ids.numel(), logits_of(self._model, batch)
            most = min(most, self._max_tokens // tokens, MAX_LOGITS // logits)
        return max(1, most)

    def _scored_together(
        self, stacks: Sequence[Stack], handle: MatrixHandle, module: nn.Module, rows: Sequence[int] | None
    ) -> list[pd.DataFrame]:
        if len(stacks) == 1:
            return [self.score(stacks[0], rows)]
        name, batches, tabulate = self._plan(rows)
        run = self._run(name, self._edited(stacks[0]), len(stacks))
        weights = torch.stack([self._matrix(stack, handle) for stack in stacks])  # (copies, out, in)
        scores: list[list[RequestScore]] = [[] for _ in stacks]
        self._states.next_round()
        with stacks[0].applied(self._matrices), multiplied(module, weights):
            for batch in batches:
                found, n = score_batch(self._model, copied(batch, len(stacks)), run=run), len(batch.numbers)
                for number, own in enumerate(scores):
                    own += found[number * n : (number + 1) * n]
        return [tabulate(own) for own in scores]

    def _matrix(self, stack: Stack, handle: MatrixHandle) -> Tensor:
        with stack.applied(self._matrices):
            return handle.read()

    def hold(self, stack: Stack | None) -> None:
        """Says that the stacks to come extend this one, so that what they share with it is computed once."""
        self._resume.hold(self._edited(self._with_factors(stack)))

    def losses(self, rows: Sequence[int]) -> Iterator[Tensor]:
        """Yields differentiable scalars whose sum is the mean log loss of the rows."""
        yield from self._losses(rows)

    def _scores(self, batch: Batch, run: Run) -> list[RequestScore]:
        try:
            scores = score_batch(self._model, batch, run=run)
        except torch.OutOfMemoryError:
            if not self._states.memory_bytes:
                raise
            self._states.leave_memory()
            torch.cuda.empty_cache()
            scores = score_batch(self._model, batch, run=run)
        self._heap.tidy()
        return scores

    def _with_factors(self, stack: Stack | None) -> Stack:
        return Stack([]) if stack is None else stack.provided(self._factors)

    def _edited(self, stack: Stack) -> Edited:
        edits = {
            id: (stack.svd, tuple(edit.action for edit in listed))
            for id, listed in stack.by_matrix(self._matrices).items()
        }
        return self._resume.edited(edits)

    def _plan(self, rows: Sequence[int] | None) -> tuple[Hashable, list[Batch], Tabulate]:
        """Returns a name of the rows, their batches and what makes their table; each made once."""
        name = None if rows is None else tuple(rows)
        if name not in self._plans:
            batches, tabulate = self._prepare(name, self._max_tokens)
            self._plans[name] = (list(batches), tabulate)
        self._plans.move_to_end(name)
        if len(self._plans) > MOST_PLANS:
            gone, _ = self._plans.popitem(last=False)
            self._resume.forget(lambda batch: batch[0] != gone)
        return name, *self._plans[name]

    def _run(self, name: Hashable, edited: Edited, copies: int = 1) -> Run:
        """Returns what runs the passes of the batches of some rows, each so many times over, under a stack."""

        def run(batch: Batch, forward: Callable[[], Tensor]) -> Tensor:
            numbers = batch.numbers[: len(batch.numbers) // copies]
            self._last.check(batch, forward)
            with self._last.picked(batch):
                return self._resume.run(forward, (name, numbers, self._last.picks(batch)), edited, copies)

        return run


def _tokens_within(model: nn.Module, batches: Batches, budget: int) -> int:
    """Returns how many tokens a batch may have for its pass to stay within the budget, by passes of one sequence.

    One is passed of each number of tokens to generate, the longest: a token of a shorter one takes less.
    """
    found: dict[int, int] = {}
    for number in range(len(batches)):
        batch = batches[number]
        if batch.max_new_tokens not in found:
            tokens = batch.input_ids.shape[1] + batch.max_new_tokens
            taken = peak_bytes(partial(score_batch, model, batch.part(0, 1)))
            found[batch.max_new_tokens] = budget * tokens // max(1, taken)
    return max(1, min(found.values(), default=1))
