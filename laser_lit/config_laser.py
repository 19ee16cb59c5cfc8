"""The shape of `laser=`: the intervention, and how matrices are factorized."""

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING


@dataclass
class SvdConfig:
    """How matrices are factorized; see `laser_lit.factorize`."""

    method: str = "auto"
    seed: int = 0
    oversampling: int = 10
    n_iter: int = 4


@dataclass
class LaserConfig:
    """The intervention; which fields count depends on `name` (`from` is added below: it is a Python keyword).

    Attributes:
        name: none, single, paper, stack_top3 or file.
        layer: from 0, negative from the end, "all", or a list.
        matrix: a matrix, a group, a parameter name, or a list.
        rho: kept share of min(out, in), in [0, 1].
        rank: kept components.
        rule: a rank rule.
        rate: the LASER code's 10·(1 − rho).
        kind: low_rank, high_order, prune or zero.
        part: encoder, decoder or cross, for encoder–decoder models; null means all.
        expert: index of an expert; null means every expert.
        edits: a whole stack, one mapping an edit with the keys above.
        combine: what to do with a matrix listed twice: in_order or last; null makes it an error.
        path: stack.yaml of laser=file.
        svd: how matrices are factorized.
    """

    name: str = MISSING
    layer: Any = None
    matrix: Any = None
    rho: Any = None
    rank: int | None = None
    rule: str | None = None
    rate: Any = None
    kind: str = "low_rank"
    part: str | None = None
    expert: int | None = None
    edits: list[dict[str, Any]] = field(default_factory=list)
    combine: str | None = None
    path: str | None = None
    svd: SvdConfig = field(default_factory=SvdConfig)
