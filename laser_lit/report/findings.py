"""What a reader must know, drawn from the record alone: the headline, the gains and everything that qualifies them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from laser_lit.report.search import in_vain_because
from laser_lit.report.variants import Variant, variants
from laser_lit.report.wording import counted, interval, matrix_name, p_value, signed, value, what_was_done
from laser_lit.results.compare import Gain
from laser_lit.results.record import Record, SplitResult
from laser_lit.results.reft_result import ReftResult
from laser_lit.results.verdict import MARGIN, name_of

SAMPLE = 0.05
"""Level at which the headline calls a gain more than chance."""


@dataclass(frozen=True)
class Remedy:
    """One row of the comparison of remedies.

    Attributes:
        name: "base", "LASER" or the control's name.
        fitted: what was chosen on validation, in words.
        validation: accuracy on validation; "" when unknown.
        test: accuracy on test; "" when unknown.
        share: accuracy on test in [0, 1], for a bar.
        kind: "base", "laser", "control" or "majority".
        beats_laser: whether its test accuracy is higher than LASER's.
    """

    name: str
    fitted: str
    validation: str
    test: str
    share: float
    kind: str
    beats_laser: bool


def headline(record: Record) -> str:
    """Returns the result in one sentence, with the number of examples and groups, interval and p.

    Args:
        record: of the run.
    """
    gain, base, laser = record.test.gain, record.test.base, record.test.laser
    if record.reft is not None:
        return _reft_headline(record, record.reft)
    if gain is None or laser is None:
        key, share = ("accuracy", True) if base.get("accuracy") is not None else ("perplexity", False)
        because = in_vain_because(record)
        vain = f"N{because[1:]} on validation, so nothing was edited. " if in_vain(record) else ""
        return f"{vain}The model as it is: test {key} {value(base.get(key), share)} over {base.get('n', 0):,} examples."
    done = what_was_done(record)
    searched_loss = record.search is not None and record.search.objective == "log_loss"
    return gain_sentence(f"{done[0].upper()}{done[1:]}", base, laser, gain, searched_loss)


def gain_sentence(
    done: str, base: Mapping[str, Any], laser: Mapping[str, Any], gain: Gain, by_loss: bool = False
) -> str:
    """Returns what came of something on test in one sentence.

    Args:
        done: what was done, as the sentence begins.
        base: metrics without it.
        laser: metrics with it.
        gain: of the latter over the former.
        by_loss: whether log loss counts though there is an accuracy.
    """
    if gain.accuracy is not None and not by_loss:
        moved = f"test accuracy {value(base['accuracy'], True)} → {value(laser['accuracy'], True)}"
        size, bounds, p = f"{signed(gain.accuracy, True)} points", interval(gain.ci95, True), gain.p
    else:
        key = "perplexity" if gain.accuracy is None else "log_loss"
        name = key.replace("_", " ")
        moved = f"test {name} {value(base.get(key), False)} → {value(laser.get(key), False)}"
        size = f"log loss gain {'unknown' if gain.log_loss is None else signed(gain.log_loss, False)}"
        bounds, p = interval(gain.log_loss_ci95, False), gain.log_loss_p
    chance = "" if p is None or p <= SAMPLE else f" That is within chance.{_loss_moved(gain)}"
    return f"{done}: {moved}, {size} (95 % interval {bounds}, {p_value(p)}; {counted(gain)}).{chance}"


def _reft_headline(record: Record, reft: ReftResult) -> str:
    base, *others = variants(record)
    edits = f"{what_was_done(record)} + " if record.edits else ""
    done = f"{edits}{what_it_is(reft)}"
    last = others[-1]
    if last.gain is None:
        return f"{done}: no gain is on record."
    return gain_sentence(f"{done[0].upper()}{done[1:]}", base.metrics, last.metrics, last.gain)


def what_it_is(reft: ReftResult) -> str:
    """Returns an adapter in a phrase: "ReFT (loreft, 4,096 parameters)".

    Args:
        reft: of the record.
    """
    types = "" if reft.kind == "LoRA" else f"{', '.join(reft.types)}, "
    strength = "" if reft.strength == 1 else f", strength {reft.strength:g}"
    return f"{reft.kind} ({types}{reft.parameters:,} parameters{strength})"


def in_vain(record: Record) -> bool:
    """Returns whether a search ran and chose nothing.

    Args:
        record: of the run.
    """
    return record.search is not None and record.search.chosen is None


def _loss_moved(gain: Gain) -> str:
    """Returns a sentence where the log loss moved beyond chance and the accuracy did not."""
    if gain.accuracy is None or gain.log_loss is None or gain.log_loss_p is None or gain.log_loss_p > SAMPLE:
        return ""
    way = "better" if gain.log_loss > 0 else "worse"
    return f" The log loss is not: {way} by {value(abs(gain.log_loss), False)} nats ({p_value(gain.log_loss_p)})."


def gain_lines(gain: Gain) -> dict[str, str]:
    """Returns the gain of a split as texts by label, positive being better; the labels depend on the task alone.

    Args:
        gain: of validation or test.
    """
    lines = {}
    if gain.accuracy is not None:
        lines["accuracy, points"] = signed(gain.accuracy, True)
        lines["  95 % interval, group bootstrap"] = interval(gain.ci95, True)
        lines["  p, group sign flips"] = p_value(gain.p).removeprefix("p = ")
        lines["  verdict"] = _verdict(gain)
        lines["  fixed / broken examples"] = f"{gain.fixed:,} / {gain.broken:,}"
        lines["  p, example-level exact McNemar"] = p_value(gain.mcnemar_p).removeprefix("p = ")
    if gain.log_loss is not None:
        lines["log loss, nats"] = signed(gain.log_loss, False)
        lines["  95 % interval"] = interval(gain.log_loss_ci95, False)
        lines["  p"] = p_value(gain.log_loss_p).removeprefix("p = ")
    lines["examples / groups"] = f"{gain.n:,} / {gain.n_groups:,}"
    return lines


def split_gain(record: Record, result: SplitResult) -> dict[str, str]:
    """Returns the gain of a split as `gain_lines`, without a verdict where a search chose the edit on it.

    Args:
        record: of the run.
        result: the record's validation or test.
    """
    lines = {} if result.gain is None else gain_lines(result.gain)
    chosen = record.search is not None and result is record.validation
    return {name: "–" if chosen and name.strip() == "verdict" else text for name, text in lines.items()}


def _verdict(gain: Gain) -> str:
    if gain.ci95 is None or gain.ci90 is None:
        return "–"
    name = name_of(gain.ci95, gain.ci90, gain.n_groups)
    return f"none within ±{100 * MARGIN:.0f} point" if name == "none" else name


def remedies(record: Record) -> list[Remedy]:
    """Returns base, LASER, every control and the majority answer, the best on test first; empty without controls.

    Args:
        record: of the run.
    """
    base, laser = record.test.base, record.test.laser or {}
    if not record.controls or base.get("accuracy") is None:
        return []
    best = laser.get("accuracy")
    seen = record.validation or SplitResult(base={})
    rows = [_remedy("base", "nothing", seen.base.get("accuracy"), base["accuracy"], best)]
    if best is not None:
        edits = ", ".join(matrix_name(edit) for edit in record.edits[:3]) + (", …" if len(record.edits) > 3 else "")
        rows.append(_remedy("LASER", edits, (seen.laser or {}).get("accuracy"), best, best, "laser"))
    rows += [_remedy(c.name, c.fitted, c.validation_accuracy, c.accuracy, best, "control") for c in record.controls]
    majority = base.get("majority_accuracy")
    if majority is not None:
        rows.append(_remedy("majority answer", "the commonest gold answer", None, majority, best, "majority"))
    return sorted(rows, key=lambda row: -row.share)


def _remedy(
    name: str, fitted: str, validation: float | None, test: float | None, laser: float | None, kind: str = "base"
) -> Remedy:
    beats = test is not None and laser is not None and test > laser
    return Remedy(name, fitted, value(validation, True), value(test, True), test or 0.0, kind, beats)


def notices(record: Record) -> list[str]:
    """Returns what qualifies the result, a sentence each: the record's own warnings first.

    Args:
        record: of the run.
    """
    found = list(record.warnings)
    if record.stack is not None and record.stack.verified is False:
        found.append(f"Unverified stack: {record.stack.provenance}.")
    found += _baseline_notices(record)
    better = [row.name for row in remedies(record) if row.beats_laser and row.kind == "control"]
    if better:
        found.append(
            f"{len(better)} of {len(record.controls)} controls do better than LASER here: {', '.join(better)}."
        )
    gain = record.test.gain
    if gain is not None and gain.n_groups == 1:
        found.append("All test examples are one group: there is no interval, and p cannot be small.")
    return list(dict.fromkeys(found))


def opened(record: Record) -> str:
    """Returns how often the test split has been looked at, and what that means.

    Args:
        record: of the run.
    """
    count = record.test_opened
    if count is None:
        return "How often this test split has been scored before is not known."
    times = "once" if count == 1 else f"{count:,} times"
    caution = "" if count == 1 or len(variants(record)) == 1 else "; the best of several looks is too good"
    return (
        f"The test split of this model and data has been scored {times}, by the count of this results folder{caution}."
    )


def _baseline_notices(record: Record) -> list[str]:
    base, *others = variants(record)
    found = []
    for name, metrics in (("The base", base.metrics), *((other.name, other.metrics) for other in others)):
        if metrics.get("collapsed"):
            share = value(metrics.get("commonest_share"), True)
            found.append(f"{name} has collapsed: it gives one and the same answer to {share} of the examples.")
    return found + [notice for other in others for notice in _majority_notice(base.metrics, other)]


def _majority_notice(base: Mapping[str, Any], other: Variant) -> Iterator[str]:
    """Yields what the majority answer takes from a gain, where it takes anything."""
    accuracy, majority = other.metrics.get("accuracy"), base.get("majority_accuracy")
    if accuracy is None or majority is None:
        return
    if base["accuracy"] < accuracy <= majority:
        yield (
            f"The commonest answer alone is right on {value(majority, True)}, {other.name} on {value(accuracy, True)}: "
            "a classification gain counts only above max(base, majority)."
        )
    elif base["accuracy"] < majority < accuracy:
        yield (
            f"The base is below the majority answer ({value(majority, True)}); of {other.name}'s gain only "
            f"{signed(accuracy - majority, True)} points lie above max(base, majority)."
        )
