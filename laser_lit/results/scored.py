"""What a further stack scores on one split, beside base and LASER."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from laser_lit.results.compare import Gain


@dataclass(frozen=True)
class Scored:
    """One stack on one split.

    Attributes:
        accuracy: None where the examples have no right or wrong (perplexity).
        log_loss: nats.
        gain: over the base.
        against: gain over another stack that it is compared with; None where there is no other.
    """

    accuracy: float | None
    log_loss: float | None
    gain: Gain
    against: Gain | None = None

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> "Scored":
        """Returns the entry of a record.

        Args:
            content: the attributes as JSON has them.
        """
        against = content["against"]
        gain = Gain.of(content["gain"])
        return cls(content["accuracy"], content["log_loss"], gain, None if against is None else Gain.of(against))
