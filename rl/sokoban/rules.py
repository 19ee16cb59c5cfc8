"""The rules of Sokoban on a grid of tiles; everything else about the game stands on this file.

A board is an int8 array (height, width) of tiles. The player moves up, down, left or right, pushes one box at a time,
and has solved the level when every box stands on a target. Rewards are gym-sokoban's.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from laser_lit.errors import InputError

Board = NDArray[np.int8]

WALL, FLOOR, TARGET, BOX_ON_TARGET, BOX, PLAYER, PLAYER_ON_TARGET = range(7)
TILES = 7
CHARACTERS = "# .*$@+"
"""A character a tile, as Boxoban's files and most other collections write them."""

ACTIONS = "UDLR"
"""Up, down, left, right: a letter an action, in the order of their numbers."""
STEPS = np.array([(-1, 0), (1, 0), (0, -1), (0, 1)])
"""Rows and columns that an action moves by."""

STEP_REWARD, ON_REWARD, OFF_REWARD, SOLVED_REWARD = -0.1, 1.0, -1.0, 10.0
"""gym-sokoban's: for each step, for a box pushed onto a target or off it, and for the last box."""
MAX_STEPS = 120
"""gym-sokoban's length of an episode."""

_LEFT = np.array([WALL, FLOOR, TARGET, TARGET, FLOOR, FLOOR, TARGET], np.int8)  # a tile without box and player
_BOXED = np.array([WALL, BOX, BOX_ON_TARGET, BOX_ON_TARGET, BOX, BOX, BOX_ON_TARGET], np.int8)
_ENTERED = np.array([WALL, PLAYER, PLAYER_ON_TARGET, PLAYER_ON_TARGET, PLAYER, PLAYER, PLAYER_ON_TARGET], np.int8)


@dataclass(frozen=True)
class Step:
    """What one action did.

    Attributes:
        board: afterwards, a new array.
        reward: gym-sokoban's.
        moved: whether the player moved.
        pushed: whether a box moved.
        solved: whether every box is on a target.
    """

    board: Board
    reward: float
    moved: bool
    pushed: bool
    solved: bool


def step(board: Board, action: int) -> Step:
    """Returns what an action does to a board, which stays as it is; an action that is not possible changes nothing.

    Args:
        board: (height, width) tiles with one player, walled all round.
        action: number of a letter of `ACTIONS`.
    """
    after = board.copy()
    place = player(board)
    ahead = (place[0] + STEPS[action][0], place[1] + STEPS[action][1])
    beyond = (ahead[0] + STEPS[action][0], ahead[1] + STEPS[action][1])
    pushed = bool(is_box(board[ahead])) and board[beyond] in (FLOOR, TARGET)
    moved = pushed or board[ahead] in (FLOOR, TARGET)
    if pushed:
        after[beyond] = _BOXED[board[beyond]]
    if moved:
        after[place], after[ahead] = _LEFT[board[place]], _ENTERED[board[ahead]]
    gained = int((after == BOX_ON_TARGET).sum()) - int((board == BOX_ON_TARGET).sum())
    solved = is_solved(after)
    reward = STEP_REWARD + {1: ON_REWARD, 0: 0.0, -1: OFF_REWARD}[gained] + SOLVED_REWARD * (solved and moved)
    return Step(after, reward, moved, pushed, solved)


def player(board: Board) -> tuple[int, int]:
    """Returns row and column of the player."""
    row, column = np.argwhere(board >= PLAYER)[0]
    return int(row), int(column)


def is_box(tiles: Board | np.int8) -> NDArray[np.bool_]:
    """Returns which tiles hold a box."""
    return (tiles == BOX) | (tiles == BOX_ON_TARGET)


def is_target(tiles: Board | np.int8) -> NDArray[np.bool_]:
    """Returns which tiles are targets, whatever stands on them."""
    return (tiles == TARGET) | (tiles == BOX_ON_TARGET) | (tiles == PLAYER_ON_TARGET)


def is_solved(board: Board) -> bool:
    """Returns whether every box is on a target."""
    return not (board == BOX).any()


def without_movables(board: Board) -> Board:
    """Returns the walls, floor and targets of a board: boxes and player are taken away."""
    return _LEFT[board]


def check_board(board: Board) -> None:
    """Raises an error for a board that no game can be played on.

    Raises:
        InputError: not one player, no box, other numbers of boxes and targets, or a hole in the outer wall.
    """
    if board.ndim != 2 or min(board.shape) < 3 or board.min() < 0 or board.max() >= TILES:
        raise InputError(f"a board is a table of at least 3 × 3 tiles, numbers 0 to {TILES - 1}; given {board.shape}")
    players, boxes, targets = (int(n.sum()) for n in (board >= PLAYER, is_box(board), is_target(board)))
    if players != 1:
        raise InputError(f"a level has one player (@, or + on a target); this one has {players}")
    if boxes == 0 or boxes != targets:
        raise InputError(f"a level has as many boxes ($, * on a target) as targets: {boxes} boxes, {targets} targets")
    edge = np.concatenate([board[0], board[-1], board[:, 0], board[:, -1]])
    if (edge != WALL).any():
        raise InputError("a level is walled all round (#); this one has a hole in its outer wall")


def to_text(board: Board) -> str:
    """Returns a board as lines of characters."""
    return "\n".join("".join(CHARACTERS[tile] for tile in row) for row in board)


def from_text(text: str) -> Board:
    """Returns the board of lines of characters; short lines are filled with floor.

    Raises:
        InputError: another character, or what `check_board` refuses.
    """
    rows = text.strip("\n").split("\n")
    width = max(map(len, rows))
    unknown = sorted(set(text) - set(CHARACTERS) - {"\n"})
    if unknown:
        raise InputError(f"unknown characters {' '.join(map(repr, unknown))}; a level is made of {CHARACTERS!r}")
    board = np.array([[CHARACTERS.index(character) for character in row.ljust(width)] for row in rows], np.int8)
    check_board(board)
    return board


def sized(shape: tuple[int, ...]) -> str:
    """Returns the shape of a board in words, as in "7 × 7"."""
    return " × ".join(map(str, shape))


def to_letters(actions: NDArray[np.integer] | list[int]) -> str:
    """Returns actions as a string of letters."""
    return "".join(ACTIONS[action] for action in actions)
