"""How far every state of a small room is from solved, found by one search backwards from the solved states."""

from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import NDArray

from laser_lit.errors import InputError
from rl.sokoban.rules import (
    BOX,
    BOX_ON_TARGET,
    FLOOR,
    PLAYER,
    STEPS,
    TARGET,
    WALL,
    Board,
    is_box,
    is_target,
    player,
    without_movables,
)

MAX_STATES = 1_000_000
"""How many states a table holds unless told otherwise; making it takes about 90 bytes a state."""

Cells = NDArray[np.int64]
States = NDArray[np.int64]

_OPPOSITE = np.array([1, 0, 3, 2])  # of up, down, left, right


@dataclass(frozen=True, eq=False)
class SolutionTable:
    """All states of a room, S in number: a placement of the boxes (one of C) times a cell of the player (one of F).

    State s has placement s // F and the player on cell s % F. Where the player would stand on a box there is no
    state; its row says dead and stays where it is.

    Attributes:
        room: (height, width) tiles without boxes and player.
        cells: (F, 2) row and column of each cell that is no wall.
        placements: (C, boxes) cells of the boxes, ascending in each row.
        next: (S, 4) int32, the state after each action of `rules.ACTIONS`.
        distance: (S,) int16, the least number of moves to solved; -1 where none solves it.
        boxes_on_target: (S,) int8, how many boxes are on targets.
    """

    room: Board
    cells: Cells
    placements: Cells
    next: NDArray[np.int32]
    distance: NDArray[np.int16]
    boxes_on_target: NDArray[np.int8]

    @classmethod
    def of(cls, board: Board, limit: int = MAX_STATES) -> "SolutionTable":
        """Returns the table of a board's room, with as many boxes as it has targets.

        Args:
            board: (height, width) tiles, walled all round; boxes and player do not count.
            limit: how many states it may have.

        Raises:
            InputError: no target, or more states than the limit.
        """
        room = without_movables(board)
        floor, boxes = room != WALL, int(is_target(room).sum())
        cells = np.argwhere(floor)
        states = len(cells) * comb(len(cells), boxes)
        if boxes == 0:
            raise InputError("a room without a target (.) has nothing to solve; give it at least one")
        if states > limit:
            raise InputError(
                f"a room of {len(cells)} cells and {boxes} boxes has {states:,} states, a table at most {limit:,}: "
                "take a smaller room or fewer boxes, or solve its levels one by one (rl.sokoban.solver)"
            )
        placements, ranks = _placements(len(cells), boxes)
        after, before = _transitions(_neighbours(floor), placements, ranks)
        on = is_target(room)[floor][placements].sum(1)
        occupied = _occupied(placements, len(cells))[:, :-1]
        solved = np.flatnonzero(((on == boxes)[:, None] & ~occupied).ravel())
        on_target = np.repeat(on.astype(np.int8), len(cells))
        return cls(room, cells, placements, after, _distances(before, solved), on_target)

    def boards(self, states: States) -> Board:
        """Returns the boards of states, (n, height, width).

        Args:
            states: (n,) numbers of states in which the player does not stand on a box.
        """
        where = self.cells @ np.array([self.room.shape[1], 1])  # (F,) cells of the flat board
        tiles = np.repeat(self.room.reshape(1, -1), len(states), axis=0)
        rows = np.arange(len(states))
        placement, cell = np.divmod(states, len(self.cells))
        boxes = where[self.placements[placement]]  # (n, boxes)
        under = tiles[rows[:, None], boxes]
        tiles[rows[:, None], boxes] = np.where(under == TARGET, BOX_ON_TARGET, BOX)
        tiles[rows, where[cell]] += PLAYER - FLOOR
        return tiles.reshape(-1, *self.room.shape)

    def state(self, board: Board) -> int:
        """Returns the state of a board of this room.

        Raises:
            InputError: a board of another room, or of another number of boxes.
        """
        if not np.array_equal(without_movables(board), self.room) or is_box(board).sum() != self.placements.shape[1]:
            raise InputError("the board's walls, targets or number of boxes are not this table's; make its own table")
        cell = np.cumsum(self.room != WALL) - 1  # (height * width,) number of each cell that is no wall
        boxes = cell[np.flatnonzero(is_box(board))]
        ranks = _placements(len(self.cells), len(boxes))[1]
        row, column = player(board)
        return int(_rank(boxes, ranks)) * len(self.cells) + int(cell[row * board.shape[1] + column])

    def states_with(self, least: int, most: int, on_target: int | None = None) -> States:
        """Returns the states whose distance is from `least` to `most`, both at least 0, ascending.

        Args:
            least: the smallest distance.
            most: the largest.
            on_target: how many boxes are on targets in them; None for any number.
        """
        chosen = (self.distance >= max(least, 0)) & (self.distance <= most)
        if on_target is not None:
            chosen &= self.boxes_on_target == on_target
        return np.flatnonzero(chosen)

    def optimal(self, states: States) -> NDArray[np.bool_]:
        """Returns which actions lead a move nearer to solved, (n, 4); none do from dead and solved states."""
        here = self.distance[states][:, None]
        return (here > 0) & (self.distance[self.next[states]] == here - 1)


