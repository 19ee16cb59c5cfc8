"""Small boards of Sokoban to test with, and the plainest search for their shortest solutions."""

import numpy as np
from hypothesis import strategies as st

from rl.sokoban import rules


def fewest_moves(board):
    """Returns the least number of moves that solve a board, by breadth-first search; None where nothing does."""
    walls = {tuple(cell) for cell in np.argwhere(board == rules.WALL)}
    targets = {tuple(cell) for cell in np.argwhere(rules.is_target(board))}
    start = (rules.player(board), frozenset(tuple(cell) for cell in np.argwhere(rules.is_box(board))))
    front, seen, moves = {start}, set(), 0
    while front:
        if any(boxes == targets for _, boxes in front):
            return moves
        found = {state for player, boxes in front for state in _after(player, boxes, walls)}
        seen |= front
        front, moves = found - seen, moves + 1
    return None


def fewest_pushes(board):
    """Returns the least number of pushes that solve a board, walks for nothing; None where nothing does."""
    walls = {tuple(cell) for cell in np.argwhere(board == rules.WALL)}
    targets = {tuple(cell) for cell in np.argwhere(rules.is_target(board))}
    start = (rules.player(board), frozenset(tuple(cell) for cell in np.argwhere(rules.is_box(board))))
    front, seen, pushes = {start}, set(), 0
    while front:
        pushed, walking = set(), list(front)
        for player, boxes in walking:
            if boxes == targets:
                return pushes
            for state in set(_after(player, boxes, walls)) - seen:
                if state[1] != boxes:
                    pushed.add(state)
                elif state not in front:
                    front.add(state)
                    walking.append(state)
        seen |= front
        front, pushes = pushed - seen, pushes + 1
    return None


def _after(player, boxes, walls):
    for down, right in ((-1, 0), (1, 0), (0, -1), (0, 1)):
        ahead = (player[0] + down, player[1] + right)
        beyond = (ahead[0] + down, ahead[1] + right)
        if ahead in walls or (ahead in boxes and (beyond in walls or beyond in boxes)):
            continue
        yield ahead, boxes - {ahead} | {beyond} if ahead in boxes else boxes


def random_board(rng, height, width, boxes, wall_share=0.2):
    """Returns a board with walls, boxes, targets and player anywhere; often it has no solution."""
    board = np.full((height, width), rules.WALL, np.int8)
    inside = rng.permutation([(row, column) for row in range(1, height - 1) for column in range(1, width - 1)])
    for row, column in inside:
        board[row, column] = rules.FLOOR
    places = inside[:boxes], inside[boxes : 2 * boxes]
    shared = int(rng.integers(0, boxes + 1)) if rng.random() < 0.3 else 0  # boxes that begin on a target
    for number, ((row, column), (row2, column2)) in enumerate(zip(*places, strict=True)):
        board[row, column] = rules.BOX_ON_TARGET if number < shared else rules.BOX
        if number >= shared:
            board[row2, column2] = rules.TARGET
    for row, column in inside[2 * boxes + 1 :]:
        if rng.random() < wall_share:
            board[row, column] = rules.WALL
    row, column = inside[2 * boxes]
    board[row, column] = rules.PLAYER
    return board


@st.composite
def small_boards(draw):
    """Boards of 6 to 16 cells inside and up to 3 boxes, solvable or not."""
    height = draw(st.integers(3, 6))
    width = draw(st.integers(2 + -(-6 // (height - 2)), 2 + 16 // (height - 2)))
    boxes = draw(st.integers(1, min(3, ((height - 2) * (width - 2) - 1) // 2)))
    return random_board(np.random.default_rng(draw(st.integers(0, 2**32 - 1))), height, width, boxes)
