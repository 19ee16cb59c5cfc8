import dataclasses
import io

import pytest
from rich.console import Console

from laser_lit.report.findings import gain_lines, headline, notices, remedies
from laser_lit.report.tables import SHOWN_EDITS, render_result
from laser_lit.results.record import Record, SplitResult, StackSource, record_from_dict


def printed(record: Record, width: int = 80) -> str:
    console = Console(width=width, file=io.StringIO())
    console.print(render_result(record))
    return console.file.getvalue()


def replaced(record: Record, **laser: object) -> Record:
    test = dataclasses.replace(record.test, laser={**record.test.laser, **laser})
    return dataclasses.replace(record, test=test)


def test_everything_a_reader_must_see_is_there_at_80_columns(record: Record):
    text = printed(record)
    assert max(map(len, text.splitlines())) <= 80
    gain = record.test.gain
    for needed in (
        *("facts", "layer 2 fc_in", "rank 1 of 64", "0.015625", "0.931", "63.5 %", "90.5 %", "+27.0", "600 / 200"),
        *("group sign flips", "example-level exact McNemar", f"{gain.fixed} / {gain.broken}", "majority answer"),
        *("single-token bias", "−2.5 on “ the”", "validation", "scored 3 times", "p = 1e-5"),
    ):
        assert needed in text, needed
    assert text.index("LASER   ") < text.index("single-token bias") < text.index("pruning at equal storage")


def test_the_table_comes_from_the_record_as_read_back(record: Record):
    assert printed(record_from_dict(record.to_dict())) == printed(record)


@pytest.mark.parametrize(
    ("ci95", "ci90", "said"),
    [
        ((0.01, 0.03), (0.012, 0.028), "gain"),
        ((-0.03, -0.01), (-0.028, -0.012), "loss"),
        ((-0.009, 0.011), (-0.008, 0.009), "none within ±1 point"),
        ((-0.02, 0.03), (-0.01, 0.025), "undecided"),
        ((-0.02, 0.03), None, "–"),
        (None, None, "–"),
    ],
)
def test_the_verdict_stands_below_the_interval(record: Record, ci95, ci90, said):
    gain = dataclasses.replace(record.test.gain, ci95=ci95, ci90=ci90, n_groups=299)
    assert gain_lines(gain)["  verdict"] == said


@pytest.mark.parametrize("width", [80, 120, 200])
def test_long_names_and_many_edits_fold(record: Record, width: int):
    edit = dataclasses.replace(record.edits[0], part="decoder", name="model.language_model." + "layers.11.mlp." * 6)
    text = printed(dataclasses.replace(record, edits=(edit,) * 100), width)
    assert max(map(len, text.splitlines())) <= width
    assert text.count("0.931") == SHOWN_EDITS
    assert "88 more" in text
    assert "100 matrices edited" in text


def test_controls_that_beat_laser_stand_above_it_and_are_named(record: Record):
    worse = replaced(record, accuracy=0.8)
    names = [row.name for row in remedies(worse)]
    assert names[:3] == ["single-token bias", "batch calibration", "LASER"]
    assert "2 of 4 controls do better than LASER here: single-token bias, batch calibration." in notices(worse)
    assert not notices(record)


def test_a_collapsed_model_and_the_majority_answer_are_called_out(record: Record):
    text = " ".join(notices(replaced(record, collapsed=True, commonest_share=0.98)))
    assert "LASER has collapsed" in text
    assert "98.0 %" in text
    base = {**record.test.base, "accuracy": 0.40, "majority_accuracy": 0.6}
    below = "counts only above max(base, majority)"
    for accuracy, needed in ((0.55, below), (0.6, below), (0.75, "+15.0 points lie above max")):
        test = SplitResult(base, {**record.test.laser, "accuracy": accuracy}, record.test.gain)
        assert needed in " ".join(notices(dataclasses.replace(record, test=test)))


def test_an_unverified_stack_says_so(record: Record):
    unverified = dataclasses.replace(record, stack=StackSource("Table 3 of arXiv 2312.13558", verified=False))
    assert "Unverified stack: Table 3 of arXiv 2312.13558." in printed(unverified)


def test_a_base_alone_and_perplexity_have_their_own_sentences(record: Record):
    alone = dataclasses.replace(record, edits=(), test=SplitResult(record.test.base), validation=None, controls=())
    assert "The model as it is: test accuracy 63.5 % over 600 examples." in " ".join(printed(alone).split())
    gain = dataclasses.replace(
        record.test.gain, accuracy=None, ci95=None, p=None, fixed=None, broken=None, mcnemar_p=None
    )
    losses = {"accuracy": None, "log_loss": 1.4, "perplexity": 4.06, "n": 600}
    text = SplitResult(losses, {**losses, "perplexity": 3.9}, gain)
    perplexity = dataclasses.replace(record, test=text, validation=text, controls=())
    assert "test perplexity 4.060 → 3.900, log loss gain +0.200" in headline(perplexity)
    assert "McNemar" not in printed(perplexity)


def test_a_gain_within_chance_says_so(record: Record):
    gain = dataclasses.replace(record.test.gain, p=0.4)
    assert "within chance" in headline(dataclasses.replace(record, test=dataclasses.replace(record.test, gain=gain)))
    assert "within chance" not in headline(record)


def test_markup_in_names_is_printed_as_it_is(record: Record):
    marked = dataclasses.replace(record, model={**record.model, "id": "[red]x[/red]"}, warnings=("[bold]w",))
    assert "[red]x[/red]" in printed(marked)
    assert "[bold]w" in printed(marked)
    control = dataclasses.replace(record.controls[0], name="[b]", fitted="[/b]")
    assert "[/b]" in printed(dataclasses.replace(record, controls=(control,)))
