"""Episodes as a data set of Minari, the offline-RL format of gymnasium's makers.

Boards are kept as grids of tiles, int8: Minari takes only uint8 tables for pictures, which it may keep as JPEG.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec

from laser_lit.errors import InputError
from laser_lit.files import new_folder
from rl.sokoban.boards import Boards
from rl.sokoban.rules import ACTIONS, TILES
from rl.trajectories.trajectories import NO_TARGET, Trajectories

INSTALL = "pip install 'laser_lit[minari]'"
"""The command that installs what is needed."""


def export_minari(trajectories: Trajectories, id: str) -> Path:
    """Returns the folder of a new data set of Minari, which `minari.load_dataset(id)` then reads.

    Observations are the boards (steps + 1, height, width) int8; an episode terminates when it is solved, else its last
    step truncates it. infos["target"] is (steps + 1,): what is to be learned at the step that led there, NO_TARGET for
    nothing and first. Data sets of generated rooms name their environment.

    Args:
        trajectories: the episodes.
        id: Minari's name of the data set, as in "sokoban/expert-v0"; it is put where Minari keeps its data sets
            (MINARI_DATASETS_PATH, else ~/.minari/datasets).

    Raises:
        InputError: Minari is not installed, the id is not one, or there is a data set of that id.
    """
    minari = _installed()
    try:
        namespace, *_ = minari.dataset.minari_dataset.parse_dataset_id(id)
    except ValueError as error:
        raise InputError(f"id {id!r}: must be as in 'sokoban/expert-v0' ({error})") from error
    folder: Path = minari.storage.get_dataset_path(id) / "data"
    with new_folder(folder) as unfinished:
        storage = minari.dataset.minari_storage.MinariStorage.new(
            unfinished,
            observation_space=spaces.Box(0, TILES - 1, trajectories.starts.shape[1:], np.int8),
            action_space=spaces.Discrete(len(ACTIONS)),
            env_spec=_environment(trajectories.about),
            data_format="hdf5",
        )
        about = {"description": f"Sokoban, played by laser_lit: {json.dumps(trajectories.about)}"}
        storage.update_metadata({"dataset_id": id, "minari_version": minari.__version__, **about})
        storage.update_episodes(_episodes(trajectories, minari.data_collector.EpisodeBuffer))
    if namespace is not None and namespace not in minari.namespace.list_local_namespaces():
        minari.namespace.create_namespace(namespace)
    return folder


def _installed() -> Any:
    """Returns Minari's package, when what it keeps its files with is there too."""
    for name in ("h5py", "PIL", "minari"):
        try:
            package = import_module(name)
        except ImportError as error:
            raise InputError(f"a data set of Minari needs {name}, which is not installed: {INSTALL}") from error
    return package


def _environment(about: dict[str, Any]) -> EnvSpec | None:
    """Returns what gymnasium makes the environment of generated rooms from."""
    if "rooms" not in about:
        return None
    made = {name: about["rooms"][name] for name in ("size", "boxes")}
    return replace(gymnasium.spec("laser_lit/Sokoban-v0"), kwargs=made, max_episode_steps=about["max_steps"])


def _episodes(trajectories: Trajectories, buffer: type) -> Iterator[Any]:
    """Yields each episode as Minari takes it."""
    height, width = trajectories.starts.shape[1:]
    first, lengths = trajectories.first, trajectories.lengths
    tiles = trajectories.tiles.reshape(-1, height, width)
    last = first + lengths - 1
    boards, labels = Boards(tiles[last]), trajectories.labels
    boards.step(trajectories.actions[last])
    for number, end in enumerate(boards.tiles):
        steps = slice(int(first[number]), int(last[number]) + 1)
        ends = np.arange(lengths[number]) == lengths[number] - 1
        yield buffer(
            id=number,
            observations=np.concatenate([tiles[steps], end[None]]),  # (steps + 1, height, width)
            actions=trajectories.actions[steps].astype(np.int64),
            rewards=trajectories.rewards[steps],
            terminations=ends & trajectories.solved[number],
            truncations=ends & ~trajectories.solved[number],
            infos={"target": np.concatenate([np.array([NO_TARGET], np.int8), labels[steps]])},
        )
