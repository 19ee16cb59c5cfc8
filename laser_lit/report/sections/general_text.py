"""The section of general text before and after the edit."""

import pandas as pd

from laser_lit.report.sections.section import Section, Table
from laser_lit.report.wording import interval, signed, value
from laser_lit.results.general_text import GeneralText
from laser_lit.results.record import Record

_COLUMNS = ("", "base", "LASER", "change", "95 % interval")


def general_text_section(record: Record, predictions: pd.DataFrame) -> Section | None:
    """Returns the section; None for a record without such a text.

    Args:
        record: of the run.
        predictions: not looked at.
    """
    text = record.analyses.text
    if text is None:
        return None
    return Section(
        name="general-text",
        title="General text before and after the edit",
        paragraphs=(_sentence(text),),
        tables=(Table("general_text", f"Predictions of {text.tokens:,} tokens", _COLUMNS, _rows(text), _COLUMNS[1:]),),
        note=(
            f"{text.text}, the test part of it; windows of up to {text.window} tokens, drawn at random, and nothing "
            "before a window is seen, so that these perplexities are higher than those of long contexts. Intervals are "
            "bootstraps over windows."
        ),
    )


def _sentence(text: GeneralText) -> str:
    low, high = text.change_ci95
    way = "rises" if low > 0 else "falls" if high < 0 else "changes by no more than chance would"
    return (
        f"On {text.tokens:,} tokens of {text.text} in {text.windows:,} windows the perplexity {way}: "
        f"{value(text.base, False)} → {value(text.edited, False)}, log perplexity {signed(text.change, False)} nats a "
        f"token (95 % interval {interval(text.change_ci95, False)}). The mean token KL(base‖edited) is "
        f"{value(text.kl, False)} nats, at most {value(text.kl_bound, False)} with 95 % confidence; the first choice "
        f"is another at {value(text.moved, True)} of the tokens."
    )


def _rows(text: GeneralText) -> tuple[tuple[str, ...], ...]:
    low, high = text.moved_ci95
    return (
        (
            *("perplexity", f"{value(text.base, False)} ({_between(text.base_ci95)})"),
            *(f"{value(text.edited, False)} ({_between(text.edited_ci95)})", "", ""),
        ),
        (
            *("log perplexity, nats", "", "", signed(text.change, False)),
            interval(text.change_ci95, False),
        ),
        (
            *("mean token KL(base‖edited), nats", "", "", value(text.kl, False)),
            f"one-sided: at most {value(text.kl_bound, False)}",
        ),
        ("99th percentile of token KL", "", "", value(text.kl_p99, False), ""),
        ("another first choice", "", "", value(text.moved, True), f"{value(low, True)} to {value(high, True)}"),
    )


def _between(ci95: tuple[float, float]) -> str:
    return f"{value(ci95[0], False)} to {value(ci95[1], False)}"
