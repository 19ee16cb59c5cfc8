"""The shape of `spectral`: what a scan measures."""

from dataclasses import dataclass


@dataclass
class SpectralConfig:
    """A scan of a model's weight matrices (`task=scan`).

    Attributes:
        randomize: compare each spectrum with that of the same entries, shuffled.
        percent: of each type of matrix, the share with the highest SNR that goes into unfrozen.yaml, in [0, 100].
        device: "auto" takes a CUDA device where there is one; "cpu", "cuda", "cuda:1" …
        workers: matrices measured at once; null is the number of cores.
    """

    randomize: bool = False
    percent: float = 50.0
    device: str = "auto"
    workers: int | None = None
