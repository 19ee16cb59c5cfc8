"""The components of a matrix, as an edit names them: of a plain SVD, of its outputs, or of blocks of its rows."""

from collections.abc import Sequence
from typing import Protocol

import xxhash
from torch import Tensor

from laser_lit.edits.edit import Edit
from laser_lit.errors import InputError
from laser_lit.linalg.blocks import BlockFactors, block_factors
from laser_lit.linalg.cache import VERSION, FactorCache, content_hash
from laser_lit.linalg.svd import Factors, Svd
from laser_lit.linalg.whitened import OutputBasis, WhitenedFactors, output_basis
from laser_lit.models.matrices import MatrixHandle

Decomposition = Factors | WhitenedFactors | BlockFactors
"""What an edit takes ranks of: S, rank_max, low_rank and high_order."""


class Calibration(Protocol):
    """The inputs of a model's matrices on some text, before any edit.

    Attributes:
        key: a hash of all that decides them.
    """

    key: str

    def expect(self, handles: Sequence[MatrixHandle]) -> None:
        """Says which matrices will be asked for, so that those that fit memory together are read in one pass.

        Args:
            handles: in the order in which they will be.
        """
        ...

    def covariance(self, handle: MatrixHandle) -> Tensor:
        """Returns the second moments X Xᵀ of a matrix's inputs, (in, in) in float64.

        Args:
            handle: of the matrix.
        """
        ...


class Decomposer:
    """Finds components, each matrix decomposed once."""

    def __init__(self, cache: FactorCache, svd: Svd, calibration: Calibration | None = None) -> None:
        """Keeps where factors are found and how they are made.

        Args:
            cache: of the factors.
            svd: how matrices are factorized.
            calibration: what whitened edits are calibrated on.
        """
        self.cache = cache
        self.svd = svd
        self.calibration = calibration

    def components(
        self, W: Tensor, edit: Edit, name: str, handle: MatrixHandle | None = None, rank: int | None = None
    ) -> Decomposition:
        """Returns the components of a matrix, on its device.

        Args:
            W: (out, in).
            edit: says which decomposition.
            name: what errors call the matrix.
            handle: where the matrix stands in the model, for the inputs of a whitened one.
            rank: most components that are wanted, which the randomized method alone looks at; None is all.

        Raises:
            InputError: as the decomposition, or a whitened edit without a calibration.
        """
        if edit.decomposition == "whitened":
            return WhitenedFactors(W, self._basis(W, edit, name, handle).to(W.device))
        wanted = rank if self.svd.method == "randomized" else None

        def factor(part: Tensor, called: str) -> Factors:
            return self.cache.get(part, options=self.svd, rank=wanted, name=called)

        return block_factors(W, edit.blocks or 1, name, factor)

    def _basis(self, W: Tensor, edit: Edit, name: str, handle: MatrixHandle | None) -> OutputBasis:
        calibration = self.calibration
        if calibration is None or handle is None:
            raise InputError(
                f"decomposition whitened of {name}: its inputs are wanted; give the stack what to calibrate on, "
                "Stack(edits, calibration=laser_lit.calibrate(model, tokenizer, texts)), or a stack.yaml that a run "
                "wrote, with its stack.bases"
            )
        said = (VERSION, "whitened", content_hash(W), calibration.key, str(handle.id), self.svd.method)

        def compute() -> OutputBasis:
            found = output_basis(W, calibration.covariance(handle), self.svd.method, name)
            return OutputBasis(found.U, found.S, found.ridge, calibration.key)

        return self.cache.kept(xxhash.xxh3_128(repr(said).encode()).hexdigest(), OutputBasis, compute)
