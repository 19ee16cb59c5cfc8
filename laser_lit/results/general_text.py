"""What a record says of general text before and after the edit."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Interval = tuple[float, float]


@dataclass(frozen=True)
class GeneralText:
    """The model's next-token predictions on a text; intervals are bootstraps over its windows.

    Attributes:
        text: what it is.
        windows: how many were drawn.
        tokens: how many were predicted.
        window: most tokens in a window, which is all that the model sees before a token.
        base: the base's perplexity.
        base_ci95: its interval.
        edited: the edited model's perplexity.
        edited_ci95: its interval.
        change: log perplexity of the edited model minus the base's, nats a token; + is worse.
        change_ci95: its interval, paired by token.
        kl: mean over tokens of KL(base‖edited), nats.
        kl_bound: its one-sided 95 % upper bound.
        kl_p99: the 99th percentile over tokens.
        moved: share of tokens at which the most probable one is another.
        moved_ci95: its interval.
    """

    text: str
    windows: int
    tokens: int
    window: int
    base: float
    base_ci95: Interval
    edited: float
    edited_ci95: Interval
    change: float
    change_ci95: Interval
    kl: float
    kl_bound: float
    kl_p99: float
    moved: float
    moved_ci95: Interval

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> "GeneralText":
        """Returns the entry of a record.

        Args:
            content: the attributes as JSON has them.
        """
        pairs = {name: (entry[0], entry[1]) for name, entry in content.items() if name.endswith("_ci95")}
        return cls(**{**content, **pairs})
