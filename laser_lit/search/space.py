"""What a search may choose from: every edit of one matrix by an explicit rank."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from laser_lit.edits.edit import KINDS, Edit
from laser_lit.errors import InputError, unknown_name
from laser_lit.linalg.rank import Number, check_rho, rank_from_rho, smallest_rho
from laser_lit.models.matrices import MatrixMap

Edits = tuple[Edit, ...]
Place = tuple[str | None, int, str]
"""Part, layer and matrix; the experts of a layer's matrix are edited together."""

PRESETS: dict[str, tuple[Decimal, ...]] = {
    "code": tuple(map(Decimal, ("0.9", "0.8", "0.6", "0.4", "0.2", "0.1", "0.05", "0.01", "0.005"))),
    "table5": tuple(map(Decimal, ("0.9", "0.8", "0.6", "0.2", "0.1", "0.05", "0.01"))),
    "figure2": tuple(
        1 - Decimal(reduction) / 10_000
        for reduction in (1000, 2500, 4000, 5000, 6000, 7500, 9000, 9250, 9500, 9750, 9800, 9850, 9900, 9950, 9975)
    ),
}
"""Kept shares: of the LASER code, of the paper's Table 5, of its Figure 2 (there given as reductions in per cent)."""

LATE = Decimal("0.6")
"""`layers=late` starts at this share of the layers: the reference's own grid takes the last 40 %."""


WORDS = ("all", "late")


@dataclass(frozen=True)
class Space:
    """Candidates, matrix by matrix and in each from the lowest rank to the highest.

    Attributes:
        edits: each of one matrix (of all experts of it), with its rank.
    """

    edits: tuple[Edit, ...]

    @classmethod
    def of(
        cls,
        matrices: MatrixMap,
        layers: int | str | Sequence[int | str] = "all",
        matrix: str | Sequence[str] = "all",
        rhos: str | Sequence[Number] = "code",
        ranks: Sequence[int] | None = None,
        kinds: Sequence[str] = ("low_rank",),
    ) -> "Space":
        """Returns the candidates of a model; ranks that coincide count once, and none is below 1.

        Args:
            matrices: the model's.
            layers: as `MatrixMap.select` takes them, or "late".
            matrix: as `MatrixMap.select` takes it.
            rhos: one of PRESETS, or kept shares in (0, 1).
            ranks: kept components, instead of `rhos`; those of a matrix's full rank or more are left out.
            kinds: kinds of edits; "zero" has no rank and is tried once a matrix.

        Raises:
            InputError: names that the model does not have, shares outside [0, 1], ranks below 1, or nothing left.
        """
        for kind in kinds:
            if kind not in KINDS:
                raise unknown_name("kind in search.kinds", kind, KINDS)
        shares = _shares(rhos) if ranks is None else ()
        for rank in ranks or ():
            if rank < 1:
                raise InputError(f"rank {rank} in search.rank: must be at least 1; kind zero removes a matrix")
        edits: list[Edit] = []
        places = _places(matrices, layers, matrix)
        for (part, layer, name), d in places.items():
            for kind in dict.fromkeys(kinds):
                kept = [None] if kind == "zero" else _ranks(d, shares, ranks)
                edits += [Edit(layer, name, rank=rank, kind=kind, part=part) for rank in kept]
        if not edits:
            given = f"search.rho={rhos}" if ranks is None else f"search.rank={list(ranks)}"
            useful = f"each is the full rank; the highest useful one is {max(places.values()) - 1}"
            raise InputError(f"{given} leaves no candidates: {useful}")
        return cls(tuple(edits))

    def __len__(self) -> int:
        return len(self.edits)

    def by_matrix(self) -> dict[Place, Edits]:
        """Returns the candidates of each matrix."""
        found: dict[Place, list[Edit]] = {}
        for edit in self.edits:
            found.setdefault(place_of(edit), []).append(edit)
        return {place: tuple(edits) for place, edits in found.items()}

    def without(self, taken: Iterable[Edit]) -> "Space":
        """Returns the candidates on matrices that none of the edits is on.

        Args:
            taken: edits of this space.
        """
        places = {place_of(edit) for edit in taken}
        return Space(tuple(edit for edit in self.edits if place_of(edit) not in places))

    def shard(self, number: int, shards: int) -> "Space":
        """Returns one of several parts of about equal cost; all of them together are the space.

        Matrices are dealt, not ranks, so that each is factorized by one job only.

        Args:
            number: which part, in [0, shards).
            shards: how many parts.

        Raises:
            InputError: a part that does not exist.
        """
        if shards < 1 or not 0 <= number < shards:
            raise InputError(f"search.shard={number} search.shards={shards}: shard must lie in [0, shards)")
        groups = list(self.by_matrix().values())
        return Space(tuple(edit for group in groups[number::shards] for edit in group))


def place_of(edit: Edit) -> Place:
    """Returns the matrix of an edit of a space.

    Args:
        edit: with a single layer and matrix.
    """
    return edit.part, int(str(edit.layer)), str(edit.matrix)


def describe(edits: Edits) -> str:
    """Returns a stack in words: "layer 2 fc_in rank 1 + layer 1 out_proj rank 12"."""
    return " + ".join(
        f"{edit.target} {'' if edit.kind == 'low_rank' else edit.kind + ' '}"
        f"{'' if edit.rank is None else f'rank {edit.rank}'}".strip()
        for edit in edits
    )


def _places(
    matrices: MatrixMap, layers: int | str | Sequence[int | str], matrix: str | Sequence[str]
) -> dict[Place, int]:
    """Returns min(out, in) of each matrix that is named."""
    if isinstance(layers, str) and layers not in WORDS and not layers.lstrip("-").isdigit():
        raise unknown_name("search.layers", layers, WORDS)
    ids = matrices.select("all" if layers == "late" else layers, matrix)
    if layers == "late":
        ids = [id for id in ids if id.layer >= int(LATE * matrices.layers[id.part])]
    return {(id.part, id.layer, id.matrix): min(matrices[id].shape) for id in ids}


def _shares(rhos: str | Sequence[Number]) -> tuple[Decimal, ...]:
    if isinstance(rhos, str):
        if rhos not in PRESETS:
            raise unknown_name("search.rho", rhos, PRESETS)
        return PRESETS[rhos]
    values = rhos if isinstance(rhos, Sequence) else (rhos,)
    return tuple(check_rho(rho, "search.rho") for rho in values)


def _ranks(d: int, shares: Sequence[Decimal], ranks: Sequence[int] | None) -> Sequence[int | None]:
    """Returns the ranks below d, ascending, each once."""
    if ranks is None:
        ranks = [1 if share < smallest_rho(d) else rank_from_rho(share, d) for share in shares]
    return sorted({rank for rank in ranks if rank < d})
