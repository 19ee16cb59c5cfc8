"""What a control has done."""

from dataclasses import dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class ControlResult:
    """A remedy fitted on validation, with its outcome on every test example.

    Attributes:
        name: what it is, as in "batch calibration".
        fitted: what was chosen on validation, in words.
        validation_accuracy: share of right answers on the split that it was fitted on.
        correct: (n,) bool, in the order of the test table.
        log_loss: (n,) nats; NaN where it is not that of the tables.
    """

    name: str
    fitted: str
    validation_accuracy: float
    correct: np.ndarray
    log_loss: np.ndarray

    @property
    def accuracy(self) -> float:
        """Returns the share of right answers on the test split."""
        return float(self.correct.mean())

    def table(self, base: pd.DataFrame) -> pd.DataFrame:
        """Returns the control's rows for a paired comparison: id and group of the base's, own correct and log_loss.

        Args:
            base: the base's test table.
        """
        return base[["id", "group"]].assign(correct=self.correct, log_loss=self.log_loss)
