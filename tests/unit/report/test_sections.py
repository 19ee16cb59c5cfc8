"""What a run shows beside its scores: each section from record and predictions alone."""

import dataclasses

import numpy as np
import pytest

from laser_lit.report.html import render_html
from laser_lit.report.sections import every
from laser_lit.report.sections.calibration import calibration_section, reliability
from laser_lit.report.sections.every import asked_paragraphs, sections
from laser_lit.report.sections.mechanism import mechanism_section, mechanism_sentence
from laser_lit.report.sections.paraphrases import paraphrases_section
from laser_lit.report.sections.section import Section
from laser_lit.results.analyses import Analyses, Mechanism
from laser_lit.results.record import Record


@pytest.fixture
def tested(record: Record) -> Record:
    """Returns a record with the mechanism test, of which the interval can be chosen by `dataclasses.replace`."""
    gain = record.test.gain
    found = Mechanism(
        gain=gain,
        left=dataclasses.replace(gain, accuracy=0.0, ci95=(-0.01, 0.01)),
        share=0.98,
        share_ci95=(0.93, 1.03),
        fixed=120,
        fixed_too=117,
        same=580,
        lowered=(("the", -2.0), ("<b>", -0.5)),
        raised=(("Rome", 0.5), ("Paris", 0.4)),
    )
    return dataclasses.replace(record, analyses=Analyses(mechanism=found))


def with_share(record: Record, share: float | None, ci95: tuple[float, float] | None) -> Record:
    found = dataclasses.replace(record.analyses.mechanism, share=share, share_ci95=ci95)
    return dataclasses.replace(record, analyses=Analyses(mechanism=found))


@pytest.mark.parametrize(
    ("share", "ci95", "words"),
    [
        (0.98, (0.93, 1.03), "98 % of it (95 % interval 93 to 103). The edit is a shifted prior"),
        (0.04, (-0.1, 0.2), "4 % of it (95 % interval -10 to 20). Most of what the edit does depends on the question"),
        (0.7, (0.6, 0.8), "Most of what the edit does is a shifted prior; not shown to be all."),
        (0.7, (0.5, 0.89), "Most of what the edit does is a shifted prior; not shown to be all."),
        (0.7, (0.4, 0.95), "Part of the edit is a shifted prior; whether most is, this test split does not settle."),
        (0.2, (-0.2, 0.6), "This test split does not settle how much of it is a shifted prior."),
        (0.7, None, ", 70 % of it."),
        (None, None, "does not differ from 0"),
    ],
)
def test_the_sentence_says_what_the_interval_allows(tested, share, ci95, words):
    assert words in mechanism_sentence(with_share(tested, share, ci95))


def test_one_group_has_no_share_to_tell(tested):
    gain = dataclasses.replace(tested.test.gain, accuracy=0.2, ci95=None, p=None)
    alone = dataclasses.replace(tested, test=dataclasses.replace(tested.test, gain=gain))
    said = mechanism_sentence(with_share(alone, None, None))
    assert said.endswith("; all test examples are one group, which has no interval, so that no share is told.")
    assert "does not differ" not in said


def test_the_mechanism_is_on_the_page_and_only_where_it_was_tested(tested, record, predictions):
    assert mechanism_section(record, predictions) is None
    assert mechanism_sentence(record) == ""
    page = render_html(tested, predictions)
    assert "Of the 120 examples that LASER fixes the constant fixes 117" in page
    assert "<td>&lt;b&gt;" in page or "&lt;b&gt;</th>" in page


@pytest.fixture
def reworded(predictions):
    """Returns predictions in which the questions of a group have one answer, as paraphrases do."""
    return predictions.assign(answer=predictions.groupby("group")["answer"].transform("first"))


def test_paraphrases_count_facts(record, reworded):
    section = paraphrases_section(record, reworded)
    test = reworded[reworded["split"] == "test"]
    (table,) = section.tables
    for row, how in zip(table.rows, ("all", "any"), strict=False):
        for place, who in ((1, "base"), (2, "laser")):
            share = getattr(test.groupby("group")[f"{who}_correct"], how)().mean()
            assert row[place] == f"{100 * share:.1f} %"
    assert "200 facts of 3 wordings" in section.paragraphs[0]


