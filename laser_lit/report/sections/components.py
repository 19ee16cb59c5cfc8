"""What do the components that LASER drops answer, when they are left alone?"""

from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd

from laser_lit.report.figure import Figure, layout, selector
from laser_lit.report.sections.section import Section, Table
from laser_lit.report.wording import interval, signed, value
from laser_lit.results.components import Alone, Answers, Components, Share
from laser_lit.results.record import Record

_COLUMNS = ("left", "components", "right", "generic word", "right category", "cosine", "closer than others")
_WORDS = ("left", "components", "commonest answers: share, how often told")
_NOTE = (
    "Each edited matrix is replaced by its components of the smallest singular values alone; zeroed is that without "
    "any, so that what it says is not their doing. The generic word is the base's commonest wrong answer on "
    "validation, of each category where there are categories. An answer is of the right category where it is a right "
    "answer of some example of the same category. Cosines are between given and right answer in the model's input "
    "embeddings; closer than others is that less the mean cosine with the right answers of all these examples. "
    "Intervals are over groups."
)


def components_section(record: Record, predictions: pd.DataFrame) -> Section | None:
    """Returns the section; None for a record without the analysis.

    Args:
        record: of the run.
        predictions: not looked at.

    Source: Sharma, Ash and Misra 2023, Figure 5.
    """
    found = record.analyses.components
    if found is None:
        return None
    sets = {"fixed": "that LASER fixes", "right": "that base and LASER get right"}
    tables = [_table(found, name, words) for name, words in sets.items() if getattr(found.base, name) is not None]
    return Section(
        "components",
        "The higher-order components alone",
        (_asked(found), components_sentence(found), _meaning(found)),
        (_figure(found),),
        (*tables, _words(found)),
        _NOTE,
    )


def components_sentence(found: Components) -> str:
    """Returns what the components that LASER drops answer on the examples that it fixes.

    Args:
        found: of the record.
    """
    dropped, zeroed = found.dropped.fixed, found.zeroed.fixed
    parts = [f"are right on {_words_of(dropped.accuracy)}"]
    if dropped.category is not None:
        parts.append(f"give an answer of the right category on {_words_of(dropped.category)}")
    if dropped.generic is not None:
        parts.insert(0, f"say {_generic(found)} on {_words_of(dropped.generic)}")
    without = [f"right on {_percent(zeroed.accuracy)}"]
    if zeroed.generic is not None:
        without.insert(0, f"{_generic(found)} on {_percent(zeroed.generic)}")
    listed = f"{', '.join(parts[:-1])} and {parts[-1]}" if len(parts) > 1 else parts[0]
    return f"Alone, the components that LASER drops {listed}. With the matrices zeroed it is {', '.join(without)}."


def _meaning(found: Components) -> str:
    """Returns whether the components, rather than the rest of the model, favour the generic word."""
    pairs = (("the examples that LASER fixes", found.generic_added), ("those right anyway", found.generic_added_right))
    said = [f"{_added(added)} on {where}" for where, added in pairs if added is not None]
    if not said:
        return "The base makes no error on validation, so there is no generic word to look for."
    return f"What the components themselves add to {_generic(found)}, against the matrices zeroed: {', '.join(said)}."


def _added(added: Share) -> str:
    if added.ci95 is None:
        return f"{signed(added.value, True)} points, of a single group,"
    verdict = "more" if added.ci95[0] > 0 else "less" if added.ci95[1] < 0 else "no clear change"
    return f"{signed(added.value, True)} points (95 % interval {interval(added.ci95, True)}, {verdict})"


def _asked(found: Components) -> str:
    left_out = f" {found.left_out:,} test examples have longer answers and are left out." if found.left_out else ""
    return (
        f"Asked are the {found.n_fixed:,} test examples in {found.groups_fixed:,} groups that LASER fixes and, beside "
        f"them, the {found.n_right:,} that base and LASER both get right.{left_out}"
    )


def _generic(found: Components) -> str:
    return repr(found.generic[0]) if len(found.generic) == 1 else "the generic word of the category"


def _percent(share: Share) -> str:
    return f"{100 * share.value:.0f} %"


