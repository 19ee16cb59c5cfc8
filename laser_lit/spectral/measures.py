"""Everything that is measured on one matrix: from its singular values, and from those of its shuffled entries."""

from dataclasses import asdict, dataclass
from math import isfinite, log, log10, sqrt

import torch
from torch import Tensor

from laser_lit.errors import InputError
from laser_lit.linalg import noise, rules
from laser_lit.linalg.bulk_fit import fit_bulk
from laser_lit.linalg.power_law import fit_power_law
from laser_lit.linalg.spectrum import singular_values
from laser_lit.spectral.randomized import compare_with_shuffled

Value = float | int | bool | None


@dataclass(frozen=True)
class Measures:
    """What a scan says of one matrix, a field a column; docs/measures.md has formulas, sources and units.

    None stands where a measure is not defined: for zero matrices, for too few eigenvalues, where a fit fails, and for
    all of the comparison with shuffled entries where it was not asked for. No value is NaN or infinite.
    """

    frobenius_norm: float
    s_max: float
    s_min: float
    numerical_rank: int
    breakeven_rank: float
    effective_rank: float | None
    stable_rank: float | None
    entropy: float | None
    energy_rank_50: int
    energy_rank_90: int
    energy_rank_95: int
    energy_rank_99: int
    laser_rmt_sigma: float
    laser_rmt_threshold: float
    laser_rmt_rank: int
    snr: float | None
    snr_is_infinite: bool
    snr_ratio: float | None
    mp_median_sigma: float
    mp_median_edge: float
    mp_median_rank: int
    mp_iqr_sigma: float
    mp_iqr_edge: float
    mp_iqr_rank: int
    mp_iqr_plain_sigma: float
    mp_iqr_plain_edge: float
    mp_iqr_plain_rank: int
    gavish_donoho_threshold: float
    gavish_donoho_rank: int
    mp_fit_sigma: float | None
    mp_fit_edge: float | None
    mp_fit_rank: int | None
    alpha: float | None
    alpha_sigma: float | None
    alpha_weighted: float | None
    D: float | None
    xmin: float | None
    num_pl_spikes: int | None
    log_norm: float | None
    spectral_norm: float
    detX_num: int  # noqa: N815 (WeightWatcher's name)
    num_spikes: int | None
    sigma_mp: float | None
    bulk_min: float | None
    bulk_max: float | None
    mp_softrank: float | None
    max_rand_eval: float | None = None
    num_spikes_above_rand: int | None = None
    rand_distance: float | None = None
    rand_num_spikes: int | None = None
    rand_sigma_mp: float | None = None
    rand_bulk_max: float | None = None
    ww_softrank: float | None = None
    ww_maxdist: float | None = None

    def as_dict(self) -> dict[str, Value]:
        """Returns the measures by name, in the order of the columns; ready for JSON and CSV."""
        return asdict(self)


def measure(
    W: Tensor,
    *,
    S: Tensor | None = None,
    randomize: bool = False,
    seed: int = 0,
    device: torch.device | str | None = None,
    name: str = "matrix",
) -> Measures:
    """Returns all measures of a matrix.

    Args:
        W: (out, in), any floating dtype; it is not changed.
        S: (d,) its singular values, descending, where they are known; None computes them.
        randomize: compare the spectrum with that of the same entries, shuffled.
        seed: of the shuffle.
        device: where singular values are computed; None is where the matrix is.
        name: what errors call the matrix.

    Raises:
        InputError: for anything but a non-empty matrix of finite floating-point numbers.
    """
    S = singular_values(W, name, device) if S is None else S
    found = measure_spectrum(S, (W.shape[0], W.shape[1])).as_dict()
    if randomize:
        found |= compare_with_shuffled(W, S, seed, device)
    return Measures(**found)  # type: ignore[arg-type]


def measure_spectrum(S: Tensor, shape: tuple[int, int]) -> Measures:
    """Returns the measures that need no more than the singular values.

    Args:
        S: (d,) all singular values, descending.
        shape: of the matrix.

    Raises:
        InputError: for singular values whose squares float64 cannot hold; no float32 matrix has such.
    """
    S = S.detach().to("cpu", torch.float64)
    if float(S[0]) and not 1e-150 < float(S[0]) < 1e150:
        raise InputError(f"largest singular value {float(S[0]):.1e}: the squares leave float64; scale the matrix")
    found = {**_sizes(S, shape), **_noise(S, shape), **_power_law(S), **_bulk(S, shape)}
    return Measures(**{name: _finite(value) for name, value in found.items()})  # type: ignore[arg-type]


