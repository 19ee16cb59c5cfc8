import dataclasses

import pytest

from laser_lit.report.findings import opened
from laser_lit.report.wording import (
    amount,
    changes,
    interval,
    matrix_name,
    p_value,
    plural,
    signed,
    value,
    what_was_done,
)
from laser_lit.results.record import AppliedEdit, Record, SplitResult


@pytest.mark.parametrize(
    ("p", "text"),
    [
        (None, ""),
        (1.0, "p = 1"),
        (0.031, "p = 0.031"),
        (1e-5, "p = 1e-5"),
        (3.42e-49, "p = 3.4e-49"),
        (0.0, "p < 1e-300"),
    ],
)
def test_p_values_read_as_people_write_them(p: float | None, text: str):
    assert p_value(p) == text


def test_one_is_no_plural():
    assert [plural(count, "stack") for count in (0, 1, 2400)] == ["0 stacks", "1 stack", "2,400 stacks"]


def test_numbers_keep_what_matters():
    assert [value(number, False) for number in (1.23456, 62.04, 4321.7, 9.5e7, None)] == [
        *("1.235", "62.0", "4322", "9.50e+07", "")
    ]
    assert value(0.5789, True) == "57.9 %"
    assert [signed(number, True) for number in (0.193, -0.02, 0.0, -0.0001)] == ["+19.3", "−2.0", "±0.0", "±0.0"]
    assert interval((-0.01, 0.2), True) == "−1.0 to +20.0"
    assert "single group" in interval(None, True)


def test_less_log_loss_is_better_and_flags_are_no_numbers():
    result = SplitResult(
        base={"accuracy": 0.5, "log_loss": 2.0, "collapsed": False, "f1": None},
        laser={"accuracy": 0.4, "log_loss": 1.5, "collapsed": True, "f1": None},
    )
    assert [(row.metric.key, row.change, row.better) for row in changes(result)] == [
        ("accuracy", "−10.0", False),
        ("log_loss", "−0.500", True),
    ]


@pytest.mark.parametrize(
    ("edit", "name", "kept"),
    [
        (AppliedEdit(27, "fc_in", "w", 40, 0.01, "low_rank", 0.9, d=4096), "layer 27 fc_in", "rank 40 of 4096"),
        (
            AppliedEdit(2, "q_proj", "w", 3, 0.1, "high_order", 0.9, part="decoder"),
            "decoder layer 2 q_proj",
            "without the first 3",
        ),
        (AppliedEdit(3, "fc_in", "w", None, None, "zero", 1.0, expert=5), "layer 3 fc_in expert 5", "zeroed"),
        (AppliedEdit(3, "fc_in", "w", None, 0.25, "prune", 0.2), "layer 3 fc_in", "keeps 25.0 % of the entries"),
        (
            AppliedEdit(3, "fc_in", "w", 4, 0.25, "low_rank", 0.2, d=16, decomposition="whitened"),
            "layer 3 fc_in",
            "rank 4 of 16 whitened",
        ),
        (
            AppliedEdit(3, "fc_in", "w", 4, 0.25, "high_order", 0.2, d=16, decomposition="blocks", blocks=2),
            "layer 3 fc_in",
            "without the first 4 of 16 in 2 blocks",
        ),
    ],
)
def test_edits_are_named_in_words(edit: AppliedEdit, name: str, kept: str):
    assert (matrix_name(edit), amount(edit)) == (name, kept)


def test_the_phrase_for_what_was_done(record: Record):
    assert what_was_done(record) == "layer 2 fc_in cut to rank 1 of 64"


def test_several_looks_flatter_only_where_something_was_tried(record: Record, in_vain: Record):
    assert opened(record).endswith(
        "scored 3 times, by the count of this results folder; the best of several looks is too good."
    )
    assert opened(in_vain).endswith("scored 3 times, by the count of this results folder.")
    once = dataclasses.replace(record, test_opened=1)
    assert opened(once).endswith("scored once, by the count of this results folder.")
    assert "not known" in opened(dataclasses.replace(record, test_opened=None))
