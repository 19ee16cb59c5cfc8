"""The gain of one per-example table over another, with what the number is worth."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from laser_lit.errors import InputError
from laser_lit.results.stats import Floats, bootstrap_cis, mcnemar_exact, sign_flip_p


@dataclass(frozen=True)
class Gain:
    """What an edit gains over the base, paired by example; positive is better throughout.

    Means, intervals and p are weighted where the comparison was; see `compare`.

    Attributes:
        n: examples.
        n_groups: groups, the units of the interval and of p.
        accuracy: mean over examples of laser - base; None where the examples have no right or wrong (perplexity).
        ci95: interval of `accuracy`, bootstrap over groups; None for a single group.
        p: two-sided sign-flip test over groups of `accuracy`.
        fixed: examples wrong under the base and right under LASER.
        broken: examples right under the base and wrong under LASER.
        mcnemar_p: exact McNemar over examples, which ignores the groups and so is too sure of itself where they matter.
        log_loss: mean over examples of base - laser, nats; None where a log loss is missing or infinite.
        log_loss_ci95: as `ci95`, of `log_loss`.
        log_loss_p: as `p`, of `log_loss`.
        ci90: interval of `accuracy` for two one-sided tests at 5 %; None in records of older versions.
        log_loss_ci90: as `ci90`, of `log_loss`.
    """

    n: int
    n_groups: int
    accuracy: float | None
    ci95: tuple[float, float] | None
    p: float | None
    fixed: int | None
    broken: int | None
    mcnemar_p: float | None
    log_loss: float | None
    log_loss_ci95: tuple[float, float] | None
    log_loss_p: float | None
    ci90: tuple[float, float] | None = None
    log_loss_ci90: tuple[float, float] | None = None

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> "Gain":
        """Returns the gain of a record's entry.

        Args:
            content: the attributes as JSON has them; entries that are not known are left out.
        """
        intervals = ("ci95", "log_loss_ci95", "ci90", "log_loss_ci90")
        pairs = {name: tuple(content[name]) for name in intervals if content.get(name)}
        return cls(**{name: value for name, value in {**content, **pairs}.items() if name in cls.__dataclass_fields__})


def compare(base: pd.DataFrame, laser: pd.DataFrame, *, weight: str | None = None, seed: int = 0) -> Gain:
    """Returns the gain of `laser` over `base`, two tables of the same examples in any order.

    Args:
        base: a row an example, columns id, group and correct or log_loss or both.
        laser: the same examples.
        weight: column of `base` by which examples count (tokens of a window, say); equal when None. `fixed`,
            `broken` and McNemar's test count examples, whatever their weight.
        seed: of the bootstrap and the sign flips.

    Raises:
        InputError: an empty table, a missing column, repeated ids, other examples or other groups.
    """
    _check(base, "base")
    _check(laser, "laser")
    laser = _aligned(base, laser)
    groups = base["group"].astype(str).to_numpy()
    weights = None if weight is None else base[weight].to_numpy(dtype=np.float64)
    before, after = _column(base, "correct"), _column(laser, "correct")
    right = None if before is None or after is None else after - before
    before, after = _column(base, "log_loss"), _column(laser, "log_loss")
    loss = None if before is None or after is None else before - after
    accuracy, ci95, p, ci90 = _measure(right, groups, weights, seed)
    log_loss, log_loss_ci95, log_loss_p, log_loss_ci90 = _measure(loss, groups, weights, seed)
    fixed, broken = (None, None) if right is None else (int((right > 0).sum()), int((right < 0).sum()))
    return Gain(
        n=len(base),
        n_groups=len(np.unique(groups)),
        accuracy=accuracy,
        ci95=ci95,
        p=p,
        fixed=fixed,
        broken=broken,
        mcnemar_p=None if fixed is None or broken is None else mcnemar_exact(fixed, broken),
        log_loss=log_loss,
        log_loss_ci95=log_loss_ci95,
        log_loss_p=log_loss_p,
        ci90=ci90,
        log_loss_ci90=log_loss_ci90,
    )


def _measure(
    gains: Floats | None, groups: np.ndarray, weights: Floats | None, seed: int
) -> tuple[float | None, tuple[float, float] | None, float | None, tuple[float, float] | None]:
    """Returns mean gain, 95 % interval, p and 90 % interval."""
    if gains is None:
        return None, None, None, None
    ci95, ci90 = bootstrap_cis(gains, groups, (0.95, 0.9), weights=weights, seed=seed)
    p = sign_flip_p(gains, groups, weights=weights, seed=seed)
    return float(np.average(gains, weights=weights)), ci95, p, ci90


def _column(table: pd.DataFrame, name: str) -> Floats | None:
    """Returns a column as floats, or None where the table cannot answer for every example."""
    if name not in table.columns:
        return None
    values = pd.to_numeric(table[name], errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    return values if np.isfinite(values).all() else None


def _check(table: pd.DataFrame, name: str) -> None:
    missing = [column for column in ("id", "group") if column not in table.columns]
    if missing or not {"correct", "log_loss"} & set(table.columns):
        raise InputError(
            f"{name} table has columns {', '.join(map(str, table.columns))}: needs id, group and correct or log_loss"
        )
    if table.empty:
        raise InputError(f"{name} table has no examples: a gain needs at least one")
    repeated = table["id"][table["id"].duplicated()]
    if len(repeated):
        raise InputError(f"{name} table: the id {repeated.iloc[0]!r} comes more than once; ids must be unique")


def _aligned(base: pd.DataFrame, laser: pd.DataFrame) -> pd.DataFrame:
    """Returns the rows of `laser` in the order of `base`."""
    alone = set(base["id"]) ^ set(laser["id"])
    if alone:
        raise InputError(
            f"base has {len(base)} examples, laser {len(laser)}, and {len(alone)} ids are in one of them only "
            f"(such as {min(map(str, alone))!r}): a paired gain needs the same examples in both"
        )
    ordered = laser.set_index("id").loc[base["id"]].reset_index()
    other = ordered["group"].astype(str).to_numpy() != base["group"].astype(str).to_numpy()
    if other.any():
        raise InputError(f"example {base['id'].to_numpy()[other][0]!r} has another group in base than in laser")
    return ordered
