"""Which examples an edit fixes, by how often their facts were told: from record and predictions alone."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from laser_lit.report.html import render_html
from laser_lit.report.sections.frequency import frequency_section
from laser_lit.results.analyses import Analyses
from laser_lit.results.frequency import Frequency


@pytest.fixture
def told(predictions):
    """Returns predictions whose facts were told as often as their group's number."""
    number = predictions["group"].str.extract(r"(\d+)$", expand=False).astype("Int64")
    return predictions.assign(frequency=number)


def test_bins_hold_the_test_examples_from_rare_to_frequent(record, told):
    section = frequency_section(record, told)
    test = told[told["split"] == "test"]
    (table,) = section.tables
    assert [row[0] for row in table.rows] == ["0 to 39", "40 to 79", "80 to 119", "120 to 159", "160 to 199"]
    for row in table.rows:
        low, high = map(int, row[0].split(" to "))
        part = test[test["frequency"].between(low, high)]
        base, laser = part["base_correct"].astype(bool), part["laser_correct"].astype(bool)
        assert row[1:4] == (f"{len(part)}", f"{100 * base.mean():.1f} %", f"{100 * laser.mean():.1f} %")
        assert row[7] == f"{100 * laser[~base].mean():.1f} %"
        assert row[9] == f"{(base & ~laser).sum()}"


def test_cumulative_accuracy_ends_at_the_accuracy_of_the_split(record, told):
    section = frequency_section(record, told)
    test = told[told["split"] == "test"]
    for trace, who in zip(section.figures[0].data, ("base", "laser"), strict=True):
        assert trace["y"][-1] == pytest.approx(100 * test[f"{who}_correct"].mean(), abs=1e-3)
        first = test[test["frequency"] == 0]
        assert (trace["x"][0], trace["y"][0]) == (1, pytest.approx(100 * first[f"{who}_correct"].mean(), abs=1e-3))


def test_equal_frequencies_stay_in_one_bin(record, told):
    section = frequency_section(record, told.assign(frequency=told["frequency"].clip(upper=50)))
    rows = section.tables[0].rows
    assert sum(int(row[1]) for row in rows) == 600
    assert [row[0] for row in rows] == ["0 to 39", "40 to 50"]
    alone = frequency_section(record, told.assign(frequency=3))
    assert "All 600 examples are one part, told 3 times" in alone.paragraphs[1]
    assert alone.figures == ()  # one frequency makes no line


def test_facts_that_are_never_told_are_a_part_of_their_own(record, told):
    rare = told.assign(frequency=(told["frequency"] - 150).clip(lower=0))
    section = frequency_section(record, rare)
    rows = section.tables[0].rows
    assert [(row[0], row[1]) for row in rows[:2]] == [("0", "453"), ("1 to 13", "39")]
    assert sum(int(row[1]) for row in rows) == 600
    assert section.paragraphs[1].startswith("The rarest part gains")


def test_what_has_no_subject_is_left_out_and_said(record, told):
    some = told.assign(frequency=told["frequency"].mask(np.arange(len(told)) % 2 == 0))
    counted = dataclasses.replace(record, analyses=Analyses(frequency=Frequency("wiki.txt", "documents", 1234)))
    first = frequency_section(counted, some).paragraphs[0]
    assert "the number of documents, of 1,234 in wiki.txt, that mention subject and answer" in first
    assert "300 of 600 test examples have no subject" in first
    assert "about facts that none mentions" in first


def test_the_sentence_has_gains_and_shares_with_intervals(record, told):
    fixed = told.assign(laser_correct=told["base_correct"].astype(bool) | (told["frequency"] >= 160))
    (_, sentence) = frequency_section(record, fixed).paragraphs
    assert "The rarest fifth gains ±0.0 points" in sentence
    assert "100 % of its" in sentence
    assert ", most of all; 100 %" in sentence


@pytest.mark.parametrize(
    "change",
    [
        lambda table: table.drop(columns="frequency"),
        lambda table: table.drop(columns="laser_correct"),
        lambda table: table.assign(frequency=pd.NA),
        lambda table: table.assign(base_correct=None),
    ],
)
def test_there_is_no_section_without_frequencies_edits_or_right_and_wrong(record, told, change):
    assert frequency_section(record, change(told)) is None


def test_the_page_has_it(record, told):
    page = render_html(record, told)
    assert "frequency_cumulative" in page
    assert "By how often the fact was told" in page
