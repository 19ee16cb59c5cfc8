"""A record's numbers in words: the formats and sentences that terminal and page share."""

from dataclasses import dataclass
from typing import Any

from laser_lit.results.compare import Gain
from laser_lit.results.record import AppliedEdit, Record, SplitResult

MINUS = "−"


@dataclass(frozen=True)
class Metric:
    """How one entry of the metrics is shown.

    Attributes:
        key: in the record's base and laser.
        label: for people.
        share: shown in percent, its change in points.
        sign: +1 when more is better, -1 when less is, 0 when neither.
        main: shown on the terminal too.
        of_data: a property of the examples, which no edit changes.
    """

    key: str
    label: str
    share: bool
    sign: int
    main: bool = True
    of_data: bool = False


METRICS = (
    Metric("accuracy", "accuracy", True, 1),
    Metric("accuracy_low", "  95 % from", True, 0),
    Metric("accuracy_high", "  to", True, 0),
    Metric("balanced_accuracy", "balanced accuracy", True, 1, main=False),
    Metric("all_paraphrases", "all of a group right", True, 1),
    Metric("top5", "answer in top 5", True, 1, main=False),
    Metric("top10", "answer in top 10", True, 1),
    Metric("f1", "F1", True, 1),
    Metric("p_true_over_new", "true over false", True, 1),
    Metric("log_loss", "log loss (nats)", False, -1),
    Metric("perplexity", "perplexity", False, -1),
    Metric("token_accuracy", "token accuracy", True, 1),
    Metric("return", "return", False, 1),
    Metric("steps_over_optimal", "steps over optimal", False, -1),
    Metric("commonest_share", "commonest answer", True, 0),
    Metric("majority_accuracy", "majority answer", True, 0, of_data=True),
)


@dataclass(frozen=True)
class Change:
    """One metric under base and LASER, ready to print.

    Attributes:
        metric: what is shown.
        base: the base's value.
        laser: LASER's value; "" for a run without edits.
        change: LASER minus base, signed; "" for a run without edits.
        better: whether the change is an improvement; None when neither.
    """

    metric: Metric
    base: str
    laser: str
    change: str
    better: bool | None


def changes(result: SplitResult, main_only: bool = False) -> list[Change]:
    """Returns the metrics that the record has, in the order of METRICS.

    Args:
        result: of one split.
        main_only: leave out what only the page shows.
    """
    shown = [metric for metric in METRICS if metric.main or not main_only]
    return [_change(metric, result) for metric in shown if _number(result.base.get(metric.key)) is not None]


def _change(metric: Metric, result: SplitResult) -> Change:
    base = _number(result.base[metric.key])
    laser = _number((result.laser or {}).get(metric.key))
    if base is None or laser is None or metric.of_data:
        laser = None if metric.of_data else laser
        return Change(metric, value(base, metric.share), value(laser, metric.share), "", None)
    change = laser - base
    better = None if not metric.sign or not change else change * metric.sign > 0
    return Change(metric, value(base, metric.share), value(laser, metric.share), signed(change, metric.share), better)


def _number(entry: Any) -> float | None:
    return float(entry) if isinstance(entry, int | float) and not isinstance(entry, bool) else None


def value(number: float | None, share: bool) -> str:
    """Returns a share in percent ("57.9 %") or a plain number to four figures or two decimals; "" for None.

    Args:
        number: the value, a share in [0, 1].
        share: whether it is one.
    """
    if number is None:
        return ""
    if share:
        return f"{100 * number:.1f} %"
    if abs(number) >= 1e6:
        return f"{number:.2e}"
    return f"{number:.0f}" if abs(number) >= 1000 else f"{number:.3f}" if abs(number) < 10 else f"{number:.1f}"


def signed(number: float, share: bool) -> str:
    """Returns a change with its sign, a share's in points ("+19.3"), without the unit.

    Args:
        number: the change.
        share: whether it is one of shares.
    """
    text = f"{100 * abs(number):.1f}" if share else value(abs(number), False)
    if not text.strip("0."):
        return f"±{text}"
    return f"{'+' if number > 0 else MINUS}{text}"


def p_value(p: float | None) -> str:
    """Returns p as people write it: "p = 0.031", "p = 1e-5"; "" for None.

    Args:
        p: in (0, 1].
    """
    if p is None:
        return ""
    if p >= 1e-3:
        return f"p = {p:.3f}" if p < 0.9995 else "p = 1"
    if p < 1e-300:
        return "p < 1e-300"
    mantissa, exponent = f"{p:.1e}".split("e")
    return f"p = {mantissa.removesuffix('.0')}e{int(exponent)}"


def interval(ci95: tuple[float, float] | None, share: bool) -> str:
    """Returns "+16.0 to +22.5", or that there is none.

    Args:
        ci95: lower and upper end, or None.
        share: whether it is one of shares, printed in points.
    """
    return "none: a single group" if ci95 is None else f"{signed(ci95[0], share)} to {signed(ci95[1], share)}"


def counted(gain: Gain) -> str:
    """Returns the size of what was measured: "2,400 examples in 800 groups".

    Args:
        gain: of the split.
    """
    return f"{plural(gain.n, 'example')} in {plural(gain.n_groups, 'group')}"


def plural(count: int, noun: str) -> str:
    """Returns a number with what it counts: "1 stack", "2,400 stacks".

    Args:
        count: how many.
        noun: of one, whose plural ends in s.
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def matrix_name(edit: AppliedEdit) -> str:
    """Returns the matrix as it is named everywhere: "layer 27 fc_in", "decoder layer 2 q_proj".

    Args:
        edit: as resolved.
    """
    part = f"{edit.part} " if edit.part else ""
    expert = "" if edit.expert is None else f" expert {edit.expert}"
    return f"{part}layer {edit.layer} {edit.matrix}{expert}"


def amount(edit: AppliedEdit) -> str:
    """Returns what the edit keeps: "rank 40 of 4096", "rank 4 of 16 in 4 blocks", "keeps 1.0 % of the entries".

    Args:
        edit: as resolved.
    """
    of = f" of {edit.d}" if edit.d else ""
    if edit.kind == "zero":
        return "zeroed"
    if edit.kind == "prune":
        return "pruned" if edit.rho is None else f"keeps {value(edit.rho, True)} of the entries"
    how = {"whitened": " whitened", "blocks": f" in {edit.blocks} blocks"}.get(edit.decomposition or "", "")
    if edit.kind == "high_order":
        return f"without the first {edit.rank}{of}{how}"
    return f"rank {edit.rank}{of}{how}"


def what_was_done(record: Record) -> str:
    """Returns the edits in a phrase: "layer 2 fc_in cut to rank 1 of 64", "3 matrices edited", "no edit".

    Args:
        record: of the run.
    """
    if not record.edits:
        return "no edit"
    if len(record.edits) > 1:
        return f"{len(record.edits)} matrices edited"
    edit = record.edits[0]
    verb = {"low_rank": "cut to ", "high_order": "left "}.get(edit.kind, "")
    return f"{matrix_name(edit)} {verb}{amount(edit)}"
