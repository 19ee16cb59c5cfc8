"""The order in which a training sees its rows."""

import numpy as np
from numpy.typing import NDArray

from laser_lit.lit.finetune import Batch
from laser_lit.lit.windows import Rows


class TrainingBatches:
    """The batches of a whole training, each a pure function of the seed and its number.

    Every epoch has its own order, and a batch may hold the end of one and the beginning of the next, so that a training
    that is resumed at batch n goes on with the very rows that it would have had.

    Args:
        source: the rows: windows of a text, or prompts with their answers.
        size: rows a batch.
        count: batches in the whole training, of each process.
        seed: of the order.
        first: the batch to begin with.
        rank: this process's number.
        world: number of processes; they share each batch number's rows.
    """

    def __init__(
        self, source: Rows, *, size: int, count: int, seed: int, first: int = 0, rank: int = 0, world: int = 1
    ) -> None:
        self._source = source
        self._size, self._count, self._seed = size, count, seed
        self._next, self._rank, self._world = first, rank, world
        self._order: tuple[int, NDArray[np.int64]] | None = None

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> "TrainingBatches":
        return self

    def __next__(self) -> Batch:
        if self._next >= self._count:
            raise StopIteration
        self._next += 1
        return self._source.batch(self.rows(self._next - 1))

    def rows(self, number: int) -> list[int]:
        """Returns the rows of a batch of this process."""
        begin = (number * self._world + self._rank) * self._size
        return [self._row(*divmod(place, len(self._source))) for place in range(begin, begin + self._size)]

    def _row(self, epoch: int, place: int) -> int:
        if self._order is None or self._order[0] != epoch:
            self._order = epoch, np.random.default_rng([self._seed, epoch]).permutation(len(self._source))
        return int(self._order[1][place])

    def state_dict(self) -> dict[str, int]:
        """Returns where the training is; because it is asked for, Lightning resumes mid-epoch without a warning."""
        return {"next": self._next}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Goes on where a training was."""
        self._next = state["next"]
