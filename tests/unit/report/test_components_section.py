"""What the dropped components answer alone, on the page."""

import dataclasses

import pytest

from laser_lit.report.html import render_html
from laser_lit.report.sections.components import components_section
from laser_lit.results.analyses import Analyses
from laser_lit.results.components import Alone, Answers, Components, Share, Word


def share(value: float) -> Share:
    return Share(value, (value - 0.1, value + 0.1))


def answers(accuracy: float, generic: float | None, category: float | None = None) -> Answers:
    words = (Word("the", 0.8, 61317), Word("<b>", 0.2))
    kinds = [None if kind is None else share(kind) for kind in (generic, category)]
    return Answers(share(accuracy), *kinds, cosine=share(0.9), closer=share(0.01), words=words)


@pytest.fixture
def analysed(record):
    """Returns a function from changes of the entry to a record."""

    def part(name, kept, generic, alone=None):
        return Alone(name, alone, (kept,), answers(0.2, generic, 0.3), answers(0.6, generic, 0.7))

    found = Components(
        **{"generic": ("the",), "n_fixed": 120, "groups_fixed": 60, "n_right": 300, "left_out": 7},
        base=part("base", 64, 1.0),
        laser=part("LASER", 1, 0.0),
        zeroed=part("zeroed", 0, 0.5),
        alone=(part("bottom 5 %", 3, 0.5, 0.05), part("dropped by LASER", 63, 0.83)),
        generic_added=Share(0.02, (-0.03, 0.08)),
        generic_added_right=Share(0.3, (0.26, 0.35)),
    )
    return lambda **changes: dataclasses.replace(
        record, analyses=Analyses(components=dataclasses.replace(found, **changes))
    )


def test_the_words_say_what_is_said_and_what_the_components_add(analysed, predictions):
    first, second, third = components_section(analysed(), predictions).paragraphs
    assert "the 120 test examples in 60 groups that LASER fixes and, beside them, the 300" in first
    several = components_section(analysed(generic=("the", "a")), predictions).paragraphs
    assert "say the generic word of the category on 83 %" in several[1]
    assert "7 test examples have longer answers" in first
    assert "drops say 'the' on 83 % (73 to 93 %), are right on 20 % (10 to 30 %) and give an answer" in second
    assert "With the matrices zeroed it is 'the' on 50 %, right on 20 %." in second
    assert "+2.0 points (95 % interval −3.0 to +8.0, no clear change) on the examples that LASER fixes" in third
    assert "+30.0 points (95 % interval +26.0 to +35.0, more) on those right anyway" in third


def test_figure_and_tables_go_from_no_component_to_all(analysed, predictions):
    section = components_section(analysed(), predictions)
    (figure,) = section.figures
    assert figure.data[0]["x"] == pytest.approx([0, 100 * 3 / 64, 100 * 63 / 64, 100])
    assert [trace["name"] for trace in figure.data] == ["right", "says 'the'", "right category"]
    assert figure.data[1]["y"] == pytest.approx([50, 50, 83, 100])
    fixed, right, words = section.tables
    assert [row[0] for row in fixed.rows] == ["zeroed", "bottom 5 %", "dropped by LASER", "base", "LASER"]
    assert fixed.rows[2][2:5] == ("20.0 % (10.0 to 30.0)", "83.0 % (73.0 to 93.0)", "30.0 % (20.0 to 40.0)")
    assert right.rows[0][2] == "60.0 % (50.0 to 70.0)"
    assert words.rows[0][2] == "the 80 % (61,317), <b> 20 %"


def test_what_laser_drops_stands_among_the_shares_by_how_many_components_it_has(analysed, predictions):
    whole = analysed().analyses.components
    few, dropped = whole.alone
    middle = dataclasses.replace(dropped, kept=(45,))
    many = dataclasses.replace(few, name="bottom 90 %", share=0.9, kept=(57,))
    section = components_section(analysed(alone=(few, many, middle)), predictions)
    assert section.figures[0].data[0]["x"] == pytest.approx([100 * n / 64 for n in (0, 3, 45, 57, 64)])
    assert section.figures[0].data[1]["y"] == pytest.approx([50, 50, 83, 50, 100])
    for table in section.tables:
        names = ["zeroed", "bottom 5 %", "dropped by LASER", "bottom 90 %", "base", "LASER"]
        assert [row[0] for row in table.rows] == names
    first = components_section(analysed(alone=(dropped, few)), predictions)
    assert "drops say 'the' on 83 %" in first.paragraphs[1]


def test_what_there_is_not_is_left_out(analysed, record, predictions):
    assert components_section(record, predictions) is None
    whole = analysed().analyses.components

    def bare(part):
        return dataclasses.replace(part, fixed=answers(0.2, None), right=None)

    parts = {name: bare(getattr(whole, name)) for name in ("base", "laser", "zeroed")}
    alone = tuple(map(bare, whole.alone))
    none = {"generic": (), "generic_added": None, "generic_added_right": None, "n_right": 0}
    section = components_section(analysed(**parts, **none, alone=alone), predictions)
    assert [trace["name"] for trace in section.figures[0].data] == ["right"]
    assert "updatemenus" not in section.figures[0].layout
    assert len(section.tables) == 2
    assert "no generic word" in section.paragraphs[2]


def test_the_page_has_it_and_escapes_words(analysed, predictions):
    page = render_html(analysed(), predictions)
    assert "The higher-order components alone" in page
    assert "&lt;b&gt; 20 %" in page