def _words_of(share: Share) -> str:
    within = "" if share.ci95 is None else f" ({100 * share.ci95[0]:.0f} to {100 * share.ci95[1]:.0f} %)"
    return f"{_percent(share)}{within}"


def _with_interval(share: Share | None, percent: bool = True) -> str:
    if share is None:
        return ""
    show: Callable[[float], str] = (lambda x: f"{100 * x:.1f}") if percent else (lambda x: f"{x:.3f}")
    within = "" if share.ci95 is None else f" ({show(share.ci95[0])} to {show(share.ci95[1])})"
    return f"{value(share.value, percent)}{within}" if percent else f"{show(share.value)}{within}"


def _left(part: Alone) -> str:
    kept = sorted(set(part.kept))
    return f"{kept[0]:,}" if len(kept) == 1 else f"{kept[0]:,} to {kept[-1]:,}"


def _table(found: Components, name: str, words: str) -> Table:
    rows = []
    for part in found.parts:
        answers: Answers = getattr(part, name)
        shares = [_with_interval(share) for share in (answers.accuracy, answers.generic, answers.category)]
        cosines = [_with_interval(share, percent=False) for share in (answers.cosine, answers.closer)]
        rows.append((part.name, _left(part), *shares, *cosines))
    caption = f"Answers to the test examples {words}; 95 % intervals"
    return Table(f"components_{name}", caption, _COLUMNS, tuple(rows), _COLUMNS[1:])


def _words(found: Components) -> Table:
    rows = tuple((part.name, _left(part), ", ".join(_named(part.fixed))) for part in found.parts)
    return Table("component_words", "Commonest answers where LASER fixes", _WORDS, rows, ("components",))


def _named(answers: Answers) -> list[str]:
    return [
        f"{word.text or '(space)'} {100 * word.share:.0f} %" + ("" if word.told is None else f" ({word.told:,})")
        for word in answers.words
    ]


def _figure(found: Components) -> Figure:
    parts = found.rising
    whole = sum(found.base.kept)
    x = [100 * sum(part.kept) / whole for part in parts]
    words, category = ("generic", f"says {_generic(found)}", "--bad"), ("category", "right category", "--accent")
    kinds = (("accuracy", "right", "--good"), words, category)
    shown = [kind for kind in kinds if getattr(found.base.fixed, kind[0]) is not None]
    sets = {"LASER fixes": "fixed", "right under both": "right"}
    lines = {
        label: [_line(parts, which, kind) for kind, _, _ in shown]
        for label, which in sets.items()
        if getattr(found.base, which) is not None
    }
    data = [
        {
            **{"type": "scatter", "mode": "lines+markers", "name": name, "x": x},
            "text": [part.name for part in parts],
            **{"line": {"color": colour, "width": 2}, "marker": {"size": 7}},
            "hovertemplate": f"%{{text}}: %{{y:.1f}} % ({name})<extra></extra>",
            **drawn,
        }
        for (_, name, colour), drawn in zip(shown, lines["LASER fixes"], strict=True)
    ]
    options = {label: {key: [own[key] for own in drawn] for key in ("y", "error_y")} for label, drawn in lines.items()}
    menus: dict[str, Any] = {"updatemenus": [selector("test examples", options)]} if len(options) > 1 else {}
    return Figure(
        "components",
        "Answers of the smallest components alone",
        "From no component (zeroed) to all of them (base). Lines are 95 % intervals over groups.",
        data,
        layout("components left, % of all, smallest first", "% of examples", showlegend=True, **menus),
    )


def _line(parts: Sequence[Alone], which: str, kind: str) -> dict[str, Any]:
    shares: list[Share] = [getattr(getattr(part, which), kind) for part in parts]
    ends = [share.ci95 or (share.value, share.value) for share in shares]
    return {
        "y": [100 * share.value for share in shares],
        "error_y": {
            **{"type": "data", "symmetric": False, "thickness": 1},
            "array": [100 * (high - share.value) for share, (_, high) in zip(shares, ends, strict=True)],
            "arrayminus": [100 * (share.value - low) for share, (low, _) in zip(shares, ends, strict=True)],
        },
    }
