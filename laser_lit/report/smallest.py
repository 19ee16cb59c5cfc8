"""What a search for the smallest model found, in words: its harm on both splits, its size and its speed."""

from laser_lit.report.removable import plain_margin
from laser_lit.report.wording import signed
from laser_lit.results.compression import Compression
from laser_lit.results.intervals import least_groups, not_worse
from laser_lit.results.record import Record
from laser_lit.results.search_record import SearchRecord


def smallest_lines(record: Record) -> dict[str, str]:
    """Returns texts by label; empty for other searches.

    Args:
        record: of the run.
    """
    search = record.search
    found = None if search is None else search.compression
    if search is None or found is None:
        return {}
    lines = {"matrices that can be cut alone": f"{found.alone:,} of {found.matrices:,}{_few(record, search)}"}
    if search.chosen is None:
        return lines
    unit = "points" if search.objective == "accuracy" else "nats"
    if found.taken < found.alone:
        lines["  all of them together"] = f"{_difference(search, found.all_gain, found.all_bound)}, so not all were cut"
    return lines | {
        "  cut together": f"{found.taken:,}",
        f"against the base, {unit}": f"validation {_difference(search, found.gain, found.bound)}, which the choice "
        "went by",
        "  on test": _tested(record, search),
        "parameters": _size(found),
        "forward pass": _speed(found),
    }


def _few(record: Record, search: SearchRecord) -> str:
    groups, delta = record.data.get("groups_validation"), search.delta
    if search.objective != "accuracy" or groups is None or delta is None or groups >= least_groups(delta):
        return ""
    return (
        f"; {groups:,} groups are too few to show that nothing is lost, which takes {least_groups(delta):,} at this "
        "search.delta: only cuts that gain are in"
    )


def _difference(search: SearchRecord, gain: float | None, bound: float | None) -> str:
    share = search.objective == "accuracy"
    if gain is None or bound is None:
        return "not known"
    return f"{signed(gain, share)}, at least {signed(bound, share)} with 95 % confidence"


def _tested(record: Record, search: SearchRecord) -> str:
    """Returns the difference on test, which chose nothing, its bound, and whether that shows no harm."""
    gain, share = record.test.gain, search.objective == "accuracy"
    if gain is None:
        return "not scored"
    mean, ci90, ci95 = (
        (gain.accuracy, gain.ci90, gain.ci95) if share else (gain.log_loss, gain.log_loss_ci90, gain.log_loss_ci95)
    )
    if mean is None or ci90 is None or ci95 is None:
        return "not known: a single group"
    shown = not_worse(ci95[0], ci90[0], gain.n_groups, search.delta or 0.0, share)
    verdict = f"not worse than −{plain_margin(search)}" if shown else f"above −{plain_margin(search)} not shown"
    return f"{_difference(search, mean, ci90[0])}: {verdict}"


def _size(found: Compression) -> str:
    saved = 1 - found.parameters_after / found.parameters
    whole = f"; {found.whole:,} of the cut matrices the model can only store whole" if found.whole else ""
    return (
        f"{found.parameters:,} → {found.parameters_after:,} as two factors a matrix, {100 * saved:.1f} % fewer{whole}"
    )


def _speed(found: Compression) -> str:
    if found.speed is None or found.speed_range is None:
        return "not measured: the passes of this task cannot be repeated by themselves, or nothing is stored as factors"
    low, high = found.speed_range
    return (
        f"as factors {found.speed:.2f} × as fast as dense (median of {found.repeats} repeats side by side, half of "
        f"them {low:.2f} to {high:.2f}; validation batches: {found.passes})"
    )
