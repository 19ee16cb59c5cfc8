"""The built-in world shows what the paper found, in the report, each finding with its figure and its interval."""

import pytest

from laser_lit.report.sections.every import sections
from laser_lit.results.record import read_record

SEARCH = ("search=grid", "search.rank=[1]", "search.layers=[1,2]", "search.matrices=[out_proj,fc_in,fc_out]")


def points(text):
    """Returns a number of a table: "+28.5", "−4.5", "37.4 %"."""
    return float(text.replace("−", "-").replace("±", "").split()[0])


def low_end(text):
    """Returns the lower end of an interval: of "+21.4 to +33.5", or of "30 to 45 %"."""
    return points(text.split(" to ")[0])


def rows_of(section, place=0):
    """Returns a table of a section by its rows' headings; a row is a mapping by column."""
    table = section.tables[place]
    return {row[0]: dict(zip(table.columns, row, strict=True)) for row in table.rows}


def assert_the_most_frequent_gain_least(section):
    """Asserts that the most frequent facts gain fewest points, though most of their base errors are fixed."""
    bins = list(rows_of(section).values())
    assert len(bins) == 5
    gains = [points(row["gain, points"]) for row in bins]
    fixed = [points(row["of them fixed"]) for row in bins]
    assert gains.index(min(gains)) == 4
    assert fixed.index(min(fixed)) == 0
    assert low_end(bins[-1]["95 % interval "]) > points(bins[0]["of them fixed"])
    assert "least of all" in section.paragraphs[1]


@pytest.mark.slow
def test_the_papers_findings_are_on_the_page(evaluate):
    run = evaluate("model.facts.seed=0", *SEARCH, "analysis=components")
    record = read_record(run.folder)
    shown = {section.name: section for section in sections(record, run.predictions)}
    page = (run.folder / "report.html").read_text(encoding="utf-8")

    # the best cell is in the last MLP
    (edit,) = record.edits
    assert (edit.layer, edit.matrix, edit.rank) == (2, "fc_in", 1)
    assert 'id="plot-map"' in page
    assert record.test.gain.ci95[0] > 0.1

    # zeroing is worse than rank 1
    zeroed = next(control for control in record.controls if control.name == "same matrices zeroed")
    assert zeroed.accuracy < record.test.base["accuracy"] < record.test.laser["accuracy"]

    assert_the_most_frequent_gain_least(shown["frequency"])

    # the higher-order components alone say the generic word
    alone = rows_of(shown["components"])["dropped by LASER"]
    assert points(alone["generic word"]) > 60
    assert "say 'the' on" in shown["components"].paragraphs[1]

    # robustness to paraphrases rises
    every = rows_of(shown["paraphrases"])["every wording right"]
    assert low_end(every["95 % interval"]) > 10

    # and the mechanism test says what it is
    mechanism = record.analyses.mechanism
    assert mechanism.share_ci95[0] > 0.9
    assert "The edit is a shifted prior over answers here" in shown["mechanism"].paragraphs[0]
    for name in ("frequency", "components", "paraphrases", "mechanism", "calibration", "spectra"):
        assert page.count(f'id="h-{name}"') == 1
        for figure in shown[name].figures:
            assert f'id="plot-{figure.name}"' in page
