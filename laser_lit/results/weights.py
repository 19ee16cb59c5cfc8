"""How much a row of a table counts."""

import numpy as np
import pandas as pd


def row_weights(table: pd.DataFrame) -> np.ndarray:
    """Returns (n,) what each row counts in a mean: its column `weight`, else its tokens (text), else 1.

    Args:
        table: of one split; of text, rows are windows and have no right or wrong.
    """
    if "weight" in table.columns:
        return table["weight"].to_numpy(dtype=np.float64)
    if table["correct"].isna().all():
        return table["n_tokens"].to_numpy(dtype=np.float64)
    return np.ones(len(table))
