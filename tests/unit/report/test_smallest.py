"""What is said of a search for the smallest model."""

import dataclasses

import pandas as pd
import pytest

from laser_lit.report.search import nothing_chosen, search_lines
from laser_lit.report.smallest import smallest_lines
from laser_lit.results.compression import Compression
from laser_lit.results.record import Record

FOUND = Compression(
    **{"delta": 0.05, "matrices": 18, "alone": 14, "parameters": 200_000, "parameters_after": 150_000, "taken": 12},
    **{"all_gain": -0.08, "all_bound": -0.1, "gain": -0.01, "bound": -0.045},
    **{"speed": 1.21, "speed_range": (1.1, 1.3), "repeats": 7, "passes": 8, "whole": 2},
)


@pytest.fixture
def smallest(searched: Record) -> Record:
    search = dataclasses.replace(searched.search, driver="smallest", compression=FOUND)
    return dataclasses.replace(searched, search=search)


def with_test(record: Record, **gain: object) -> Record:
    test = dataclasses.replace(record.test, gain=dataclasses.replace(record.test.gain, **gain))
    return dataclasses.replace(record, test=test)


def test_harm_size_and_speed_are_said(smallest: Record, cells: pd.DataFrame):
    lines = search_lines(smallest, cells)
    assert lines["driver"] == "smallest, fewest entries with an accuracy not worse by 5 points on validation"
    assert lines["matrices that can be cut alone"].startswith("14 of 18; 50 groups are too few")
    assert lines["  all of them together"] == "−8.0, at least −10.0 with 95 % confidence, so not all were cut"
    assert lines["  cut together"] == "12"
    assert lines["against the base, points"].startswith("validation −1.0, at least −4.5 with 95 % confidence")
    assert lines["parameters"] == (
        "200,000 → 150,000 as two factors a matrix, 25.0 % fewer; 2 of the cut matrices the model can only store whole"
    )
    assert lines["forward pass"].startswith("as factors 1.21 × as fast as dense (median of 7 repeats")


@pytest.mark.parametrize(
    ("gain", "verdict"),
    [
        (
            {"accuracy": -0.02, "ci90": (-0.04, 0.0), "ci95": (-0.045, 0.01)},
            "−4.0 with 95 % confidence: not worse than −5 points",
        ),
        ({"accuracy": -0.02, "ci90": (-0.06, 0.0), "ci95": (-0.065, 0.01)}, "above −5 points not shown"),
        ({"accuracy": 0.0, "ci90": (0.0, 0.0), "ci95": (0.0, 0.0), "n_groups": 40}, "above −5 points not shown"),
        ({"accuracy": 0.1, "ci90": None, "ci95": None}, "not known: a single group"),
    ],
)
def test_the_verdict_is_of_the_one_sided_bound_on_test(smallest: Record, gain: dict[str, object], verdict: str):
    assert smallest_lines(with_test(smallest, **gain))["  on test"].endswith(verdict)


def test_all_of_them_are_not_spoken_of_where_they_are_the_choice(smallest: Record):
    everything = dataclasses.replace(FOUND, taken=14)
    record = dataclasses.replace(smallest, search=dataclasses.replace(smallest.search, compression=everything))
    assert "  all of them together" not in smallest_lines(record)


def test_nothing_smaller_is_said_in_its_own_words(in_vain: Record):
    none = Compression(0.05, 18, 0, 200_000, 200_000)
    record = dataclasses.replace(in_vain, search=dataclasses.replace(in_vain.search, compression=none))
    assert nothing_chosen(record) == (
        "nothing: no candidate both saves storage and is shown to be not worse by 5 points on validation, so the model "
        "stays as it is"
    )
    assert list(smallest_lines(record)) == ["matrices that can be cut alone"]
    assert smallest_lines(in_vain) == {}
