"""Walls, targets and boxes as sets of cells in Python integers, and what they tell about boxes that cannot be solved.

Cell row * width + column is the bit of that number. Shifts move a whole set by one row or column; as boards are walled
all round, nothing comes out on the other side.
"""

from collections.abc import Iterator
from itertools import takewhile

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import linear_sum_assignment

from rl.sokoban.rules import WALL, Board, is_target

NEVER = 1_000_000
"""Number of pushes that stands for never."""


class Bitboard:
    """What of a board does not change: walls, targets, and how many pushes each cell is from each target.

    Attributes:
        steps: what each action of `rules.ACTIONS` adds to a cell.
        floor: cells that are no wall.
        targets: cells that are targets.
        live: cells from which a box that is alone can be pushed to some target.
    """

    def __init__(self, board: Board) -> None:
        """Measures a board, (height, width) tiles fit for `rules.check_board`."""
        width = board.shape[1]
        self.steps = (-width, width, -1, 1)
        self.floor = to_bits(board != WALL)
        self.targets = to_bits(is_target(board))
        self._pushes = np.array([self._pushes_to(target, board.size) for target in cells_of(self.targets)])
        self.live = to_bits((self._pushes < NEVER).any(0))
        self._bounds: dict[int, int] = {}

    def reach(self, player: int, boxes: int) -> int:
        """Returns the cells that the player comes to without a push.

        Args:
            player: the set of the player's cell.
            boxes: the set of the boxes' cells.
        """
        down, free, reached = self.steps[1], self.floor & ~boxes, player
        while True:
            grown = (reached | reached << 1 | reached >> 1 | reached << down | reached >> down) & free
            if grown == reached:
                return reached
            reached = grown

    def walks(self, player: int, boxes: int) -> Iterator[int]:
        """Yields the cells that the player comes to without a push in no moves, in one move, in two, and so on."""
        down, free, front = self.steps[1], self.floor & ~boxes, player
        while front:
            yield front
            free &= ~front
            front = (front << 1 | front >> 1 | front << down | front >> down) & free

    def walk(self, player: int, goal: int, boxes: int) -> list[int]:
        """Returns the actions of a shortest walk to a cell that can be reached, `goal` the set of that cell."""
        fronts = list(takewhile(lambda front: not front & goal, self.walks(player, boxes)))
        actions = []
        for front in reversed(fronts):
            action = next(action for action, by in enumerate(self.steps) if shifted(goal, -by) & front)
            actions.append(action)
            goal = shifted(goal, -self.steps[action])
        return actions[::-1]

    def pushable(self, standing: int, boxes: int, by: int) -> int:
        """Returns the boxes that can be pushed by a step to where they may still be solved.

        Args:
            standing: cells that the player may push from.
            boxes: the set of the boxes' cells.
            by: one of `steps`.
        """
        return boxes & shifted(standing, by) & shifted(self.live & ~boxes, -by)

    def fewest_pushes(self, boxes: int) -> int:
        """Returns a lower bound on the pushes to solve: each box to a target of its own, as if it were alone.

        Args:
            boxes: the set of the boxes' cells.

        Returns:
            The bound, `NEVER` or more where there are no such targets.
        """
        bound = self._bounds.get(boxes)
        if bound is None:
            pushes = self._pushes[:, list(cells_of(boxes))]  # (targets, boxes)
            bound = self._bounds[boxes] = int(pushes[linear_sum_assignment(pushes)].sum())
        return bound

    def is_lost(self, boxes: int, cell: int) -> bool:
        """Returns whether boxes can be seen not to be solvable after one was pushed to a cell.

        So it is where that box can never move again, it or one that holds it not being on a target, and where no
        assignment gives each box a target that it could come to.
        """
        frozen = self._frozen(boxes, cell, ~self.floor)
        return bool(frozen & ~self.targets) or self.fewest_pushes(boxes) >= NEVER

    def _frozen(self, boxes: int, cell: int, fixed: int) -> int:
        """Returns the boxes that can never move, this one and those that hold it; none where it can move.

        A box cannot move along a line where a wall or a box that cannot move is beside it, or where a box that came to
        either side could not be solved any more.

        Args:
            boxes: the set of the boxes' cells.
            cell: of the box that is asked about.
            fixed: walls, and boxes that are taken not to move.
        """
        frozen = 1 << cell
        fixed |= frozen
        for by in (1, self.steps[1]):
            beside = 1 << cell - by | 1 << cell + by
            if fixed & beside or not self.live & beside:
                continue
            for near in cells_of(boxes & beside):
                holding = self._frozen(boxes, near, fixed)
                if holding:
                    frozen |= holding
                    break
            else:
                return 0
        return frozen

    def _pushes_to(self, target: int, size: int) -> list[int]:
        """Returns how many pushes take a box that is alone from each cell to a target, found by pulling it away."""
        pushes = [NEVER] * size
        pushes[target] = 0
        queue = [target]
        for cell in queue:
            for by in self.steps:
                free = self.floor >> cell + by & 1 and self.floor >> cell + 2 * by & 1  # past a wall nothing is asked
                if free and pushes[cell + by] == NEVER:
                    pushes[cell + by] = pushes[cell] + 1
                    queue.append(cell + by)
        return pushes


def to_bits(chosen: ArrayLike) -> int:
    """Returns the set of the cells that are true in a table (height, width), or flat."""
    return sum(1 << int(cell) for cell in np.flatnonzero(chosen))


def cells_of(cells: int) -> Iterator[int]:
    """Yields the cells of a set, ascending."""
    while cells:
        lowest = cells & -cells
        yield lowest.bit_length() - 1
        cells ^= lowest


def shifted(cells: int, by: int) -> int:
    """Returns a set of cells moved by a step."""
    return cells << by if by > 0 else cells >> -by
