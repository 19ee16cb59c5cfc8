"""Every matrix once, cut to the rank that one rank rule finds for it: what laserRMT's searches choose from."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from laser_lit.edits.edit import Edit
from laser_lit.errors import InputError
from laser_lit.linalg.rules import laser_rmt
from laser_lit.models.matrices import MatrixMap
from laser_lit.search.amounts import Spectrum, rank_by_rule, spectra
from laser_lit.search.space import places

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reduction:
    """One matrix, with its experts.

    Attributes:
        edit: cuts it to the rule's rank.
        snr: sum of the singular values above laserRMT's threshold over the sum of those below; inf where none is below.
    """

    edit: Edit
    snr: float


def reductions(
    matrices: MatrixMap, layers: int | str | Sequence[int | str], matrix: str | Sequence[str], rule: str
) -> tuple[list[Reduction], tuple[str, ...]]:
    """Returns the reduction of each matrix of which the rule keeps a part, and the others in words.

    Args:
        matrices: the model's; each is read for its singular values.
        layers: as `MatrixMap.select` takes them, or "late".
        matrix: as `MatrixMap.select` takes it.
        rule: a rank rule; the experts of a matrix have one rank together, the mean of theirs, rounded.

    Raises:
        InputError: names that the model or the rules do not have, or a rule that keeps all or nothing of every matrix.
    """
    found: list[Reduction] = []
    skipped: list[str] = []
    for (part, layer, name), ids in places(matrices, layers, matrix).items():
        own = spectra(matrices, ids)
        rank, d = rank_by_rule(rule, own), min(own[0][1])
        if 0 < rank < d:
            found.append(Reduction(Edit(layer, name, rank=rank, part=part), snr(own)))
        else:
            skipped.append(f"{f'{part} ' if part else ''}layer {layer} {name} ({rank} of {d})")
    if not found:
        raise InputError(f"search.rule={rule} keeps all or nothing of every matrix, as of {skipped[0]}: try another")
    for words in skipped:
        log.info("%s is not tried: %s keeps all or nothing", words, rule)
    return found, tuple(skipped)


def snr(found: Sequence[Spectrum]) -> float:
    """Returns the signal-to-noise ratio of a matrix as laserRMT has it, over all of its experts; inf without noise.

    Args:
        found: spectrum of the matrix, or of each expert.

    Source: cognitivecomputations/laserRMT at 6410e2b: the sums of the singular values above and below its threshold.
    """
    signal = noise = 0.0
    for S, shape in found:
        rank = laser_rmt(S, shape)
        signal += float(S[:rank].sum())
        noise += float(S[rank:].sum())
    return signal / noise if noise else inf
