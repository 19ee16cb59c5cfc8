"""Validation and test parts: whole groups, by a seeded hash of their names."""

from collections.abc import Sequence
from dataclasses import dataclass

import xxhash

from laser_lit.data.example import ExampleSet
from laser_lit.errors import InputError, unknown_name

MODES = ("group", "paper")


@dataclass(frozen=True)
class Split:
    """Indices into the examples (or windows), ascending.

    Attributes:
        validation: what a search may look at.
        test: what is reported.
    """

    validation: tuple[int, ...]
    test: tuple[int, ...]


def split(
    units: ExampleSet | Sequence[str],
    *,
    mode: str = "group",
    seed: int = 0,
    fraction: float = 0.2,
    limit: int | None = None,
) -> Split:
    """Returns the validation and the test part.

    "group" gives a group to validation when the hash of (seed, its name), read as a number in [0, 1), is below the
    fraction: a group keeps its part whatever the order and however many rows are added. "paper" takes the first
    rows in file order, as LASER's code does; groups may then lie on both sides.

    Args:
        units: the examples, or the name of the group of each unit.
        mode: "group" or "paper".
        seed: of the hash.
        fraction: share of validation, in (0, 1).
        limit: keep this many groups before the split: in "group" those of smallest hash under another salt (so a
            smaller limit keeps a part of what a larger one keeps), in "paper" the first in file order.

    Raises:
        InputError: an argument is out of range, or there are fewer than two groups (in "paper": rows).
    """
    if mode not in MODES:
        raise unknown_name("split", mode, MODES)
    if not 0 < fraction < 1:
        raise InputError(f"validation fraction {fraction}: must lie in (0, 1)")
    names = [example.group for example in units.examples] if isinstance(units, ExampleSet) else list(units)
    kept = _limited(names, mode, seed, limit)
    rows = [i for i, name in enumerate(names) if name in kept]
    if mode == "paper":
        return _first_rows(rows, fraction)
    validation = _validation(kept, seed, fraction)
    return Split(
        tuple(i for i in rows if names[i] in validation),
        tuple(i for i in rows if names[i] not in validation),
    )


def _limited(names: list[str], mode: str, seed: int, limit: int | None) -> set[str]:
    groups = list(dict.fromkeys(names))
    if limit is None:
        return set(groups)
    if limit < 1:
        raise InputError(f"data.limit {limit}: must be at least 1 group")
    if mode == "group":
        groups.sort(key=lambda name: (_hash("limit", seed, name), name))
    return set(groups[:limit])


def _validation(groups: set[str], seed: int, fraction: float) -> set[str]:
    if len(groups) < 2:
        raise InputError(f"{len(groups)} group(s): a validation and a test part need at least 2; raise data.limit")
    places = {name: _hash("split", seed, name) for name in groups}
    validation = {name for name, place in places.items() if place < fraction}
    ranked = sorted(groups, key=lambda name: (places[name], name))
    if not validation:
        return set(ranked[:1])
    return set(ranked[:-1]) if len(validation) == len(groups) else validation


def _first_rows(rows: list[int], fraction: float) -> Split:
    n = int(fraction * len(rows))
    if n == 0 or n == len(rows):
        raise InputError(
            f"{len(rows)} row(s): the first {fraction:.0%} are {n}; a split needs both parts, take more rows"
        )
    return Split(tuple(rows[:n]), tuple(rows[n:]))


def _hash(salt: str, seed: int, name: str) -> float:
    return float(xxhash.xxh3_64_intdigest(f"{salt}\0{seed}\0{name}".encode()) / 2**64)
