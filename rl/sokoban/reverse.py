"""Starts of rooms that are too large for a table: the game played backwards, from the solved room by random pulls."""

from itertools import permutations

import numpy as np

from rl.sokoban.rules import BOX, FLOOR, PLAYER, WALL, Board, is_target

_PULLS = 200  # of one play at most


def reverse_start(rng: np.random.Generator, room: Board, least: int, most: int) -> Board | None:
    """Returns a board of a room from which its boxes reach the targets, none of them on one; None where none is found.

    Args:
        rng: where chance comes from.
        room: (height, width) tiles without boxes and player, walled all round.
        least: how many pushes the boxes are away from the targets at least, walls not counted.
        most: how many moves the play backwards took at most, which is a solution's length.
    """
    width = room.shape[1]
    floor = set(np.flatnonzero(room != WALL).tolist())
    targets = np.flatnonzero(is_target(room)).tolist()
    free = sorted(floor.difference(targets))
    if not free:
        return None
    boxes, player, moves = list(targets), free[rng.integers(len(free))], 0
    found = []
    for _ in range(_PULLS):
        walks = _walks(floor.difference(boxes), player, width)
        pulls = _pulls(floor.difference(boxes), walks, boxes, width)
        if not pulls:
            break
        box, by = pulls[rng.integers(len(pulls))]
        moves += walks[boxes[box] + by] + 1
        if moves > most:
            break
        boxes[box], player = boxes[box] + by, boxes[box] + 2 * by
        if not set(boxes) & set(targets) and _apart(boxes, targets, width) >= least:
            found.append((player, tuple(boxes)))
    return _board(room, *found[rng.integers(len(found))]) if found else None


def _walks(free: set[int], player: int, width: int) -> dict[int, int]:
    """Returns the number of moves to each cell that the player reaches without moving a box."""
    moves = {player: 0}
    queue = [player]
    for cell in queue:
        for by in (-width, width, -1, 1):
            if cell + by in free and cell + by not in moves:
                moves[cell + by] = moves[cell] + 1
                queue.append(cell + by)
    return moves


def _pulls(free: set[int], walks: dict[int, int], boxes: list[int], width: int) -> list[tuple[int, int]]:
    """Returns the pulls that the player can reach: which box, and the step that player and box make."""
    return [
        (number, by)
        for number, box in enumerate(boxes)
        for by in (-width, width, -1, 1)
        if box + by in walks and box + 2 * by in free
    ]


def _apart(boxes: list[int], targets: list[int], width: int) -> int:
    """Returns the least sum of rows and columns between boxes and targets, a target for each box."""
    away = [
        [abs(box // width - target // width) + abs(box % width - target % width) for target in targets] for box in boxes
    ]
    return min(
        sum(row[place] for row, place in zip(away, order, strict=True)) for order in permutations(range(len(boxes)))
    )


def _board(room: Board, player: int, boxes: tuple[int, ...]) -> Board:
    board = room.copy()
    tiles = board.reshape(-1)
    tiles[list(boxes)] = BOX
    tiles[player] += PLAYER - FLOOR
    return board