def test_groups_that_are_no_paraphrases_have_no_section(record, reworded):
    alone = reworded.assign(group=reworded["id"])
    several = reworded.assign(answer=[str(i) for i in range(len(reworded))])
    base = reworded.drop(columns=[name for name in reworded if name.startswith("laser_")])
    for table in (alone, several, base):
        assert paraphrases_section(record, table) is None


def test_a_model_that_knows_how_sure_to_be_has_no_error():
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0, 1, 20_000)
    correct = rng.uniform(0, 1, 20_000) < confidence
    groups = np.arange(20_000).astype(str)
    honest, sure = reliability(confidence, correct, groups), reliability(np.ones(20_000), correct, groups)
    assert honest.error < 0.02
    assert sure.error == pytest.approx(1 - correct.mean(), abs=1e-9)
    assert sum(honest.counts) == 20_000
    assert list(honest.confidence) == sorted(honest.confidence)
    for share, (low, high) in zip(honest.accuracy, honest.ci95, strict=True):
        assert low <= share <= high


def test_calibration_needs_confidence_and_enough_examples(record, predictions):
    assert calibration_section(record, predictions) is None
    rng = np.random.default_rng(0)
    sure = predictions.assign(base_confidence=rng.uniform(0.2, 1, len(predictions)), laser_confidence=0.9)
    section = calibration_section(record, sure)
    (figure,) = section.figures
    assert [trace["name"] for trace in figure.data] == ["base", "LASER"]
    assert "calibration error" in section.paragraphs[0]
    assert calibration_section(record, sure[sure["group"].isin(sure["group"].unique()[-5:])]) is None
    assert calibration_section(record, sure.assign(base_confidence=np.nan)) is None


def test_every_section_is_on_the_page_once(tested, reworded):
    found = sections(tested, reworded)
    page = render_html(tested, reworded)
    assert {"mechanism", "paraphrases"} <= {section.name for section in found}
    for section in found:
        assert page.count(f'id="h-{section.name}"') == 1
    names = [figure.name for section in found for figure in section.figures]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("analysis", "name"),
    [
        ({"components": [0.5]}, "components"),
        ({"storage": [0.1]}, "storage"),
        ({"path": True}, "composition"),
        ({"corpus": {"path": "book.txt", "id": None}}, "frequency"),
        ({"corpus": {"path": None, "id": "a/b"}}, "frequency"),
        ({"text": {"data": "text"}}, "general_text"),
    ],
)
def test_the_terminal_gets_the_words_of_what_was_asked_for_and_no_other_section_is_made(
    tested, reworded, monkeypatch, analysis, name
):
    for other in ("components", "storage", "composition", "frequency", "general_text"):
        monkeypatch.setattr(every, f"{other}_section", lambda *args: pytest.fail("made"))
    corpus = {"path": None, "id": None}
    empty = {"components": [], "storage": [], "path": None, "corpus": corpus, "text": {"data": None}}
    for config in ({}, {"analysis": empty}):
        assert asked_paragraphs(dataclasses.replace(tested, config=config), reworded) == []
    asked = dataclasses.replace(tested, config={"analysis": empty | analysis})
    section = Section(name, "Title", ("first", "second"))
    monkeypatch.setattr(every, f"{name}_section", lambda *args: section)
    assert asked_paragraphs(asked, reworded) == ["first", "second"]
    monkeypatch.setattr(every, f"{name}_section", lambda *args: None)
    assert asked_paragraphs(asked, reworded) == []


def test_tables_are_rectangles(tested, reworded):
    sure = reworded.assign(base_confidence=0.5, laser_confidence=0.9)
    for section in sections(tested, sure):
        for table in section.tables:
            assert all(len(row) == len(table.columns) for row in table.rows)
            assert set(table.numbers) <= set(table.columns)
