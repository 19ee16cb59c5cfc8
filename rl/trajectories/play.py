"""A level as an expert plays it: which actions are best now, and what the level is after one."""

from collections.abc import Sequence
from typing import Protocol

from rl.sokoban.rules import ACTIONS, Board, is_solved, step
from rl.sokoban.solver import UnsolvableError, UnsolvedError, solve
from rl.sokoban.table import SolutionTable


class Play(Protocol):
    """A level that is being played."""

    @property
    def solved(self) -> bool:
        """Whether every box is on a target."""
        ...

    def best(self) -> Sequence[int]:
        """Returns the actions that the expert may take; none where the level cannot be solved any more."""
        ...

    def do(self, action: int) -> None:
        """Takes an action.

        Args:
            action: number of a letter of `ACTIONS`.
        """
        ...


class TableExpert:
    """Starts plays in one room that knows all its shortest solutions."""

    def __init__(self, table: SolutionTable) -> None:
        self.next: list[list[int]] = table.next.tolist()
        self.distance: list[int] = table.distance.tolist()

    def play(self, state: int) -> "TablePlay":
        """Returns a play from a state of the table."""
        return TablePlay(self, state)


class TablePlay:
    """A play by the table of its room; every action that lies on a shortest solution is best."""

    def __init__(self, expert: TableExpert, state: int) -> None:
        self._expert, self._state = expert, state

    @property
    def solved(self) -> bool:
        """Whether every box is on a target."""
        return self._expert.distance[self._state] == 0

    def best(self) -> Sequence[int]:
        """Returns the actions that lead a move nearer to the solution."""
        distance = self._expert.distance
        wanted = distance[self._state] - 1
        return [action for action, after in enumerate(self._expert.next[self._state]) if distance[after] == wanted >= 0]

    def do(self, action: int) -> None:
        """Takes an action."""
        self._state = self._expert.next[self._state][action]


class SolverPlay:
    """A play by the solver's solutions, solved anew whenever another action is taken than the one that it had in mind.

    Args:
        board: where it begins.
        nodes: most nodes of a search; a level that is not solved within them counts as one that cannot be.
    """

    def __init__(self, board: Board, nodes: int) -> None:
        self._board, self._nodes = board, nodes
        self._plan: list[int] | None = None  # to be read backwards

    @property
    def solved(self) -> bool:
        """Whether every box is on a target."""
        return is_solved(self._board)

    def best(self) -> Sequence[int]:
        """Returns the next action of the solution at hand."""
        if self._plan is None:
            try:
                letters = solve(self._board, limit=self._nodes).actions
            except (UnsolvableError, UnsolvedError):
                letters = ""
            self._plan = [ACTIONS.index(letter) for letter in reversed(letters)]
        return self._plan[-1:]

    def do(self, action: int) -> None:
        """Takes an action."""
        after = step(self._board, action)
        if self._plan and self._plan[-1] == action:
            self._plan.pop()
        elif after.pushed or (after.moved and self._plan):  # of a dead level, only a push could make another
            self._plan = None
        self._board = after.board
