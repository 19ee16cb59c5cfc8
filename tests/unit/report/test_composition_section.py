"""The section of a stack built up edit by edit."""

from dataclasses import replace

import pytest

from laser_lit.report.sections.composition import composition_section
from laser_lit.results.analyses import Analyses
from laser_lit.results.compare import Gain
from laser_lit.results.composition import Composition, Step
from laser_lit.results.record import record_from_dict
from laser_lit.results.scored import Scored


def gain(size, loss=0.5):
    ends = (size - 0.02, size + 0.02)
    return Gain(600, 200, size, ends, 1e-5, 120, 3, 1e-9, loss, (loss - 0.1, loss + 0.1), 1e-5)


def scored(accuracy, over, against=None):
    return Scored(accuracy, 1.5, gain(over), None if against is None else gain(against))


STEPS = (
    Step("layer 2 fc_in rank 1", scored(0.7, 0.1), scored(0.77, 0.2)),
    Step("layer 1 fc_out rho 0.1", scored(0.75, 0.15, 0.05), scored(0.78, 0.21, 0.01)),
    Step("layer 0 q_proj zero", scored(0.8, 0.2, 0.05), scored(0.7, 0.13, -0.08)),
)


@pytest.fixture
def built(record):
    return replace(record, analyses=Analyses(composition=Composition(STEPS)))


def test_each_step_is_judged_against_the_one_before(built, record, predictions):
    assert composition_section(record, predictions) is None
    section = composition_section(built, predictions)
    assert section.paragraphs == (
        "On test, of the steps one after the other: step 1 gains; step 3 loses; step 2 changes nothing beyond chance. "
        "All 3 together gain +13.0 points (95 % interval +11.0 to +15.0, p = 1e-5) over the base.",
    )
    (table,) = section.tables
    assert table.rows[1] == (
        *("2", "layer 1 fc_out rho 0.1", "75.0 %", "+15.0 (+13.0 to +17.0)", "+5.0 (+3.0 to +7.0)"),
        *("78.0 %", "+21.0 (+19.0 to +23.0)", "+1.0 (−1.0 to +3.0)"),
    )
    assert {len(row) for row in table.rows} == {len(table.columns)}
    validation, test = section.figures[0].data
    assert test["y"] == pytest.approx([0, 20, 21, 13])
    assert validation["y"] == pytest.approx([0, 10, 15, 20])
    assert test["error_y"]["array"] == pytest.approx([0, 2, 2, 2])


def test_text_is_judged_by_its_log_loss(built, predictions):
    none = replace(built.test.gain, accuracy=None)
    test = replace(built.test, base={**built.test.base, "accuracy": None}, gain=none)
    section = composition_section(replace(built, test=test), predictions)
    assert section.tables[0].rows[0][2:4] == ("1.500", "+0.500 (+0.400 to +0.600)")
    assert section.figures[0].data[1]["y"] == [0.0, 0.5, 0.5, 0.5]


def test_a_search_by_log_loss_is_judged_by_it_too(built, searched, predictions):
    own = replace(built, search=replace(searched.search, objective="log_loss"))
    section = composition_section(own, predictions)
    assert section.tables[0].columns[2] == "validation: log loss"
    assert "+0.500 nats" in section.paragraphs[0]


def test_it_comes_back_with_the_record(built):
    assert record_from_dict(built.to_dict()).analyses == built.analyses
