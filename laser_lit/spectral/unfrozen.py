"""unfrozen.yaml: of each type of module, those with the highest SNR, in the format that Spectrum and axolotl read."""

from collections.abc import Iterable
from decimal import Decimal
from math import inf
from pathlib import Path

import pandas as pd

from laser_lit.errors import InputError
from laser_lit.files import write_text_atomic
from laser_lit.models.checkpoint import kind_of

FILE = "unfrozen.yaml"


def unfrozen_modules(table: pd.DataFrame, percent: float, vectors: Iterable[str] = ()) -> dict[str, list[str]]:
    """Returns the modules to train by kind: the ⌊n·percent/100⌋ of each kind with the highest SNR over s_max.

    A tensor that holds several matrices counts once, with their mean. A matrix of which laserRMT's rule keeps
    everything has an infinite SNR and comes first.

    Args:
        table: as from `scan`.
        percent: of the modules of each kind, in [0, 100].
        vectors: names of norms, whose SNR is infinite too: the first ones are taken, as Spectrum does.

    Raises:
        InputError: percent outside [0, 100].

    Source: Spectrum (Hartford et al. 2024, arXiv 2406.06623), and its scanner's files.
    """
    check_percent(percent)
    ratios: dict[str, dict[str, list[float]]] = {}
    for kind, name, ratio, infinite in _columns(table):
        ratios.setdefault(kind, {}).setdefault(name, []).append(inf if infinite else ratio)
    for name in vectors:
        ratios.setdefault(kind_of(name), {})[name] = [inf]
    chosen = {}
    for kind, found in sorted(ratios.items()):
        means = {name: sum(values) / len(values) for name, values in found.items()}
        ranked = sorted(means, key=lambda name: -means[name])
        chosen[kind] = [_module(name) for name in ranked[: int(len(ranked) * Decimal(str(percent)) / 100)]]
    return chosen


def check_percent(percent: float) -> None:
    """Raises an error for a percentage that is none.

    Args:
        percent: of the modules of each kind.

    Raises:
        InputError: outside [0, 100].
    """
    if not 0 <= percent <= 100:
        raise InputError(f"spectral.percent {percent}: must lie in [0, 100]")


def write_unfrozen(path: Path, table: pd.DataFrame, percent: float, vectors: Iterable[str] = ()) -> Path:
    """Writes the list atomically, and returns its path.

    Args:
        path: of the YAML file.
        table: as from `scan`.
        percent: of the modules of each kind, in [0, 100].
        vectors: as for `unfrozen_modules`.

    Raises:
        InputError: percent outside [0, 100].
    """
    lines = []
    for kind, modules in unfrozen_modules(table, percent, vectors).items():
        lines += [f"# {kind} layers", *(f"- {module}" for module in modules)]
    write_text_atomic(path, "\n".join(["unfrozen_parameters:", *lines]) + "\n")
    return path


def _columns(table: pd.DataFrame) -> Iterable[tuple[str, str, float, bool]]:
    if table.empty:
        return []
    ratios = table["snr_ratio"].astype(float).fillna(0.0)  # a matrix of zeros has none
    return zip(table["kind"], table["name"], ratios, table["snr_is_infinite"], strict=True)


def _module(name: str) -> str:
    return name.removesuffix(".weight")
