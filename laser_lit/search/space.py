"""What a search may choose from: edits of one matrix each, by an explicit rank."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from laser_lit.edits.edit import KINDS, Edit
from laser_lit.errors import InputError, unknown_name
from laser_lit.linalg.rank import Number
from laser_lit.models.matrices import MatrixId, MatrixMap
from laser_lit.search.amounts import Amounts

Edits = tuple[Edit, ...]
Place = tuple[str | None, int, str]
"""Part, layer and matrix; the experts of a layer's matrix are edited together."""

LATE = Decimal("0.6")
"""`layers=late` starts at this share of the layers: the reference's own grid takes the last 40 %."""


WORDS = ("all", "late")


@dataclass(frozen=True)
class Space:
    """Candidates; as `of` makes them matrix by matrix, and in each from the lowest rank to the highest.

    Attributes:
        edits: each of one matrix (of all experts of it), with its rank.
        skipped: matrices of which a rule keeps all or nothing, in words.
    """

    edits: tuple[Edit, ...]
    skipped: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        matrices: MatrixMap,
        layers: int | str | Sequence[int | str] = "all",
        matrix: str | Sequence[str] = "all",
        rhos: str | Sequence[Number] = "code",
        ranks: Sequence[int] | None = None,
        kinds: Sequence[str] = ("low_rank",),
        rules: Sequence[str] = (),
        decomposition: str = "svd",
        blocks: int | None = None,
    ) -> "Space":
        """Returns the candidates of a model; ranks that coincide count once, and none is below 1.

        Args:
            matrices: the model's.
            layers: as `MatrixMap.select` takes them, or "late".
            matrix: as `MatrixMap.select` takes it.
            rhos: one of PRESETS, or kept shares in (0, 1).
            ranks: kept components, instead of `rhos`; those of a matrix's full rank or more are left out.
            kinds: kinds of edits; "zero" has no rank and is tried once a matrix.
            rules: rank rules, instead of both; each matrix is read for its singular values.
            decomposition: of low_rank and high_order, see `Edit`.
            blocks: of rows, for decomposition "blocks".

        Raises:
            InputError: names that there are not, shares outside [0, 1], ranks below 1, or nothing left.
        """
        _check_kinds(kinds)
        amounts = Amounts.of(rhos, ranks, rules)
        found = places(matrices, layers, matrix)
        how = Edit(0, "all", rank=1, decomposition=decomposition, blocks=blocks)
        full = {place: how.full_rank(matrices[ids[0]].shape, str(ids[0])) for place, ids in found.items()}
        read = {} if set(kinds) == {"zero"} else found
        below = {place: amounts.of_matrix(matrices, ids, full[place]) for place, ids in read.items()}
        edits = tuple(edit for place in found for edit in _edits(place, kinds, below.get(place, ()), how))
        if not edits:
            useful = f"each is the full rank; the highest useful one is {max(full.values()) - 1}"
            raise InputError(f"{amounts.typed} leaves no candidates: {useful}")
        return cls(edits)

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
        f"{'' if edit.rank is None else f'rank {edit.rank}'} {edit.how}".strip()
        for edit in edits
    )


def _check_kinds(kinds: Sequence[str]) -> None:
    for kind in kinds:
        if kind not in KINDS:
            raise unknown_name("kind in search.kinds", kind, KINDS)


def _edits(place: Place, kinds: Sequence[str], ranks: Sequence[int], how: Edit) -> Iterator[Edit]:
    """Yields the candidates of a matrix, their components those of another edit where the kind has any."""
    part, layer, name = place
    for kind in dict.fromkeys(kinds):
        components = how.decomposed if kind in ("low_rank", "high_order") else {}
        for rank in [None] if kind == "zero" else ranks:
            yield Edit(layer, name, rank=rank, kind=kind, part=part, **components)  # type: ignore[arg-type]


def places(
    matrices: MatrixMap, layers: int | str | Sequence[int | str], matrix: str | Sequence[str]
) -> dict[Place, list[MatrixId]]:
    """Returns each matrix that is named, with its experts.

    Args:
        matrices: the model's.
        layers: as `MatrixMap.select` takes them, or "late".
        matrix: as `MatrixMap.select` takes it.

    Raises:
        InputError: something the model does not have.
    """
    if isinstance(layers, str) and layers not in WORDS and not layers.lstrip("-").isdigit():
        raise unknown_name("search.layers", layers, WORDS)
    found: dict[Place, list[MatrixId]] = {}
    for id in matrices.select("all" if layers == "late" else layers, matrix):
        if layers != "late" or id.layer >= int(LATE * matrices.layers[id.part]):
            found.setdefault((id.part, id.layer, id.matrix), []).append(id)
    return found
