"""The stack that `laser=` asks for."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from laser_lit.config import plain
from laser_lit.edits.edit import Edit
from laser_lit.edits.stack import Stack
from laser_lit.errors import InputError, unknown_name

EDIT_KEYS = ("layer", "matrix", "rho", "rank", "rule", "rate", "kind", "part", "expert")
AMOUNT_KEYS = ("rho", "rank", "rule", "rate")


@dataclass(frozen=True)
class ConfiguredStack:
    """A stack and where it comes from.

    Attributes:
        stack: the edits; None for `laser=none`.
        provenance: one sentence for terminal and record; None when the user typed the edits.
        verified: False for a stack that nobody has scored on this model, None where the question does not arise.
        notes: what the reader of the record must know, a sentence each.
    """

    stack: Stack | None
    provenance: str | None = None
    verified: bool | None = None
    notes: tuple[str, ...] = ()


Config = dict[str, Any]


def configured_stack(config: DictConfig) -> ConfiguredStack:
    """Returns the stack of a whole evaluation config.

    Raises:
        InputError: for fields that are missing or contradict each other, and for models without the stack asked for.
    """
    builders: dict[str, Callable[[Config], ConfiguredStack]] = {
        "none": lambda config: ConfiguredStack(None),
        "single": _single,
        "paper": _paper,
        "stack_top3": _stack_top3,
        "file": _file,
    }
    name = config.laser.name
    if name not in builders:
        raise unknown_name("laser", name, builders)
    configured = builders[name](plain(config))
    if configured.stack is not None and any(edit.layer == -1 for edit in configured.stack.edits):
        note = "layer -1 is the last layer here; in the LASER code -1 means every layer, which is layer=all"
        configured = replace(configured, notes=(*configured.notes, note))
    return configured


def _stack(config: Config, edits: list[dict[str, Any]]) -> Stack:
    for number, edit in enumerate(edits):
        for key in edit:
            if key not in EDIT_KEYS:
                raise unknown_name(f"key in edit {number}", key, EDIT_KEYS)
    laser = config["laser"]
    return Stack([Edit(**edit) for edit in edits], laser["combine"], laser["svd"])


def _single(config: Config) -> ConfiguredStack:
    laser, model = config["laser"], config["model"]
    if laser["edits"]:
        return ConfiguredStack(_stack(config, laser["edits"]))
    edit = {key: laser[key] for key in EDIT_KEYS if laser[key] is not None}
    frozen = model["stack_top3"]
    if edit == {"kind": "low_rank"} and frozen is not None and frozen["verified"]:
        provenance = f"first edit of stack_top3: {frozen['provenance']}"
        return ConfiguredStack(_stack(config, frozen["edits"][:1]), provenance, verified=True)
    if "layer" not in edit or "matrix" not in edit:
        raise InputError(
            f"laser=single for model {model['name']} needs laser.layer= and laser.matrix= and one of "
            f"{', '.join(f'laser.{key}=' for key in AMOUNT_KEYS)}, for example "
            "laser.layer=-1 laser.matrix=fc_in laser.rho=0.1; laser=none scores the model as it is"
        )
    return ConfiguredStack(_stack(config, [edit]))


def _paper(config: Config) -> ConfiguredStack:
    table, model, data = config["model"]["table3"], config["model"]["name"], config["data"]["name"]
    if data not in table:
        known = f"it has data={', data='.join(table)}" if table else f"{model} is not in the paper"
        raise InputError(
            f"laser=paper: Table 3 has no edit for model {model} on data {data}; {known}. Name the edit yourself with "
            "laser=single, or score the model as it is with laser=none"
        )
    return ConfiguredStack(_stack(config, [table[data]]), "LASER (arXiv 2312.13558), Table 3")


def _stack_top3(config: Config) -> ConfiguredStack:
    folder, frozen = config["laser"]["from"], config["model"]["stack_top3"]
    if folder is not None:
        return _saved(Path(folder) / "stack.yaml", f"laser.from={folder}")
    if frozen is None:
        raise InputError(
            f"model {config['model']['name']} has no stack_top3: no search has been run on it and it is not in the "
            "paper's Table 3. Use laser.from=DIR with a run folder that holds a stack.yaml, or laser=single"
        )
    return ConfiguredStack(_stack(config, frozen["edits"]), frozen["provenance"], frozen["verified"])


def _file(config: Config) -> ConfiguredStack:
    path = config["laser"]["path"]
    if path is None:
        raise InputError("laser=file needs laser.path=stack.yaml, a manifest that an earlier run wrote")
    return _saved(Path(path), f"laser.path={path}")


def _saved(path: Path, given: str) -> ConfiguredStack:
    if not path.is_file():
        raise InputError(
            f"{given}: no file at {path}; every run that applied edits writes a stack.yaml into its folder"
        )
    return ConfiguredStack(Stack.load(path), f"re-applied from {path}")
