"""What a search found and what that is worth, in words, from its record and its cells alone."""

import pandas as pd

from laser_lit.report.cells import IN_TURN, is_guarded, plain_gain, prepared, unit
from laser_lit.report.removable import plain_margin, removable_line
from laser_lit.report.smallest import smallest_lines
from laser_lit.report.variants import variants
from laser_lit.report.wording import amount, interval, matrix_name, p_value, plural, signed, value
from laser_lit.results.compare import Gain
from laser_lit.results.record import Record
from laser_lit.results.search_record import SearchRecord

_SHOWN = 3
_EXHAUSTIVE = ("grid", "collect", "smallest")
"""Drivers whose stacks are the candidates: with others as many stacks may be scored and candidates be left out."""
_BY_GRADIENT = ("gradient", "greedy", "racing")
_CHANGES = {"kl": "mean token KL", "log_perplexity": "change of log perplexity"}


def search_lines(record: Record, cells: pd.DataFrame | None = None) -> dict[str, str]:
    """Returns the search as texts by label, validation's gain beside test's; empty for a run without a search.

    Args:
        record: of the run.
        cells: as from `read_cells`, to name the best candidate where nothing was chosen.
    """
    search = record.search
    if search is None:
        return {}
    lines = {
        "driver": f"{search.driver}, {_sought(record, search)}",
        "tried": f"{_tried(search)}, {search.failed:,} failed",
        "cost": f"{f'{search.cost:,.1f}'.removesuffix('.0')} whole cells{_share(search)}{_uncounted(search)}",
    }
    gone = "" if cells is None else removable_line(prepared(cells, search), search)
    lines |= {"what can go": gone} if gone else {}
    if search.chosen is None:
        lines["chosen"] = nothing_chosen(record)
        lines |= smallest_lines(record)
        nearest = _nearest(search, cells)
        return lines | ({"best of all": nearest} if nearest else {})
    lines["chosen"] = chosen_edits(record)
    return lines | _gains(record, search, search.chosen) | _guard(search) | smallest_lines(record)


def _tried(search: SearchRecord) -> str:
    partial = search.tried - search.scored - search.failed
    return (
        f"{plural(search.tried, 'stack')}, from {plural(search.candidates, 'candidate edit')}; "
        f"{search.scored:,} scored in full, {partial:,} in part"
    )


def _sought(record: Record, search: SearchRecord) -> str:
    also = (record.config.get("search") or {}).get("also") or ()
    over = f", mean over {len(also) + 1} data sets" if also else ""
    if search.compression is not None:
        metric = "an accuracy" if search.objective == "accuracy" else "a log loss"
        return f"fewest entries with {metric} not worse by {plain_margin(search)} on validation{over}"
    return f"{'most accuracy' if search.objective == 'accuracy' else 'least log loss'} on validation{over}"


def _share(search: SearchRecord) -> str:
    if search.driver in IN_TURN or not search.candidates:
        return ""
    return f", {100 * search.cost / search.candidates:.3g} % of the grid"


def _uncounted(search: SearchRecord) -> str:
    return "; the gradient's own passes not counted" if search.driver in _BY_GRADIENT else ""


def _gains(record: Record, search: SearchRecord, chosen: float) -> dict[str, str]:
    """Returns the lines that set what was selected beside what was tested."""
    share = search.objective == "accuracy"
    found, (gain, ci95, p) = chosen - search.base, tested(record)
    all_tried = search.driver in _EXHAUSTIVE and search.scored >= search.candidates
    unseen = "" if all_tried else "; what was not scored in full is not in it"
    by = _by(search, found)
    lines = {
        f"validation gain, {unit(search)}": f"{signed(found, share)}, {by}",
        "  p, max-T over those scored": (p_value(search.adjusted_p).removeprefix("p = ") or "unknown") + unseen,
        "  cells that gain, that p ≤ .05": f"{search.improving:,} of {search.scored:,}",
    }
    if gain is not None:
        lines[f"test gain, {unit(search)}"] = f"{signed(gain, share)}, 95 % interval {interval(ci95, share)}"
        lines["  p of the one test made"] = p_value(p).removeprefix("p = ")
        lines["  validation minus test"] = signed(found - gain, share)
    lines["  least gain it could detect"] = "unknown" if search.detectable is None else _detectable(search, share)
    return lines


