"""The order in which a search takes the rows of validation."""

from dataclasses import dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True, eq=False)
class Rows:
    """The rows of the validation split in the order in which a search takes them: group by group, shuffled.

    Attributes:
        order: (N,) positions in the split's table.
        groups: (N,) name of each row's group.
        weights: (N,) what each row counts; 1 on average.
    """

    order: np.ndarray
    groups: np.ndarray
    weights: np.ndarray

    @classmethod
    def of(cls, table: pd.DataFrame, weights: np.ndarray, seed: int) -> "Rows":
        """Returns the rows of a split.

        Args:
            table: of the base.
            weights: (N,) what each row counts.
            seed: of the shuffle.
        """
        names, inverse = np.unique(table["group"].astype(str).to_numpy(), return_inverse=True)
        place = np.random.default_rng(seed).permutation(len(names))
        order = np.argsort(place[inverse], kind="stable")
        return cls(order, names[inverse[order]], weights[order] / weights.mean())
