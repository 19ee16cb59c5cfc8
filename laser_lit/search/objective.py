"""What a search maximises on validation."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from laser_lit.errors import unknown_name
from laser_lit.search.cell import Cell

OBJECTIVES = ("accuracy", "log_loss")
Merit = tuple[float, float]
"""What cells are ordered by, higher is better; the second number breaks ties."""


@dataclass(frozen=True, eq=False)
class Objective:
    """How a cell is judged.

    Attributes:
        name: "accuracy" (ties by log loss) or "log_loss".
        weights: (N,) what each row counts, in the search's order; 1 on average.
    """

    name: str
    weights: np.ndarray

    def __post_init__(self) -> None:
        if self.name not in OBJECTIVES:
            raise unknown_name("search.objective", self.name, OBJECTIVES)

    def merit(self, cell: Cell) -> Merit:
        """Returns (accuracy, minus mean log loss) or (minus mean log loss, 0) of the rows that the cell has.

        Args:
            cell: without an error.
        """
        loss = float(np.average(cell.log_loss, weights=self.weights[: cell.n]))
        if self.name == "log_loss":
            return -loss, 0.0
        return float(np.average(self.values(cell), weights=self.weights[: cell.n])), -loss

    def values(self, cell: Cell) -> np.ndarray:
        """Returns (n,) what each row contributes: right or not, or minus its log loss.

        Args:
            cell: without an error.
        """
        if self.name == "log_loss" or cell.correct is None:
            return -cell.log_loss.astype(np.float64)
        return cell.correct.astype(np.float64)

    def gains(self, cells: Sequence[Cell], base: Cell) -> np.ndarray:
        """Returns (cells, n) what each row of each cell gains over the base's.

        Args:
            cells: at least one, without errors, all on the base's rows.
            base: what they are compared with.
        """
        values = self.values(base)
        return np.stack([self.values(cell) - values for cell in cells])
