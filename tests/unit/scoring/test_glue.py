"""GLUE's metrics against scikit-learn's and SciPy's, and where they are undefined."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from laser_lit.errors import InputError
from laser_lit.scoring.glue import glue_metrics

LABELS = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=1, max_size=40)


@given(LABELS)
def test_labels_are_measured_as_scikit_learn_does(pairs: list[tuple[int, int]]) -> None:
    metrics: Any = pytest.importorskip("sklearn.metrics")
    predicted, gold = (np.array(column) for column in zip(*pairs, strict=True))
    accuracy = pytest.approx(metrics.accuracy_score(gold, predicted))
    found = glue_metrics("mrpc", predicted, gold)
    assert list(found) == ["f1", "accuracy"]
    assert found["f1"] == pytest.approx(metrics.f1_score(gold, predicted, zero_division=0))
    assert found["accuracy"] == accuracy == glue_metrics("rte", predicted, gold)["accuracy"]
    cola = glue_metrics("cola", predicted, gold)
    if len(set(gold)) == len(set(predicted)) == 2:  # scikit-learn warns of fewer
        assert cola["matthews"] == pytest.approx(metrics.matthews_corrcoef(gold, predicted), abs=1e-12)
    else:
        assert cola == {"matthews": 0.0}


@pytest.mark.parametrize("scale", [1e-200, 1.0, 1e200])
def test_scores_are_correlated_as_scipy_does(scale: float) -> None:
    from scipy.stats import pearsonr, spearmanr

    rng = np.random.default_rng(0)
    gold = rng.integers(0, 6, 50).astype(float)
    predicted = gold + rng.normal(size=50)
    found = glue_metrics("stsb", predicted * scale, gold)
    assert list(found) == ["pearson", "spearman"]
    assert found["pearson"] == pytest.approx(pearsonr(predicted, gold)[0])
    assert found["spearman"] == pytest.approx(spearmanr(predicted, gold)[0])
    assert 0.5 < found["pearson"] < 0.95


def test_by_hand() -> None:
    predicted, gold = np.array([1, 1, 0, 0, 1]), np.array([1, 0, 0, 1, 1])
    assert glue_metrics("qqp", predicted, gold) == {"f1": pytest.approx(2 / 3), "accuracy": 0.6}
    assert glue_metrics("cola", predicted, gold)["matthews"] == pytest.approx((2 * 1 - 1 * 1) / 6)
    assert glue_metrics("mnli", np.array([0, 1, 2]), np.array([0, 2, 2])) == {"accuracy": pytest.approx(2 / 3)}


@pytest.mark.parametrize("task", ["cola", "stsb", "mrpc"])
def test_what_a_constant_leaves_undefined_is_zero(task: str) -> None:
    found = glue_metrics(task, np.zeros(4), np.array([0, 1, 1, 1]))
    assert next(iter(found.values())) == 0.0


def test_what_cannot_be_measured_is_said() -> None:
    with pytest.raises(InputError, match="unknown task of GLUE 'sst'; nearest: sst2"):
        glue_metrics("sst", np.zeros(2), np.zeros(2))
    for predicted, gold in (([], []), ([1], [1, 0]), ([[1]], [[1]])):
        with pytest.raises(InputError, match=r"cola: predictions of shape .*must be \(n,\) both"):
            glue_metrics("cola", np.array(predicted), np.array(gold))
    with pytest.raises(InputError, match="stsb: a prediction or label is not finite"):
        glue_metrics("stsb", np.array([1.0, np.nan]), np.array([1.0, 2.0]))
