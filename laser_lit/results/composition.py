"""What a record says of the edits of a stack, one after the other."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from laser_lit.results.scored import Scored


@dataclass(frozen=True)
class Step:
    """The first edits of a stack together.

    Attributes:
        added: the last of them, in words.
        validation: their scores; `against` is the gain over the step before, None of the first.
        test: the same on test.
    """

    added: str
    validation: Scored
    test: Scored


@dataclass(frozen=True)
class Composition:
    """A stack built up edit by edit.

    Attributes:
        steps: as many as the stack has edits; the last one is the whole stack.
    """

    steps: tuple[Step, ...]

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> "Composition":
        """Returns the entry of a record.

        Args:
            content: the attributes as JSON has them.
        """
        steps = content["steps"]
        return cls(tuple(Step(s["added"], Scored.of(s["validation"]), Scored.of(s["test"])) for s in steps))