def _sizes(S: Tensor, shape: tuple[int, int]) -> dict[str, Value]:
    """Norms and the ranks that no noise is taken for."""
    top = float(S[0])
    power = (S / top).square() if top else S  # of no unit, so that nothing overflows
    total = float(power.sum())
    tolerance = top * max(shape) * torch.finfo(torch.float64).eps
    numerical = int(S.gt(tolerance).sum())
    spread = float(torch.special.entr(power / total).sum()) if top else 0.0
    return {
        "frobenius_norm": top * sqrt(total),
        "s_max": top,
        "s_min": float(S[-1]),
        "numerical_rank": numerical,
        "breakeven_rank": shape[0] * shape[1] / sum(shape),
        "effective_rank": rules.effective_rank(S) or None,
        "stable_rank": total if top else None,
        "entropy": spread / log(numerical) if numerical > 1 else None,
        "log_norm": log10(total) + 2 * log10(top) if top else None,
        "spectral_norm": top * top,
        "detX_num": rules.detx(S, shape),
        **{f"energy_rank_{share}": rules.energy(S, shape, share / 100) for share in (50, 90, 95, 99)},
    }


def _noise(S: Tensor, shape: tuple[int, int]) -> dict[str, Value]:
    """Where the noise ends, by each of the rules."""
    coded, optimal = noise.laser_rmt(S, shape), noise.gavish_donoho(S, shape)
    found: dict[str, Value] = {
        "laser_rmt_sigma": coded.sigma,
        "laser_rmt_threshold": coded.threshold,
        "laser_rmt_rank": coded.rank,
        "gavish_donoho_threshold": optimal.threshold,
        "gavish_donoho_rank": optimal.rank,
    }
    for rule in (noise.mp_median, noise.mp_iqr, noise.mp_iqr_plain):
        cut, name = rule(S, shape), rule.__name__
        found |= {f"{name}_sigma": cut.sigma, f"{name}_edge": cut.threshold, f"{name}_rank": cut.rank}
    signal, rest = float(S[: coded.rank].sum()), float(S[coded.rank :].sum())
    snr = signal / rest if rest else None
    ratio = None if snr is None else snr / float(S[0])
    return found | {"snr": snr, "snr_is_infinite": rest == 0 and signal > 0, "snr_ratio": ratio}


def _power_law(S: Tensor) -> dict[str, Value]:
    fit = fit_power_law(S.square())
    if fit is None:
        return dict.fromkeys(("alpha", "alpha_sigma", "alpha_weighted", "D", "xmin", "num_pl_spikes"))
    return {
        "alpha": fit.alpha,
        "alpha_sigma": fit.sigma,
        "alpha_weighted": fit.alpha * 2 * log10(float(S[0])),
        "D": fit.D,
        "xmin": fit.xmin,
        "num_pl_spikes": fit.n,
    }


def _bulk(S: Tensor, shape: tuple[int, int]) -> dict[str, Value]:
    """The law fitted to the density: as WeightWatcher does it under its names, and with the right law for squares."""
    coded = fit_bulk(S, shape, as_coded=True)
    right = fit_bulk(S, shape) if shape[0] == shape[1] else coded
    root_mean_square = float(torch.linalg.vector_norm(S)) / sqrt(shape[0] * shape[1])
    return {
        "num_spikes": coded.spikes if coded else None,
        "sigma_mp": coded.sigma if coded else None,
        "bulk_min": coded.low if coded else None,
        "bulk_max": coded.high if coded else None,
        "mp_softrank": coded.high / float(S[0]) ** 2 if coded else None,
        "mp_fit_sigma": right.sigma * root_mean_square if right else None,
        "mp_fit_edge": sqrt(right.high) if right else None,
        "mp_fit_rank": right.spikes if right else None,
    }


def _finite(value: Value) -> Value:
    return value if value is None or isfinite(value) else None
