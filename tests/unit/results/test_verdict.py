"""Verdicts on differences of a known size."""

import numpy as np
import pytest

from laser_lit.errors import InputError
from laser_lit.results.verdict import verdict


def differences(better, worse, n):
    return np.array([1.0] * better + [-1.0] * worse + [0.0] * (n - better - worse))


@pytest.mark.parametrize(
    ("better", "worse", "n", "name"),
    [
        (300, 100, 4000, "gain"),
        (100, 300, 4000, "loss"),
        (40, 40, 8000, "none"),
        (0, 0, 298, "undecided"),
        (0, 0, 299, "none"),
        (300, 280, 2000, "undecided"),
        (3, 3, 50, "undecided"),
    ],
)
def test_the_verdict_of_differences(better, worse, n, name):
    found = verdict(differences(better, worse, n), range(n))
    assert found.name == name
    assert found.difference == pytest.approx((better - worse) / n)
    if found.ci90 != found.ci95:
        assert found.ci95[0] <= found.ci90[0] <= found.difference <= found.ci90[1] <= found.ci95[1]


def test_groups_are_the_units():
    gains = differences(300, 100, 4000)
    assert verdict(gains, range(4000)).name == "gain"
    assert verdict(gains, np.arange(4000) // 400).name == "undecided"
    one = verdict(gains, np.zeros(4000))
    assert (one.name, one.ci95) == ("undecided", None)


def test_the_margin_counts():
    gains = differences(100, 90, 4000)
    assert verdict(gains, range(4000), margin=0.02).name == "none"
    assert verdict(gains, range(4000), margin=0.001).name == "undecided"
    with pytest.raises(InputError, match="margin 0"):
        verdict(gains, range(4000), margin=0)
