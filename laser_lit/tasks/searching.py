"""What a search scores a language model's stacks with."""

from collections.abc import Callable, Iterator, Sequence

import pandas as pd
from torch import Tensor, nn

from laser_lit.edits.stack import Stack
from laser_lit.models.matrices import MatrixMap
from laser_lit.scoring.batches import Batches
from laser_lit.scoring.forward import score_batch
from laser_lit.scoring.request import RequestScore

Tabulate = Callable[[list[RequestScore]], pd.DataFrame]
Prepare = Callable[[Sequence[int] | None], tuple[Batches, Tabulate]]
Losses = Callable[[Sequence[int]], Iterator[Tensor]]


class LanguageScorer:
    """Scores stacks on one split of a language task; see `laser_lit.tasks.base.Scorer`."""

    def __init__(self, model: nn.Module, matrices: MatrixMap, prepare: Prepare, losses: Losses) -> None:
        """Keeps what is scored.

        Args:
            model: in eval mode, where it is to run.
            matrices: the model's.
            prepare: rows of the split -> their requests in batches, and what makes the table of them from the scores.
            losses: see `laser_lit.tasks.base.Scorer`.
        """
        self._model = model
        self._matrices = matrices
        self._prepare = prepare
        self._losses = losses

    def score(self, stack: Stack | None, rows: Sequence[int] | None = None) -> pd.DataFrame:
        """Returns the table of some rows under a stack; the weights are back afterwards."""
        batches, tabulate = self._prepare(rows)
        with (stack or Stack([])).applied(self._matrices):
            return tabulate([score for batch in batches for score in score_batch(self._model, batch)])

    def hold(self, stack: Stack | None) -> None:
        """Says that the stacks to come extend this one."""

    def losses(self, rows: Sequence[int]) -> Iterator[Tensor]:
        """Returns differentiable scalars, a micro-batch each, whose sum is the mean log loss of the rows."""
        return self._losses(rows)
