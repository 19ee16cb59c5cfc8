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
class CalibrationConfig:
    """The text that whitened edits are calibrated on; of any data only the validation split is read, never the test.

    Attributes:
        data: a choice of `data=`: text, or questions with their answers; null takes the evaluated data.
        path: file of the data, for choices without a source of their own.
        tokens: how many of it are read at least, if it has as many, in whole sequences drawn at random.
        memory_gb: most memory for second moments at a time, in 1e9 bytes, but one matrix's at least; the text is passed
            as often as the matrices need.
    """

    data: str | None = None
    path: str | None = None
    tokens: int = 131072
    memory_gb: float = 4.0


@dataclass
class LaserConfig:
    """The intervention; which fields count depends on `name` (`from` is added below: it is a Python keyword).

    Attributes:
        name: none, single, paper, stack_top3, svd_smoothing or file.
        layer: from 0, negative from the end, "all", or a list.
        matrix: a matrix, a group, a parameter name, or a list.
        rho: kept share of min(out, in), in [0, 1].
        rank: kept components.
        rule: a rank rule.
        rate: the LASER code's 10·(1 − rho).
        kind: low_rank, high_order, prune or zero.
        part: encoder, decoder or cross, for encoder–decoder models; null means all.
        expert: index of an expert; null means every expert.
        decomposition: what components are: svd, whitened or blocks; null is svd.
        blocks: how many blocks of rows, for decomposition blocks.
        edits: a whole stack, one mapping an edit with the keys above.
        combine: what to do with a matrix listed twice: in_order or last; null makes it an error.
        path: stack.yaml of laser=file.
        method: of laser=svd_smoothing: detX (null), alpha_min, rmt, auto or svd.
        percent: share that its method svd keeps, 0.8 where null; negative, the share that it takes from the top.
        svd: how matrices are factorized.
        calibration: text for whitened edits, of a search's too.
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
    decomposition: str | None = None
    blocks: int | None = None
    edits: list[dict[str, Any]] = field(default_factory=list)
    combine: str | None = None
    path: str | None = None
    method: str | None = None
    percent: Any = None
    svd: SvdConfig = field(default_factory=SvdConfig)
    calibration: CalibrationConfig = field(default_factory=CalibrationConfig)
