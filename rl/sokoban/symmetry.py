"""The rotations and reflections under which Sokoban stays Sokoban."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from rl.sokoban.rules import STEPS


@dataclass(frozen=True, eq=False)
class Symmetry:
    """A map of boards of one shape onto themselves.

    Attributes:
        cells: (cells,) which cell of the old board each cell of the new one is.
        actions: (4,) what each action becomes.
    """

    cells: NDArray[np.int64]
    actions: NDArray[np.int8]


@lru_cache(maxsize=8)
def symmetries(height: int, width: int) -> list[Symmetry]:
    """Returns the maps, the identity first: eight of a square board, four of any other.

    Args:
        height: of the boards.
        width: of the boards.
    """
    found = []
    for turned in (False, True) if height == width else (False,):
        for flips in ((), (0,), (1,), (0, 1)):
            cells = np.arange(height * width).reshape(height, width)
            steps = STEPS[:, ::-1] if turned else STEPS
            cells = np.flip(cells.T if turned else cells, flips)
            steps = steps * np.array([-1 if axis in flips else 1 for axis in (0, 1)])
            actions = (steps[:, None] == STEPS).all(-1).argmax(1)
            found.append(Symmetry(cells.ravel(), actions.astype(np.int8)))
    return found
