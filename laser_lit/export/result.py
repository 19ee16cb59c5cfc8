"""What an export wrote."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from laser_lit.edits.row import AppliedEdit
from laser_lit.errors import unknown_name
from laser_lit.export.origin import WEIGHTS
from laser_lit.models.matrix import MatrixId

FORMATS = ("dense", "factored")


@dataclass(frozen=True)
class Exported:
    """A model that was written.

    Attributes:
        folder: where.
        format: dense or factored.
        dtype: type of the weights, in words.
        causal: whether AutoModelForCausalLM loads it.
        parameters: their number as stored.
        parameters_before: their number in the model that was edited.
        bytes: size of the weight files.
        n_edits: how many matrices were edited.
        factored: rank of the factors, by the matrix in words.
        dense: why an edited matrix of a factored model is stored whole, by the matrix in words.
    """

    folder: Path
    format: str
    dtype: str
    causal: bool
    parameters: int
    parameters_before: int
    bytes: int
    n_edits: int
    factored: Mapping[str, int] = field(default_factory=dict)
    dense: Mapping[str, str] = field(default_factory=dict)

    @staticmethod
    def place(row: AppliedEdit) -> str:
        """Returns the matrix of an edit in words."""
        return str(MatrixId(row.layer, row.matrix, row.part, row.expert))


def check_format(format: str) -> None:
    """Raises an error for a format that is not among FORMATS."""
    if format not in FORMATS:
        raise unknown_name("export.format", format, FORMATS)


def weight_bytes(folder: Path) -> int:
    """Returns the size of the weight files of a folder."""
    return sum(file.stat().st_size for file in folder.glob(WEIGHTS))