def _by(search: SearchRecord, found: float) -> str:
    if search.compression is not None:
        return "which was only to be not worse"
    return (
        "what the choice went by" if found else "a tie, in which the log loss chose: search.objective=log_loss shows it"
    )


def _detectable(search: SearchRecord, share: bool) -> str:
    return f"{signed(search.detectable or 0.0, share)} (80 % power, two-sided 5 %)"


def _guard(search: SearchRecord) -> dict[str, str]:
    """Returns what the guard's text says of the chosen stack, of windows that did not choose it."""
    guard = search.guard
    if guard is None:
        return {}
    name = f"guard, {_CHANGES.get(guard['kind'], guard['kind'])}"
    if "problem" in guard:
        return {name: f"not measured on windows that chose nothing: {guard['problem']}"}
    numbers = {name: f"{guard[name]:.3g}" for name in ("mean", "bound", "p99", "limit")}
    return {
        name: f"{numbers['mean']} nats on {guard['text']}, at most "
        f"{numbers['bound']} with 95 % confidence (limit {numbers['limit']}), 99th percentile {numbers['p99']}",
        "  measured on": f"{guard['tokens']:,} tokens that chose nothing",
        "  stacks turned away": f"{guard['refused']:,}",
    }


def tested(record: Record) -> tuple[float | None, tuple[float, float] | None, float | None]:
    """Returns the test gain that counts, its interval and its p: in accuracy, unless log loss is what was searched for.

    Args:
        record: of the run.
    """
    gain = variants(record)[-1].gain
    return (None, None, None) if gain is None else of_gain(gain, in_points(record))


def of_gain(gain: Gain, share: bool) -> tuple[float | None, tuple[float, float] | None, float | None]:
    """Returns the gain of a split with its interval and p.

    Args:
        gain: of the split.
        share: in accuracy, not in log loss.
    """
    if share:
        return gain.accuracy, gain.ci95, gain.p
    return gain.log_loss, gain.log_loss_ci95, gain.log_loss_p


def in_points(record: Record) -> bool:
    """Returns whether the gain that counts is one of accuracy.

    Args:
        record: of the run.
    """
    if record.search is not None:
        return record.search.objective == "accuracy"
    gain = variants(record)[-1].gain
    return gain is not None and gain.accuracy is not None


def merit(search: SearchRecord, number: float) -> str:
    """Returns a value of the objective as people read it: "57.9 %", or the log loss itself.

    Args:
        search: whose objective it is.
        number: higher is better; of log loss its negative.
    """
    return value(number, True) if search.objective == "accuracy" else value(-number, False)


def chosen_edits(record: Record) -> str:
    """Returns the edits in words, the first three of many.

    Args:
        record: of the run.
    """
    shown = " + ".join(f"{matrix_name(edit)} {amount(edit)}" for edit in record.edits[:_SHOWN])
    return shown + (f" + {len(record.edits) - _SHOWN} more" if len(record.edits) > _SHOWN else "")


def nothing_chosen(record: Record) -> str:
    """Returns the sentence for a search that chose nothing.

    Args:
        record: of the run.
    """
    return f"nothing: {in_vain_because(record)} on validation, so the model stays as it is"


def in_vain_because(record: Record) -> str:
    """Returns what was not to be had in a search that chose nothing: "no candidate beat the base".

    Args:
        record: of the run.
    """
    search = record.search
    if search is None or search.compression is None:
        return f"{no_candidate(record)} beat the base"
    return f"{no_candidate(record)} both saves storage and is shown to be not worse by {plain_margin(search)}"


def no_candidate(record: Record) -> str:
    """Returns who did not beat the base in a search that chose nothing: under a guard some may have, that it refused.

    Args:
        record: of the run.
    """
    return "no candidate that passes the guard" if is_guarded(record) else "no candidate"


def _nearest(search: SearchRecord, cells: pd.DataFrame | None) -> str:
    if cells is None:
        return ""
    scored = prepared(cells, search)
    scored = scored[scored["complete"]]
    if scored.empty:
        return ""
    best = scored.loc[scored["gain"].idxmax()]
    refused = ", turned away by the guard" if best["refused"] else ""
    return f"{best['edits']}, {plain_gain(best['gain'], search)} on validation{refused}"
