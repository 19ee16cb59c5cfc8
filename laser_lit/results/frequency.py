"""What a record says of the counts in column `frequency` of the predictions."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Frequency:
    """Where it was counted how often each fact is told.

    Attributes:
        corpus: what was counted in.
        unit: what was counted: "documents", "training sentences".
        read: how many of them there were.
        key: names the text; None where it may have changed since.
    """

    corpus: str
    unit: str
    read: int
    key: str | None = None

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> "Frequency":
        """Returns the entry of a record.

        Args:
            content: the attributes as JSON has them.
        """
        return cls(content["corpus"], content["unit"], content["read"], content.get("key"))
