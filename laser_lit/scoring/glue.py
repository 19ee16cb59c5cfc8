"""GLUE's own metrics.

Source: Wang et al. 2018, "GLUE" (arXiv 1804.07461), section 3.
"""

import numpy as np

from laser_lit.data.glue import TASKS
from laser_lit.errors import InputError, unknown_name


def glue_metrics(task: str, predicted: np.ndarray, gold: np.ndarray) -> dict[str, float]:
    """Returns the metrics of a task, its main one first.

    CoLA: Matthews correlation. MRPC and QQP: F1 of label 1, accuracy. STS-B: Pearson and Spearman correlation. The
    others: accuracy. What a constant prediction leaves undefined is 0.

    Args:
        task: as typed after `data.task=`.
        predicted: (n,) numbers of the predicted labels; scores for STS-B.
        gold: (n,) the right ones.

    Raises:
        InputError: an unknown task, no rows, rows of different number, or a value that is not finite.
    """
    if task not in TASKS:
        raise unknown_name("task of GLUE", task, TASKS)
    predicted, gold = np.asarray(predicted, dtype=np.float64), np.asarray(gold, dtype=np.float64)  # (n,), (n,)
    if predicted.ndim != 1 or predicted.shape != gold.shape or not predicted.size:
        raise InputError(
            f"{task}: predictions of shape {predicted.shape} for labels of shape {gold.shape}; must be (n,) both, n > 0"
        )
    if not (np.isfinite(predicted).all() and np.isfinite(gold).all()):
        raise InputError(f"{task}: a prediction or label is not finite")
    if task == "stsb":
        return {"pearson": _pearson(predicted, gold), "spearman": _spearman(predicted, gold)}
    if task == "cola":
        return {"matthews": _pearson(predicted, gold)}  # of two labels, Pearson's coefficient is Matthews's
    accuracy = float((predicted == gold).mean())
    return (
        {"f1": _f1(predicted == 1, gold == 1), "accuracy": accuracy}
        if task in ("mrpc", "qqp")
        else {"accuracy": accuracy}
    )


def _pearson(a: np.ndarray, b: np.ndarray) -> float:
    if (a == a[0]).all() or (b == b[0]).all():
        return 0.0
    a, b = a - a.mean(), b - b.mean()
    a, b = a / np.abs(a).max(), b / np.abs(b).max()  # squares of tiny or huge scores would leave the range
    return float(np.clip(a @ b / np.sqrt((a @ a) * (b @ b)), -1, 1))


def _spearman(a: np.ndarray, b: np.ndarray) -> float:
    from scipy.stats import rankdata  # loaded where it is needed

    return _pearson(rankdata(a), rankdata(b))


def _f1(predicted: np.ndarray, gold: np.ndarray) -> float:
    marked = int(predicted.sum() + gold.sum())
    return 2 * int((predicted & gold).sum()) / marked if marked else 0.0
