"""Is the edit one constant added to the logits? The section of the mechanism test, and its sentence."""

import pandas as pd

from laser_lit.report.sections.section import Section, Table
from laser_lit.report.wording import interval, signed, value
from laser_lit.results.analyses import Mechanism
from laser_lit.results.record import Record

WHOLE = 0.9
"""Share of the gain, by the interval's lower end, from which on the edit is called a shifted prior."""
MOST = 0.5
"""Share on one side of which the whole interval lies where the edit is called mostly a shifted prior, or mostly not."""

_WHAT = (
    "The constant is the mean over the validation questions of (LASER − base) logits where the answer is read: one "
    "number an answer, the same for every question, fitted without labels. Added to the base's own logits on test it "
    "says how much of the edit is a shifted prior over answers; what is left depends on the question."
)


def mechanism_section(record: Record, predictions: pd.DataFrame) -> Section | None:
    """Returns the section; None where the test was not made.

    Args:
        record: of the run.
        predictions: not used: the record has it all.
    """
    found = record.analyses.mechanism
    if found is None:
        return None
    return Section(
        "mechanism",
        "One constant in LASER's place",
        (mechanism_sentence(record), _examples(found)),
        tables=(_scores(record, found), _moved(found)),
        note=_WHAT,
    )


def mechanism_sentence(record: Record) -> str:
    """Returns what the test says in one sentence; "" where it was not made.

    Args:
        record: of the run.
    """
    found, whole = record.analyses.mechanism, record.test.gain
    if found is None or whole is None or whole.accuracy is None or found.gain.accuracy is None:
        return ""
    gains = f"{signed(found.gain.accuracy, True)} points where LASER gains {signed(whole.accuracy, True)}"
    said = f"One constant added to the base's logits gains {gains} on test"
    if whole.ci95 is None:
        return f"{said}; all test examples are one group, which has no interval, so that no share is told."
    if found.share is None:
        return f"{said}; LASER's gain does not differ from 0, so there is nothing to share out."
    if found.share_ci95 is None:
        return f"{said}, {100 * found.share:.0f} % of it."
    low, high = found.share_ci95
    bounds = f"95 % interval {100 * low:.0f} to {100 * high:.0f}"
    return f"{said}: {100 * found.share:.0f} % of it ({bounds}). {_verdict(low, high)}"


def _verdict(low: float, high: float) -> str:
    if low >= WHOLE:
        return "The edit is a shifted prior over answers here."
    if high <= MOST:
        return "Most of what the edit does depends on the question."
    if low >= MOST:
        return "Most of what the edit does is a shifted prior; not shown to be all."
    if low > 0:
        return "Part of the edit is a shifted prior; whether most is, this test split does not settle."
    return "This test split does not settle how much of it is a shifted prior."


def _examples(found: Mechanism) -> str:
    fixed = f"Of the {found.fixed:,} examples that LASER fixes the constant fixes {found.fixed_too:,}"
    return f"{fixed}; both give the same answer to {found.same:,} of {found.gain.n:,}."


def _scores(record: Record, found: Mechanism) -> Table:
    base, laser = record.test.base, record.test.laser or {}
    middle = None if found.gain.accuracy is None else base["accuracy"] + found.gain.accuracy
    whole = record.test.gain
    rows = [
        ("base", value(base.get("accuracy"), True), "", ""),
        ("base + the constant", value(middle, True), _points(found.gain.accuracy), interval(found.gain.ci95, True)),
    ]
    if whole is not None:
        rows.append(("LASER", value(laser.get("accuracy"), True), _points(whole.accuracy), interval(whole.ci95, True)))
    left = found.left
    rows.append(("LASER over base + the constant", "", _points(left.accuracy), interval(left.ci95, True)))
    columns = ("", "test accuracy", "gain, points", "95 % interval")
    return Table("mechanism", "Gain with one constant", columns, tuple(rows), columns[1:])


def _points(gain: float | None) -> str:
    return "" if gain is None else signed(gain, True)


def _moved(found: Mechanism) -> Table:
    lines = zip(found.lowered, found.raised, strict=True)
    rows = tuple((down, f"{by:+.2f}", up, f"{to:+.2f}") for (down, by), (up, to) in lines)
    columns = ("lowered most", "nats", "raised most", "nats ")
    return Table("constant", "What the constant moves, against the mean over answers", columns, rows, ("nats", "nats "))