@lru_cache(maxsize=32)
def _placements(cells: int, boxes: int) -> tuple[Cells, Cells]:
    """Returns all placements of boxes in the order of their ranks, (C, boxes), and what `_rank` adds up."""
    found = np.array(list(combinations(range(cells), boxes)))
    ranks = np.array([[comb(cell, place + 1) for place in range(boxes)] for cell in range(cells)])
    return found[np.lexsort(found.T)], ranks


def _rank(placements: Cells, ranks: Cells) -> Cells:
    """Returns the numbers of placements, (...,), by the combinatorial number system.

    Args:
        placements: (..., boxes) cells, ascending in each row.
        ranks: (F, boxes) binomial coefficients.
    """
    return ranks[placements, np.arange(placements.shape[-1])].sum(-1)


def _neighbours(floor: NDArray[np.bool_]) -> Cells:
    """Returns the cell that lies in each direction of each cell, (F, 4); F, one past the last, for a wall."""
    number = np.where(floor, np.cumsum(floor).reshape(floor.shape) - 1, floor.sum())
    ahead = np.argwhere(floor)[:, None] + STEPS  # (F, 4, 2)
    return number[ahead[..., 0], ahead[..., 1]]


def _occupied(placements: Cells, cells: int) -> NDArray[np.bool_]:
    """Returns where nothing can move to, (C, F + 1): boxes, and the wall past the last cell."""
    occupied = np.zeros((len(placements), cells + 1), bool)
    occupied[np.arange(len(placements))[:, None], placements] = True
    occupied[:, cells] = True
    return occupied


def _transitions(neighbours: Cells, placements: Cells, ranks: Cells) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Returns the states after each action, (S, 4), and those that come before by walks and by pushes, (S, 8).

    What is not possible leads to the state itself.
    """
    F = len(neighbours)
    occupied = _occupied(placements, F)
    free = ~(occupied[:, neighbours] | occupied[:, :F, None])  # (C, F, 4)
    stay = np.arange(len(placements) * F, dtype=np.int32).reshape(-1, F, 1)
    base = np.arange(len(placements), dtype=np.int32)[:, None, None] * F
    walks = np.where(free, base + neighbours.astype(np.int32), stay).reshape(-1, 4)

    ahead, behind = neighbours[placements], neighbours[placements][..., _OPPOSITE]  # (C, boxes, 4)
    index = np.arange(len(placements))[:, None, None]
    which, box, action = np.nonzero(~(occupied[index, ahead] | occupied[index, behind]))
    pushed = placements[which]
    cell = pushed[np.arange(len(which)), box]
    pushed[np.arange(len(which)), box] = ahead[which, box, action]
    pushed.sort(axis=1)
    source = which * F + behind[which, box, action]
    target = _rank(pushed, ranks) * F + cell

    before = np.concatenate([walks, np.broadcast_to(stay.reshape(-1, 1), walks.shape)], axis=1)
    before[target, 4 + action] = source
    walks[source, action] = target
    return walks, before


def _distances(before: NDArray[np.int32], solved: States) -> NDArray[np.int16]:
    """Returns each state's least number of moves to a solved one, (S,); -1 where there is none."""
    distance = np.full(len(before), -1, np.int16)
    order = np.empty(len(before), np.int32)  # to keep one of each state that is found several times
    front, moves = solved, 0
    while len(front):
        distance[front] = moves
        found = before[front].ravel()
        found = found[distance[found] < 0]
        places = np.arange(len(found), dtype=np.int32)
        order[found] = places
        front, moves = found[order[found] == places], moves + 1
    return distance
