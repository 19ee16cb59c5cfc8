"""One scored stack: what a search knows of it, and how that is kept in a line of JSON."""

import base64
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from laser_lit.errors import InputError
from laser_lit.search.space import Edits


@dataclass(frozen=True, eq=False)
class Cell:
    """A stack and its score on the first rows of the search's order.

    Attributes:
        edits: the stack; empty for the base.
        correct: (n,) bool; None where rows have no right or wrong (text).
        log_loss: (n,) nats.
        seconds: spent on it, by whichever run scored it.
        error: what went wrong, in words; the arrays are then empty.
    """

    edits: Edits
    correct: np.ndarray | None
    log_loss: np.ndarray
    seconds: float = 0.0
    error: str | None = None

    @property
    def n(self) -> int:
        """Rows scored."""
        return len(self.log_loss)

    def head(self, n: int) -> "Cell":
        """Returns the cell on the first n rows.

        Args:
            n: at most as many as were scored.
        """
        correct = None if self.correct is None else self.correct[:n]
        return Cell(self.edits, correct, self.log_loss[:n], self.seconds, self.error)


def failed(edits: Edits, error: str, seconds: float = 0.0) -> Cell:
    """Returns the cell of a stack that could not be scored.

    Args:
        edits: the stack.
        error: in words.
        seconds: spent on it.
    """
    return Cell(edits, None, np.zeros(0), seconds, error)


@dataclass(frozen=True, eq=False)
class Piece:
    """The scores of a stack on consecutive rows, as they are journalled.

    Attributes:
        start: first row in the search's order.
        correct: (n,) bool or None.
        log_loss: (n,) float32.
        seconds: spent on it.
        error: what went wrong; the arrays are then empty.
    """

    start: int
    correct: np.ndarray | None
    log_loss: np.ndarray
    seconds: float = 0.0
    error: str | None = None

    @property
    def stop(self) -> int:
        """Row after the last."""
        return self.start + len(self.log_loss)

    def to_json(self) -> dict[str, Any]:
        """Returns plain JSON values; the arrays bit for bit, packed."""
        return {
            "start": self.start,
            "n": len(self.log_loss),
            "correct": None if self.correct is None else _packed(np.packbits(self.correct)),
            "log_loss": _packed(self.log_loss.astype("<f4")),
            "seconds": round(self.seconds, 4),
            "error": self.error,
        }

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> "Piece":
        """Returns the piece that `to_json` described.

        Raises:
            InputError: it is no such entry.
        """
        try:
            n = int(entry["n"])
            loss = np.frombuffer(_unpacked(entry["log_loss"]), dtype="<f4")
            correct = entry["correct"]
            if correct is not None:
                correct = np.unpackbits(np.frombuffer(_unpacked(correct), dtype=np.uint8), count=n).astype(bool)
            if len(loss) != n:
                raise ValueError(f"{len(loss)} losses instead of {n}")
            return cls(int(entry["start"]), correct, loss, float(entry["seconds"]), entry["error"])
        except (KeyError, TypeError, ValueError, zlib.error) as error:
            raise InputError(f"a scored cell cannot be read: {error}") from error


def _packed(values: np.ndarray) -> str:
    return base64.b64encode(zlib.compress(values.tobytes(), 6)).decode()


def _unpacked(text: str) -> bytes:
    return zlib.decompress(base64.b64decode(text))
