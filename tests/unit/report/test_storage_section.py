"""The section of rank reduction against pruning at equal storage."""

from dataclasses import replace

import pytest

from laser_lit.report.sections.storage import storage_section
from laser_lit.results.analyses import Analyses
from laser_lit.results.compare import Gain
from laser_lit.results.record import record_from_dict
from laser_lit.results.scored import Scored
from laser_lit.results.storage import Storage, StoragePoint


def gain(size):
    ends = (size - 0.02, size + 0.02)
    return Gain(600, 200, size, ends, 0.031, 120, 3, 1e-9, 0.5, (0.4, 0.6), 1e-5)


def point(share, kept, low, pruned, difference):
    parts = [
        {split: Scored(accuracy, 1.5, gain(0.1), other) for split in ("validation", "test")}
        for accuracy, other in ((low, gain(difference)), (pruned, None))
    ]
    return StoragePoint(share, kept, (kept // 320,), *parts)


POINTS = (
    point(0.02, 320, 0.83, 0.24, 0.59),
    point(0.1, 1600, 0.6, 0.6, 0.0),
    point(0.5, 7680, 0.55, 0.6, -0.05),
)


@pytest.fixture
def compared(record):
    return replace(record, analyses=Analyses(storage=Storage(1, 16_384, POINTS, own=320)))


def test_who_does_better_where(compared, record, predictions):
    assert storage_section(record, predictions) is None
    section = storage_section(compared, predictions)
    assert section.paragraphs == (
        "On test, with part of the 16,384 numbers of the edited matrix: the low rank does better at 2.0 %; pruning "
        "does better at 46.9 %; neither does beyond chance at 9.8 %.",
    )
    assert "Values alone are counted" in section.note
    (table,) = section.tables
    assert table.rows[0] == ("320", "2.0 %", "1", "83.0 %", "24.0 %", "83.0 %", "24.0 %", "+59.0 (+57.0 to +61.0)")
    assert {len(row) for row in table.rows} == {len(table.columns)}


def test_both_curves_the_base_and_the_runs_own_edits(compared, predictions):
    (figure,) = storage_section(compared, predictions).figures
    low, pruned, own = figure.data
    assert low["y"] == pytest.approx([83, 60, 55])
    assert pruned["y"] == pytest.approx([24, 60, 60])
    assert own["x"] == [pytest.approx(100 * 320 / 16_384, abs=1e-4)]
    assert own["y"] == [pytest.approx(100 * compared.test.laser["accuracy"], abs=1e-3)]
    (base,) = figure.layout["shapes"]
    assert base["y0"] == pytest.approx(100 * compared.test.base["accuracy"], abs=1e-3)
    unknown = replace(compared, analyses=Analyses(storage=replace(compared.analyses.storage, own=None)))
    assert len(storage_section(unknown, predictions).figures[0].data) == 2


def test_text_is_judged_by_its_log_loss(compared, predictions):
    none = replace(compared.test.gain, accuracy=None)
    test = replace(compared.test, base={**compared.test.base, "accuracy": None}, gain=none)
    section = storage_section(replace(compared, test=test), predictions)
    assert section.figures[0].data[0]["y"] == [1.5, 1.5, 1.5]
    assert section.paragraphs[0].endswith("the low rank does better at 2.0 %, 9.8 %, 46.9 %.")


def test_a_search_by_log_loss_is_judged_by_it_too(compared, searched, predictions):
    own = replace(compared, search=replace(searched.search, objective="log_loss"))
    section = storage_section(own, predictions)
    assert section.figures[0].data[0]["y"] == [1.5, 1.5, 1.5]
    assert section.tables[0].rows[0][-1] == "+0.500 (+0.400 to +0.600)"
    assert storage_section(replace(compared, search=searched.search), predictions).figures[0].data[0]["y"][0] == 83


def test_it_comes_back_with_the_record(compared):
    assert record_from_dict(compared.to_dict()).analyses == compared.analyses
