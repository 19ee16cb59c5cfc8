"""How much a search keeps of a matrix: kept shares, kept components, or what rank rules make of its spectrum."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from torch import Tensor

from laser_lit.errors import InputError, unknown_name
from laser_lit.linalg.rank import Number, check_rho, rank_from_rho, smallest_rho
from laser_lit.linalg.rules import rule_named
from laser_lit.linalg.spectrum import singular_values
from laser_lit.models.matrices import MatrixId, MatrixMap

PRESETS: dict[str, tuple[Decimal, ...]] = {
    "code": tuple(map(Decimal, ("0.9", "0.8", "0.6", "0.4", "0.2", "0.1", "0.05", "0.01", "0.005"))),
    "table5": tuple(map(Decimal, ("0.9", "0.8", "0.6", "0.2", "0.1", "0.05", "0.01"))),
    "figure2": tuple(
        1 - Decimal(reduction) / 10_000
        for reduction in (1000, 2500, 4000, 5000, 6000, 7500, 9000, 9250, 9500, 9750, 9800, 9850, 9900, 9950, 9975)
    ),
}
"""Kept shares: of the LASER code, of the paper's Table 5, of its Figure 2 (there given as reductions in per cent)."""

Spectrum = tuple[Tensor, tuple[int, int]]
"""All singular values (d,) of a matrix, descending, and its shape."""


@dataclass(frozen=True)
class Amounts:
    """The ranks that a search tries of each matrix.

    Attributes:
        typed: as the user named them, for errors.
        shares: kept ones of min(out, in), in [0, 1].
        ranks: kept components, each at least 1.
        rules: rank rules, see `rule_named`.
    """

    typed: str
    shares: tuple[Decimal, ...] = ()
    ranks: tuple[int, ...] = ()
    rules: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, rhos: str | Sequence[Number] = "code", ranks: Sequence[int] | None = None, rules: Sequence[str] = ()
    ) -> "Amounts":
        """Returns the amounts that a search's fields name: its rules, else its ranks, else its shares.

        Args:
            rhos: one of PRESETS, or kept shares.
            ranks: kept components.
            rules: names of rank rules.

        Raises:
            InputError: shares outside [0, 1], ranks below 1, or rules that there are not.
        """
        if rules:
            for rule in rules:
                rule_named(rule)
            return cls(f"search.rule={', '.join(rules)}", rules=tuple(rules))
        if ranks is None:
            return cls(f"search.rho={rhos}", shares=_shares(rhos))
        for rank in ranks:
            if rank < 1:
                raise InputError(f"rank {rank} in search.rank: must be at least 1; kind zero removes a matrix")
        return cls(f"search.rank={list(ranks)}", ranks=tuple(ranks))

    def of_matrix(self, matrices: MatrixMap, ids: Sequence[MatrixId], d: int | None = None) -> list[int]:
        """Returns the ranks below the full rank, ascending, each once; what keeps nothing is clamped to 1.

        Args:
            matrices: the model's.
            ids: the matrix, or the experts of one, which are cut to one rank.
            d: the full rank; None is min(out, in).
        """
        d = min(matrices[ids[0]].shape) if d is None else d
        ranks = [*self.ranks, *(rank_from_rho(share, d) if share >= smallest_rho(d) else 0 for share in self.shares)]
        if self.rules:
            found = spectra(matrices, ids)
            ranks += [rank_by_rule(rule, found) for rule in self.rules]
        return sorted({max(1, rank) for rank in ranks if rank < d})


def spectra(matrices: MatrixMap, ids: Sequence[MatrixId]) -> list[Spectrum]:
    """Returns the singular values and the shape of each of some matrices.

    Args:
        matrices: the model's.
        ids: which.
    """
    return [(singular_values(matrices[id].read(), str(id)), matrices[id].shape) for id in ids]


def rank_by_rule(rule: str, found: Sequence[Spectrum]) -> int:
    """Returns the rank of a rule, from 0 to min(out, in); of the experts of a matrix the mean of theirs, rounded.

    Args:
        rule: see `rule_named`.
        found: spectrum of the matrix, or of each expert.
    """
    ranks = [min(rule_named(rule)(S, shape), len(S)) for S, shape in found]
    return round(sum(ranks) / len(ranks))


def _shares(rhos: str | Sequence[Number]) -> tuple[Decimal, ...]:
    if isinstance(rhos, str):
        if rhos not in PRESETS:
            raise unknown_name("search.rho", rhos, PRESETS)
        return PRESETS[rhos]
    values = rhos if isinstance(rhos, Sequence) else (rhos,)
    return tuple(check_rho(rho, "search.rho") for rho in values)
