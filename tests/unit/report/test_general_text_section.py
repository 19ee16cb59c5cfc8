"""The section of general text before and after the edit."""

from dataclasses import replace

import pytest

from laser_lit.report.sections.general_text import general_text_section
from laser_lit.results.analyses import Analyses
from laser_lit.results.general_text import GeneralText
from laser_lit.results.record import record_from_dict

TEXT = GeneralText(
    *("book.txt", 128, 16_384, 128),
    *(12.5, (11.9, 13.2), 14.25, (13.6, 15.0)),
    *(0.131, (0.12, 0.142)),
    *(0.14, 0.151, 1.5),
    *(0.21, (0.2, 0.22)),
)


@pytest.mark.parametrize(
    ("ci95", "said"),
    [((0.12, 0.142), "rises"), ((-0.2, -0.1), "falls"), ((-0.1, 0.1), "changes by no more than chance would")],
)
def test_in_words(record, predictions, ci95, said):
    made = replace(record, analyses=Analyses(text=replace(TEXT, change_ci95=ci95)))
    (sentence,) = general_text_section(made, predictions).paragraphs
    assert sentence.startswith(f"On 16,384 tokens of book.txt in 128 windows the perplexity {said}: 12.5 → 14.2, ")


def test_the_table_and_the_record(record, predictions):
    assert general_text_section(record, predictions) is None
    made = replace(record, analyses=Analyses(text=TEXT))
    section = general_text_section(made, predictions)
    (table,) = section.tables
    assert {len(row) for row in table.rows} == {len(table.columns)}
    assert table.rows[0][1:3] == ("12.5 (11.9 to 13.2)", "14.2 (13.6 to 15.0)")
    assert table.rows[2] == ("mean token KL(base‖edited), nats", "", "", "0.140", "one-sided: at most 0.151")
    assert table.rows[4][3:] == ("21.0 %", "20.0 % to 22.0 %")
    assert record_from_dict(made.to_dict()).analyses == made.analyses
