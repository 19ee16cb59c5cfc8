"""The section of the edited matrices' singular values."""

from dataclasses import replace

from laser_lit.report.html import render_html
from laser_lit.report.sections.spectra import spectra_section
from laser_lit.results.analyses import Analyses
from laser_lit.results.record import record_from_dict
from laser_lit.results.spectra import Spectra, Spectrum

ONE = Spectrum(0, (1, 2, 3), (9.0, 2.0, 1.0), 81 / 86, 2.1, edge=2.5, above=1)


def analysed(record, *spectra, edits=None, left_out=0):
    edits = record.edits if edits is None else edits
    return replace(record, edits=edits, analyses=Analyses(spectra=Spectra(spectra, left_out)))


def test_one_matrix_in_a_sentence(record, predictions):
    section = spectra_section(analysed(record, ONE), predictions)
    assert section.paragraphs == (
        "Layer 2 fc_in, rank 1 of 64, keeps 94.2 % of the energy. Its effective rank is 2.100; 1 of its singular "
        "values rise above what noise would reach.",
    )
    (figure,) = section.figures
    assert [(trace["name"], trace["x"], trace["y"]) for trace in figure.data] == [
        ("kept", [1], [9.0]),
        ("dropped", [2, 3], [2.0, 1.0]),
        ("noise ends", [1, 3], [2.5, 2.5]),
    ]
    ticks = {name: (figure.layout[name]["dtick"], figure.layout[name]["tickformat"]) for name in ("xaxis", "yaxis")}
    assert ticks == {"xaxis": (None, "~g"), "yaxis": (None, "~g")}
    assert section.tables[0].rows == (("layer 2 fc_in", "rank 1 of 64", "94.2 %", "0.931", "2.100", "2.5", "1"),)


def test_several_matrices_have_a_menu(record, predictions):
    high = replace(record.edits[0], layer=3, kind="high_order")
    other = Spectrum(1, (1, 2), (3.0, 0.1), 0.1, 1.7, outputs=True)
    section = spectra_section(analysed(record, ONE, other, edits=(*record.edits, high), left_out=3), predictions)
    assert section.paragraphs[0] == "The 2 edits keep 10.0 % to 94.2 % of their matrices' energy."
    assert section.paragraphs[1].startswith("Not shown: 3 more")
    (menu,) = section.figures[0].layout["updatemenus"]
    marks = {"xaxis.dtick": None, "yaxis.dtick": "D2"}
    assert (menu["buttons"][1]["method"], menu["buttons"][1]["args"]) == (
        "update",
        [{"x": [[2], [1], []], "y": [[0.1], [3.0], []]}, marks],
    )
    assert section.tables[0].rows[1][-2:] == ("", "")


def test_it_is_on_the_page_and_in_the_record(record, predictions):
    made = analysed(record, ONE)
    assert "Spectra of the edited matrices" in render_html(made, predictions)
    assert record_from_dict(made.to_dict()).analyses == made.analyses
    assert "Spectra of the edited matrices" not in render_html(record, predictions)
