"""The shape of `spectral`: what a scan measures."""

from dataclasses import dataclass
from typing import Any


@dataclass
class SpectralConfig:
    """A scan of a model's weight matrices (`task=scan`).

    Attributes:
        randomize: compare each spectrum with that of the same entries, shuffled.
        matrices: names or groups of matrices, as an edit takes them; null scans everything with two axes.
        percent: of each type of matrix, the share with the highest SNR that goes into unfrozen.yaml, in [0, 100].
        norms: list the first norms in unfrozen.yaml too, as Spectrum does, which takes their SNR for infinite.
        device: "auto" takes a CUDA device where there is one; "cpu", "cuda", "cuda:1" …
        workers: matrices measured at once; null is the number of cores, fewer where matrices are large.
    """

    randomize: bool = False
    matrices: Any = None
    percent: float = 50.0
    norms: bool = False
    device: str = "auto"
    workers: int | None = None
