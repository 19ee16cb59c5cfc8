"""One split of a language task's data, as the sequences that the model is given."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from laser_lit.data.example import ExampleSet, TextSet
from laser_lit.scoring.request import Request


@dataclass(frozen=True)
class Part:
    """One split, ready to be scored.

    Attributes:
        examples: the split's examples, or the whole text.
        requests: what the model is asked; their `index` is the row in `examples`, or the window.
        groups: names of the groups.
        n: rows of the table.
    """

    examples: ExampleSet | TextSet
    requests: list[Request]
    groups: frozenset[str]
    n: int

    @classmethod
    def of_text(cls, text: TextSet, requests: Sequence[Request], rows: Sequence[int]) -> "Part":
        """Returns the part of some windows of a text.

        Args:
            text: the whole text.
            requests: all of its windows.
            rows: the windows that are in the part.
        """
        chosen = [requests[row] for row in rows]
        return cls(text, chosen, frozenset(request.group for request in chosen), len(chosen))

    def take(self, rows: Sequence[int]) -> "Part":
        """Returns the part of some rows, in the order given.

        Args:
            rows: positions in this part's table, each at most once.
        """
        if isinstance(self.examples, TextSet):
            return replace(self, requests=[self.requests[row] for row in rows], n=len(rows))
        place = {row: number for number, row in enumerate(rows)}
        chosen = sorted((r for r in self.requests if r.index in place), key=lambda request: place[request.index])
        requests = [replace(request, index=place[request.index]) for request in chosen]
        examples = replace(self.examples, examples=tuple(self.examples.examples[row] for row in rows))
        return Part(examples, requests, self.groups, len(rows))
