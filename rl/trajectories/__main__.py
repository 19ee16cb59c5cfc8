"""`python -m rl.trajectories generate|astar|export-minari …` makes files of episodes, and Minari's of them."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from laser_lit.errors import InputError
from rl.sokoban.level import read_levels
from rl.sokoban.rules import ACTIONS, MAX_STEPS
from rl.trajectories.astar_solutions import ASTAR_FILES, astar_trajectories, fetch_astar
from rl.trajectories.generate import Noise, Rooms, play_levels, play_rooms
from rl.trajectories.minari import export_minari
from rl.trajectories.trajectories import Trajectories, load_trajectories, save_trajectories


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0, or 1 when nothing could be written.

    Args:
        arguments: of the command line; those of this process when None.
    """
    parser = argparse.ArgumentParser(prog="python -m rl.trajectories", description="Episodes of Sokoban in files.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_generate(commands)
    _add_astar(commands)
    _add_export(commands)
    options = parser.parse_args(arguments)
    try:
        options.run(options)
    except (InputError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


def _add_generate(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    about = "play generated rooms, or the levels of a file, as an expert with noise"
    command = commands.add_parser("generate", help=about, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    command.set_defaults(run=_generate)
    command.add_argument("target", type=Path, metavar="OUT", help="a new file, .npz")
    command.add_argument("--count", type=int, default=1000, help="episodes")
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--levels", type=Path, help="file or folder of levels in place of generated rooms")
    command.add_argument("--size", type=int, default=Rooms.size, help="of rooms, in cells")
    command.add_argument("--boxes", type=int, default=Rooms.boxes, help="in a room")
    command.add_argument("--min-moves", type=int, default=Rooms.min_moves, help="of a room's shortest solution")
    command.add_argument("--max-moves", type=int, default=Rooms.max_moves, help="of a room's shortest solution")
    command.add_argument("--rates", type=float, nargs="+", default=Noise.rates, help="an episode's share of noise")
    command.add_argument("--generic", type=float, default=Noise.generic, help="share of targets made one action")
    command.add_argument("--action", default=Noise.action, help=f"that action, one of {', '.join(ACTIONS)}")
    command.add_argument("--dead-tail", type=int, default=Noise.dead_tail, help="steps learned from once it is lost")
    command.add_argument("--max-steps", type=int, default=MAX_STEPS, help="of the longest episode")


def _add_astar(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    about = "take the hub's A* solutions of a part of Boxoban"
    command = commands.add_parser("astar", help=about, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    command.set_defaults(run=_astar)
    command.add_argument("levels", type=Path, metavar="LEVELS", help="that part's folder, or a file of it")
    command.add_argument("solutions", metavar="SOLUTIONS", help=f"a CSV file, or the hub's: {', '.join(ASTAR_FILES)}")
    command.add_argument("target", type=Path, metavar="OUT", help="a new file, .npz")
    command.add_argument("--max-steps", type=int, default=MAX_STEPS, help="of the longest episode")


def _add_export(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = commands.add_parser("export-minari", help="make a data set of Minari of a file of episodes")
    command.set_defaults(run=_export)
    command.add_argument("source", type=Path, metavar="FILE", help="a file of episodes, .npz")
    command.add_argument("id", metavar="ID", help="name of the new data set, as in sokoban/expert-v0")


def _generate(options: argparse.Namespace) -> None:
    _check_new(options.target)
    noise = Noise(tuple(options.rates), options.generic, options.action, options.dead_tail)
    count, chance = options.count, {"seed": options.seed, "max_steps": options.max_steps}
    if options.levels is not None:
        _write(play_levels(read_levels(options.levels), count, noise, **chance), options.target)
    else:
        rooms = Rooms(options.size, options.boxes, options.min_moves, options.max_moves)
        _write(play_rooms(rooms, count, noise, **chance), options.target)


def _astar(options: argparse.Namespace) -> None:
    _check_new(options.target)
    given = Path(options.solutions)
    path = fetch_astar(options.solutions) if options.solutions in ASTAR_FILES and not given.is_file() else given
    trajectories, notes = astar_trajectories(read_levels(options.levels), path, max_steps=options.max_steps)
    for note in notes:
        print(f"note: {note}", file=sys.stderr)  # noqa: T201
    _write(trajectories, options.target)


def _export(options: argparse.Namespace) -> None:
    trajectories = load_trajectories(options.source)
    print(f"{_counted(trajectories)}: {export_minari(trajectories, options.id)}")  # noqa: T201


def _check_new(target: Path) -> None:
    if target.exists():
        raise InputError(f"{target}: is there already, and nothing is written over; name a new file")


def _write(trajectories: Trajectories, target: Path) -> None:
    save_trajectories(trajectories, target)
    print(f"{_counted(trajectories)}: {target}")  # noqa: T201


def _counted(trajectories: Trajectories) -> str:
    solved = int(trajectories.solved.sum())
    return f"{len(trajectories):,} episodes of {len(trajectories.actions):,} steps, {solved:,} solved"


if __name__ == "__main__":
    sys.exit(main())
