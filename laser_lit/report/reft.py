"""Interventions, or a LoRA, beside base and LASER: the rows of one table, and a sentence a comparison."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from laser_lit.report.findings import gain_sentence
from laser_lit.report.variants import Variant, variants
from laser_lit.report.wording import interval, p_value, signed, value
from laser_lit.results.compare import Gain
from laser_lit.results.record import Record
from laser_lit.results.reft_result import ReftResult


@dataclass(frozen=True)
class Row:
    """One variant, ready to print; what does not apply is "".

    Attributes:
        name: of the variant.
        validation: accuracy on validation; of text the log loss.
        accuracy: on test.
        log_loss: on test, nats.
        gain: over the base on test, in the table's unit.
        interval: of the gain.
        p: of the gain, by group.
        flips: fixed and broken examples.
        mcnemar: exact p over examples.
    """

    name: str
    validation: str
    accuracy: str
    log_loss: str
    gain: str = ""
    interval: str = ""
    p: str = ""
    flips: str = ""
    mcnemar: str = ""


def answered(record: Record) -> bool:
    """Returns whether gains are in accuracy, and not in log loss.

    Args:
        record: of the run.
    """
    return record.test.base.get("accuracy") is not None


def reft_rows(record: Record) -> list[Row]:
    """Returns a row a variant, the base first; empty for a run without `reft.path`.

    Args:
        record: of the run.
    """
    if record.reft is None:
        return []
    share = answered(record)
    seen = {variant.name: variant for variant in variants(record, "validation")}
    return [_row(variant, seen.get(variant.name), share) for variant in variants(record)]


def rows_title(rows: Sequence[Row]) -> str:
    """Returns the names of the rows: "Base, LASER, ReFT, LASER + ReFT".

    Args:
        rows: as from `reft_rows`.
    """
    names = ", ".join(row.name for row in rows)
    return names[:1].upper() + names[1:]


def _row(variant: Variant, seen: Variant | None, share: bool) -> Row:
    metrics, gain = variant.metrics, variant.gain
    key = "accuracy" if share else "log_loss"
    row = Row(
        variant.name,
        "" if seen is None else value(seen.metrics.get(key), share),
        value(metrics.get("accuracy"), True),
        value(metrics.get("log_loss"), False),
    )
    if gain is None:
        return row
    size, ci95, p = (gain.accuracy, gain.ci95, gain.p) if share else _of_loss(gain)
    return Row(
        *(row.name, row.validation, row.accuracy, row.log_loss),
        "" if size is None else signed(size, share),
        "" if size is None else interval(ci95, share),
        p_value(p).removeprefix("p = "),
        "" if gain.fixed is None else f"{gain.fixed:,} / {gain.broken:,}",
        p_value(gain.mcnemar_p).removeprefix("p = "),
    )


def _of_loss(gain: Gain) -> tuple[float | None, tuple[float, float] | None, float | None]:
    return gain.log_loss, gain.log_loss_ci95, gain.log_loss_p


def comparisons(record: Record) -> list[str]:
    """Returns a sentence for each comparison on test but the headline's; empty for a run without `reft.path`.

    Args:
        record: of the run.
    """
    return [] if record.reft is None else list(_comparisons(record, record.reft))


def _comparisons(record: Record, reft: ReftResult) -> Iterator[str]:
    base, *others = variants(record)
    for variant in others[:-1]:
        if variant.gain is not None:
            yield gain_sentence(f"{variant.name} over the base", base.metrics, variant.metrics, variant.gain)
    own = reft.test
    by_name = {variant.name: variant.metrics for variant in others}
    for name, gain in (("LASER", own.over_laser), (reft.kind, own.over_reft)):
        if gain is not None and own.laser_reft is not None:
            yield gain_sentence(f"LASER + {reft.kind} over {name} alone", by_name[name], own.laser_reft, gain)
