"""One edit: which matrices, what to do with them, and how much to keep."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from numbers import Integral
from operator import index

from laser_lit.errors import InputError, unknown_name
from laser_lit.linalg.blocks import block_rows
from laser_lit.linalg.rank import Number, check_rho, rho_from_rate
from laser_lit.linalg.rules import rule_named

KINDS = ("low_rank", "high_order", "prune", "zero")
AMOUNTS = ("rho", "rank", "rule", "rate")
DECOMPOSITIONS = ("svd", "whitened", "blocks")
ANY_SPECTRUM = ("energy", "entropy")
"""Rank rules that make sense of any sum of squares; the others know the singular values of a matrix alone."""
_SHOULD_BE = {
    "layer": "a whole number, all, or a list of them",
    "matrix": "a name such as fc_in, a group (attn, mlp, all), or a list of them",
}


@dataclass(frozen=True)
class Edit:
    """What to do with some matrices; checked when made, resolved against a model by `Stack`.

    Attributes:
        layer: index from 0, negative from the end, "all", or several.
        matrix: q_proj … fc_out, a group (attn, mlp, all), another name that `MatrixMap.select` knows, or several.
        rho: kept share of min(out, in), in [0, 1]; of the entries for prune.
        rank: kept components; prune keeps as many entries as factors of that rank have: rank·(out + in).
        rule: a rank rule, see `laser_lit.linalg.rules.RULES`; "energy:0.9" sets the share that energy keeps.
        rate: the LASER code's 10·(1 - rho), in [0, 10).
        kind: "low_rank" keeps the top components, "high_order" only the components that low_rank would drop,
            "prune" the entries of largest magnitude, "zero" nothing.
        part: "encoder", "decoder" or "cross" of encoder–decoder models; None is all of them.
        expert: index in a mixture of experts; None is every expert.
        decomposition: what components are, for low_rank and high_order: "svd", "whitened" (of the outputs on text,
            see `laser_lit.linalg.whitened`) or "blocks" (of blocks of rows, see `laser_lit.linalg.blocks`).
        blocks: how many blocks of rows, each cut to the rank; a divisor of out.
    """

    layer: int | str | Sequence[int | str]
    matrix: str | Sequence[str]
    rho: Number | None = None
    rank: int | None = None
    rule: str | None = None
    rate: Number | None = None
    kind: str = "low_rank"
    part: str | None = None
    expert: int | None = None
    decomposition: str = "svd"
    blocks: int | None = None

    def __post_init__(self) -> None:
        for name, types in (("layer", (Integral, str)), ("matrix", (str,))):
            value = getattr(self, name)
            several = isinstance(value, Sequence) and not isinstance(value, str)
            words = tuple(value) if several else (value,)
            if not all(isinstance(word, types) and not isinstance(word, bool) for word in words):
                raise InputError(f"{name} {value!r} of an edit: must be {_SHOULD_BE[name]}")
            if several:
                object.__setattr__(self, name, words)  # hashable, and no one else's list
        if self.kind not in KINDS:
            raise unknown_name(f"kind of {self.target}", self.kind, KINDS)
        self._check_decomposition()
        self._check_amount()

    @property
    def target(self) -> str:
        """The matrices in words, as they were named: "layer 27 fc_in"."""
        layer, matrix = (
            ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
            for value in (self.layer, self.matrix)
        )
        part = f"{self.part} " if self.part else ""
        return f"{part}layer {layer} {matrix}" + ("" if self.expert is None else f" expert {self.expert}")

    @property
    def amount(self) -> str | None:
        """Which of AMOUNTS says how much to keep; None for kind zero."""
        return next((name for name in AMOUNTS if getattr(self, name) is not None), None)

    @property
    def how(self) -> str:
        """The decomposition in words: "whitened", "in 4 blocks"; empty for a plain SVD."""
        return f"in {self.blocks} blocks" if self.blocks else "" if self.decomposition == "svd" else self.decomposition

    @property
    def decomposed(self) -> dict[str, object]:
        """What names the decomposition in hashes: nothing for a plain SVD."""
        return {} if self.decomposition == "svd" else {"decomposition": self.decomposition, "blocks": self.blocks}

    @property
    def action(self) -> tuple[object, ...]:
        """All that is done to a matrix, whichever it is."""
        return (self.kind, self.rho, self.rank, self.rule, self.rate, self.decomposition, self.blocks)

    def full_rank(self, shape: tuple[int, int], name: str) -> int:
        """Returns the number of components that a matrix has: min(out, in), in blocks that of each block.

        Args:
            shape: (out, in).
            name: what errors call the matrix.

        Raises:
            InputError: rows that the blocks do not divide.
        """
        return min(block_rows(shape, self.blocks, name) if self.blocks else shape[0], shape[1])

    def share(self, name: str) -> Number:
        """Returns rho, typed as such or as rate; only for edits that name one of these.

        Args:
            name: what errors call the matrix.
        """
        if self.rate is not None:
            return rho_from_rate(self.rate, name)
        if self.rho is None:
            raise InputError(f"{name}: no share is named, but {self.amount}")
        return self.rho

    def _check_decomposition(self) -> None:
        if self.decomposition not in DECOMPOSITIONS:
            raise unknown_name(f"decomposition of {self.target}", self.decomposition, DECOMPOSITIONS)
        if self.decomposition != "svd" and self.kind in ("prune", "zero"):
            raise InputError(
                f"decomposition {self.decomposition} for kind {self.kind} of {self.target}: only low_rank and "
                "high_order decompose a matrix; leave it out"
            )
        if (self.blocks is None) == (self.decomposition == "blocks"):
            given = "no blocks" if self.blocks is None else f"blocks {self.blocks}"
            raise InputError(
                f"decomposition {self.decomposition} with {given} for {self.target}: say decomposition=blocks and how "
                "many, blocks=4"
            )
        if self.blocks is not None:
            object.__setattr__(self, "blocks", _whole(self.blocks, "blocks", self.target, "1 is the plain SVD"))

    def _check_amount(self) -> None:
        given = [name for name in AMOUNTS if getattr(self, name) is not None]
        typed = " and ".join(f"{name} {getattr(self, name)}" for name in given)
        if self.kind == "zero":
            if given:
                raise InputError(
                    f"{typed} for kind zero of {self.target}: it removes the whole matrix; leave {typed} out"
                )
            return
        if len(given) != 1:
            problem = f"{typed} given" if given else "nothing says how much to keep"
            raise InputError(f"{problem} for {self.target}: give one of {', '.join(AMOUNTS)}")
        if self.rank is not None:
            object.__setattr__(self, "rank", _whole(self.rank, "rank", self.target, "kind=zero removes the matrix"))
        if self.rule is not None:
            rule_named(self.rule)
            if self.decomposition != "svd" and str(self.rule).partition(":")[0] not in ANY_SPECTRUM:
                raise InputError(
                    f"rule {self.rule} for {self.target}, {self.how}: it knows the singular values of a matrix alone; "
                    f"take {' or '.join(ANY_SPECTRUM)}, or a rank"
                )
        if self.rank is None and self.rule is None:
            check_rho(self.share(self.target), self.target)


EDIT_KEYS = tuple(field.name for field in fields(Edit))


def edit_of(entry: object, where: str) -> Edit:
    """Returns the edit that a mapping of its fields describes.

    Args:
        entry: as a person wrote it in YAML or on the command line.
        where: what errors call the entry, as in "edit 2 of stack.yaml, counted from 0".

    Raises:
        InputError: no mapping, an unknown field, layer or matrix missing, or a value that an edit cannot have.
    """
    if not isinstance(entry, dict):
        kind = "empty" if entry is None else f"a {type(entry).__name__}"
        raise InputError(f"{where}: must be a mapping such as {{layer: 0, matrix: fc_in, rho: 0.1}}, not {kind}")
    for key in entry:
        if key not in EDIT_KEYS:
            raise unknown_name(f"key in {where}:", key, EDIT_KEYS)
    missing = [key for key in ("layer", "matrix") if entry.get(key) is None]
    if missing:
        raise InputError(f"{where}: {' and '.join(missing)} missing")
    try:
        return Edit(**entry)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def _whole(value: object, what: str, target: str, least: str) -> int:
    """Returns a count of any integer type as an int; `least` says what 1 is the least of."""
    try:
        whole = None if isinstance(value, bool) else index(value)  # type: ignore[arg-type]
    except TypeError:
        whole = None
    if whole is None:
        raise InputError(f"{what} {value!r} for {target}: must be a whole number")
    if whole < 1:
        raise InputError(f"{what} {value} for {target}: must be at least 1 ({least})")
    return whole
