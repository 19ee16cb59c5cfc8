"""Seconds that Sokoban's levels take: solving Boxoban's, and generating rooms with all that is known of them.

    python benchmarks/sokoban_solver.py [--moves 50]

pushes, moves      Boxoban's levels solved by fewest pushes (the first 200 of unfiltered/valid, 100 of medium/valid) and
                   by fewest moves (the first --moves of each), in s a level: median, largest, share within 5 s, states
                   a second; every solution is replayed by the rules
generate_ms        levels of a room each, in ms a level: the room, the table of all its states, and a start
table_ms           the tables of the same rooms alone, which have the fewest moves from each of states_solved states
breadth_first_ms   a plain search of the fewest moves from a level's start; speedup_vs_breadth_first is its time for one
                   state over the table's

One thread, CPU seconds. Boxoban's files: LASER_LIT_SHARED (default ../shared). The last line is a JSON object.
"""

import argparse
import json
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from rl.sokoban.level import Level, read_levels
from rl.sokoban.rooms import generate_levels
from rl.sokoban.rules import ACTIONS, PLAYER, WALL, Board, is_box, is_solved, is_target, step
from rl.sokoban.solver import Optimal, UnsolvedError, solve
from rl.sokoban.table import SolutionTable

SHARED = Path(os.environ.get("LASER_LIT_SHARED", Path(__file__).resolve().parents[2] / "shared"))
FOLDERS = {"unfiltered/valid": 200, "medium/valid": 100}
ROOMS = ((6, 1, 100), (7, 2, 1000), (8, 2, 1000))  # size, boxes, how many
SECONDS = 5.0


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """Returns what work gives, and its CPU seconds."""
    start = time.process_time()
    found = work()
    return found, time.process_time() - start


def attempt(level: Level, optimal: Optimal) -> int | None:
    """Returns how many states were looked at to solve a level; None where it was not solved."""
    try:
        solution = solve(level.board, optimal)
    except UnsolvedError:
        return None
    board = level.board
    for action in solution.actions:
        board = step(board, ACTIONS.index(action)).board
    if not is_solved(board):
        raise RuntimeError(f"{level.name}: {solution.actions} does not solve it")
    return solution.nodes


def solving(levels: list[Level], optimal: Optimal) -> dict[str, float]:
    """Returns the figures of solving levels."""
    runs = [timed(partial(attempt, level, optimal)) for level in levels]
    seconds = np.array([second for _, second in runs])
    solved = np.array([nodes is not None for nodes, _ in runs])
    nodes = sum(nodes or 0 for nodes, _ in runs)
    return {
        "levels": len(levels),
        "median_s": round(float(np.median(seconds)), 5),
        "max_s": round(float(seconds.max()), 3),
        "within_5_s": round(float((solved & (seconds <= SECONDS)).mean()), 4),
        "nodes_per_s": round(nodes / float(seconds[solved].sum())),
    }


def breadth_first(board: Board) -> int:
    """Returns the fewest moves that solve a board, by a search of sets over players and boxes."""
    width, tiles = board.shape[1], board.reshape(-1)
    floor = frozenset(np.flatnonzero(board != WALL).tolist())
    targets = frozenset(np.flatnonzero(is_target(tiles)).tolist())
    front = {(int((tiles >= PLAYER).argmax()), frozenset(np.flatnonzero(is_box(tiles)).tolist()))}
    seen, moves = set(front), 0
    while all(boxes != targets for _, boxes in front):
        found = set()
        for player, boxes in front:
            for by in (-width, width, -1, 1):
                ahead, beyond = player + by, player + 2 * by
                if ahead in boxes and beyond in floor and beyond not in boxes:
                    found.add((ahead, boxes - {ahead} | {beyond}))
                elif ahead in floor and ahead not in boxes:
                    found.add((ahead, boxes))
        front, moves = found - seen, moves + 1
        seen |= front
    return moves


def generating(size: int, boxes: int, count: int) -> dict[str, float]:
    """Returns the figures of generating levels, after checking that both ways find the same number of moves."""
    levels, seconds = timed(lambda: generate_levels(0, size, boxes, count, "test"))
    tables, tabled = timed(lambda: [SolutionTable.of(level.board) for level in levels])
    states = sum(int((table.distance > 0).sum()) for table in tables)
    moves, plain = timed(lambda: [breadth_first(level.board) for level in levels])
    if moves != [level.moves for level in levels]:
        raise RuntimeError(f"{size} x {size}, {boxes} boxes: the fewest moves differ from a plain search's")
    return {
        "generate_ms": round(1e3 * seconds / count, 3),
        "table_ms": round(1e3 * tabled / count, 3),
        "states_solved": round(states / count),
        "breadth_first_ms": round(1e3 * plain / count, 3),
        "speedup_vs_breadth_first": round((plain / count) / (tabled / states), 1),
        "mean_moves": round(float(np.mean(moves)), 2),
    }


def main() -> None:
    """Measures, and prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--moves", type=int, default=50, help="levels of each file that are solved by fewest moves")
    options = parser.parse_args()
    figures: dict[str, dict[str, float]] = {}
    for folder, count in FOLDERS.items():
        levels, seconds = timed(partial(read_levels, SHARED / "data" / "boxoban" / folder))
        print(f"{folder}: {len(levels)} levels read in {seconds:.3f} s", flush=True)
        figures[f"pushes {folder}"] = solving(levels[:count], "pushes")
        figures[f"moves {folder}"] = solving(levels[: options.moves], "moves")
    for size, boxes, count in ROOMS:
        figures[f"rooms {size}x{size}-{boxes}"] = generating(size, boxes, count)
    for name, row in figures.items():
        print(f"{name}: {', '.join(f'{column} {value}' for column, value in row.items())}")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
