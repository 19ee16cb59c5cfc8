"""Solves levels by A* over pushes, with the fewest pushes or the fewest moves.

The bound on what is left is the cheapest assignment of boxes to targets by the pushes that each would need alone.
Pushes after which a box can never be solved are left out: onto cells from which no target can be reached, and into
groups of boxes that hold each other.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Literal, NamedTuple, get_args

from laser_lit.errors import InputError, unknown_name
from rl.sokoban.bitboard import NEVER, Bitboard, cells_of, to_bits
from rl.sokoban.rules import ACTIONS, PLAYER, Board, check_board, is_box

Optimal = Literal["pushes", "moves"]

MAX_NODES = 200_000
"""How many states are looked at unless told otherwise; about 10 seconds on boards of Boxoban's size."""


class UnsolvableError(InputError):
    """No sequence of actions solves a level."""


class UnsolvedError(InputError):
    """A solution was not found within the number of states that were to be looked at; there may be one."""


@dataclass(frozen=True)
class Solution:
    """What solves a level.

    Attributes:
        actions: letters of `rules.ACTIONS`.
        moves: their number.
        pushes: how many of them push a box.
        nodes: how many states were looked at to find them.
    """

    actions: str
    moves: int
    pushes: int
    nodes: int


class _State(NamedTuple):
    boxes: int  # the set of their cells
    player: int  # the set of its cell, or of all that it reaches where walks cost nothing


class _Push(NamedTuple):
    before: _State
    cell: int  # of the box, before
    action: int


_Successors = Callable[[Bitboard, _State], Iterator[tuple[int, _Push, _State]]]


def solve(board: Board, optimal: Optimal = "pushes", weight: float = 1.0, limit: int = MAX_NODES) -> Solution:
    """Returns a solution of a level, the shortest one at weight 1.

    Args:
        board: (height, width) tiles.
        optimal: what is counted. By "pushes" each walk between them is as short as it can be, by "moves" walks and
            pushes together are. The first is much faster.
        weight: of the bound on what is left, at least 1; the solution is at most so many times longer than the
            shortest, and found sooner.
        limit: how many states are looked at.

    Raises:
        InputError: not a board, or an argument out of its range.
        UnsolvableError: there is no solution.
        UnsolvedError: none was found within the limit.

    Source:
        Hart, Nilsson and Raphael (1968) for A*; the bound and the deadlocks as in Junghanns and Schaeffer (2001),
        "Sokoban: Enhancing general single-agent search methods using domain knowledge".
    """
    check_board(board)
    if optimal not in get_args(Optimal):
        raise unknown_name("optimal", optimal, get_args(Optimal))
    if not 1 <= weight < float("inf") or limit < 1:
        raise InputError(f"weight {weight} and limit {limit}: both are at least 1, and weight is finite")
    bits = Bitboard(board)
    player, boxes = to_bits(board >= PLAYER), to_bits(is_box(board))
    if optimal == "moves":
        pushes, nodes = _search(bits, _State(boxes, player), _moving, weight, limit)
    else:
        pushes, nodes = _search(bits, _State(boxes, bits.reach(player, boxes)), _pushing, weight, limit)
    actions = "".join(_letters(bits, player, pushes))
    return Solution(actions, len(actions), len(pushes), nodes)


def _search(
    bits: Bitboard, start: _State, successors: _Successors, weight: float, limit: int
) -> tuple[list[_Push], int]:
    """Returns the pushes that solve a state, in order, and how many states were looked at."""
    best, came = {start: 0}, dict[_State, _Push]()
    queue = [(0.0, 0, 0, start)] if bits.fewest_pushes(start.boxes) < NEVER else []
    nodes = added = 0
    while queue:
        _, minus, _, state = heappop(queue)  # of equal totals the one that has come further, of those the oldest
        if -minus > best[state]:
            continue
        if state.boxes == bits.targets:
            return _path(came, state), nodes
        if nodes == limit:
            raise UnsolvedError(f"not solved within {limit:,} nodes; allow more (limit), or take a larger weight")
        nodes += 1
        for cost, push, after in successors(bits, state):
            total = cost - minus
            if total < best.get(after, NEVER):
                added += 1
                best[after], came[after] = total, push
                heappush(queue, (total + weight * bits.fewest_pushes(after.boxes), -total, added, after))
    raise UnsolvableError(f"the level has no solution: all {nodes:,} states that matter were looked at")


def _pushing(bits: Bitboard, state: _State) -> Iterator[tuple[int, _Push, _State]]:
    """Yields every push from a state, at a cost of 1, and the state after it."""
    for action, by in enumerate(bits.steps):
        for cell in cells_of(bits.pushable(state.player, state.boxes, by)):
            boxes = state.boxes ^ (1 << cell | 1 << cell + by)
            if not bits.is_lost(boxes, cell + by):
                yield 1, _Push(state, cell, action), _State(boxes, bits.reach(1 << cell, boxes))


def _moving(bits: Bitboard, state: _State) -> Iterator[tuple[int, _Push, _State]]:
    """Yields every push from a state, at the cost of the walk to it and the push, and the state after it."""
    for walked, standing in enumerate(bits.walks(state.player, state.boxes)):
        for action, by in enumerate(bits.steps):
            for cell in cells_of(bits.pushable(standing, state.boxes, by)):
                boxes = state.boxes ^ (1 << cell | 1 << cell + by)
                if not bits.is_lost(boxes, cell + by):
                    yield walked + 1, _Push(state, cell, action), _State(boxes, 1 << cell)


def _path(came: dict[_State, _Push], state: _State) -> list[_Push]:
    """Returns the pushes that lead to a state, in order."""
    pushes = []
    while state in came:
        pushes.append(came[state])
        state = came[state].before
    return pushes[::-1]


def _letters(bits: Bitboard, player: int, pushes: list[_Push]) -> Iterator[str]:
    """Yields the letters of shortest walks from push to push, and of the pushes."""
    for (boxes, _), cell, action in pushes:
        behind = 1 << cell - bits.steps[action]
        yield from (ACTIONS[walk] for walk in bits.walk(player, behind, boxes))
        yield ACTIONS[action]
        player = 1 << cell
