"""The stack that `laser=` asks for."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from laser_lit.config import FactsTrainingConfig, plain
from laser_lit.config_data import FactsConfig
from laser_lit.config_laser import LaserConfig
from laser_lit.edits.edit import AMOUNTS, EDIT_KEYS, Edit, edit_of
from laser_lit.edits.manifest import manifest_model
from laser_lit.edits.stack import Stack
from laser_lit.errors import InputError, unknown_name
from laser_lit.jobs.smoothing import DEFAULT, smoothed, smoothing
from laser_lit.models.matrices import MatrixMap
from laser_lit.tasks.language import model_id

COMPUTED = ("svd", "combine")
USED = {
    "none": ((), "scores the model as it is"),
    "single": ((*EDIT_KEYS, "edits", "calibration", *COMPUTED), "takes the edit that you type"),
    "paper": (COMPUTED, "takes the edit of Table 3"),
    "stack_top3": (("from", *COMPUTED), "takes the edits in the model's own config"),
    "svd_smoothing": (
        ("layer", "matrix", "part", "expert", "method", "percent", *COMPUTED),
        "takes the ranks that its method finds",
    ),
    "file": (("path", "calibration"), "takes everything from the file"),
}
"""A choice of `laser=` -> the fields that count under it, and what it does."""


@dataclass(frozen=True)
class ConfiguredStack:
    """A stack and where it comes from.

    Attributes:
        stack: the edits; None for `laser=none`.
        provenance: one sentence for terminal and record; None when the user typed the edits.
        verified: False for a stack that nobody has scored on this model, None where the question does not arise.
        notes: what the reader of the record must know, a sentence each.
        smooths: a matrix in which the rule finds nothing to keep stays as it is; see `laser_lit.jobs.smoothing`.
    """

    stack: Stack | None
    provenance: str | None = None
    verified: bool | None = None
    notes: tuple[str, ...] = ()
    smooths: bool = False

    def on(self, matrices: MatrixMap) -> "ConfiguredStack":
        """Returns the stack for a model, in which what smoothing leaves alone is left out and named.

        Args:
            matrices: the model's.
        """
        if self.stack is None or not self.smooths:
            return self
        stack, notes = smoothed(self.stack, matrices)
        return replace(self, stack=stack, notes=(*self.notes, *notes), smooths=False)


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
        "svd_smoothing": _svd_smoothing,
        "file": _file,
    }
    name = config.laser.name
    if name not in builders:
        raise unknown_name("laser", name, builders)
    content = plain(config)
    _refuse_unused(content["laser"])
    configured = builders[name](content)
    _refuse_idle_calibration(content["laser"], configured.stack)
    if configured.stack is not None and any(_names_minus_one(edit) for edit in configured.stack.edits):
        note = "layer -1 is the last layer here; in the LASER code -1 means every layer, which is layer=all"
        configured = replace(configured, notes=(*configured.notes, note))
    return configured


def _refuse_idle_calibration(laser: Config, stack: Stack | None) -> None:
    if "calibration" in _typed(laser) and (stack is None or not stack.uncalibrated):
        raise InputError(
            "laser.calibration would count for nothing: no edit is whitened, or each brings what it was calibrated on; "
            "leave it out, or say laser.decomposition=whitened"
        )


def _names_minus_one(edit: Edit) -> bool:
    return -1 in edit.layer if isinstance(edit.layer, tuple) else edit.layer in (-1, "-1")


def _typed(laser: Config) -> list[str]:
    """Returns the fields that differ from what they are when nothing is typed."""
    defaults = {**asdict(LaserConfig()), "from": None}
    return [key for key, value in laser.items() if key != "name" and value != defaults[key]]


def _refuse_unused(laser: Config) -> None:
    used, what = USED[laser["name"]]
    if laser["name"] == "stack_top3" and laser["from"] is not None:
        used, what = ("from",), "with laser.from takes everything from the folder's stack.yaml"
    unused = [key for key in _typed(laser) if key not in used]
    if unused:
        given = ", ".join(f"laser.{key}={laser[key]}" for key in unused)
        other = next(choice for choice in ("single", *USED) if unused[0] in USED[choice][0])
        way_out = "leave it out" if other == laser["name"] else f"leave it out, or say laser={other} too"
        raise InputError(f"laser={laser['name']} {what}, so {given} would count for nothing; {way_out}")


def _stack(config: Config, edits: Sequence[Edit]) -> Stack:
    laser = config["laser"]
    return Stack(edits, laser["combine"], laser["svd"])


def _listed(edits: list[Any], where: str) -> list[Edit]:
    return [edit_of(edit, f"edit {number} of {where}, counted from 0") for number, edit in enumerate(edits)]


def _single(config: Config) -> ConfiguredStack:
    laser, model = config["laser"], config["model"]
    if laser["edits"]:
        beside = [f"laser.{key}={laser[key]}" for key in _typed(laser) if key in EDIT_KEYS]
        if beside:
            raise InputError(f"{', '.join(beside)} beside laser.edits, which holds whole edits: leave one of them out")
        return ConfiguredStack(_stack(config, _listed(laser["edits"], "laser.edits")))
    edit = {key: laser[key] for key in EDIT_KEYS if laser[key] is not None}
    frozen = model["stack_top3"]
    if edit == {"kind": "low_rank"} and frozen is not None and frozen["verified"]:
        return _frozen(config, frozen["edits"][:1], f"first edit of stack_top3: {frozen['provenance']}")
    if "layer" not in edit or "matrix" not in edit:
        raise InputError(
            f"laser=single for model {model['name']} needs laser.layer= and laser.matrix= and one of "
            f"{', '.join(f'laser.{key}=' for key in AMOUNTS)}, for example "
            "laser.layer=-1 laser.matrix=fc_in laser.rho=0.1; laser=none scores the model as it is"
        )
    return ConfiguredStack(_stack(config, [Edit(**edit)]))


def _paper(config: Config) -> ConfiguredStack:
    table, model, data = config["model"]["table3"], config["model"]["name"], config["data"]["name"]
    if data not in table:
        known = f"it has data={', data='.join(table)}" if table else f"{model} is not in the paper"
        raise InputError(
            f"laser=paper: Table 3 has no edit for model {model} on data {data}; {known}. Name the edit yourself with "
            "laser=single, or score the model as it is with laser=none"
        )
    return ConfiguredStack(_stack(config, [Edit(**table[data])]), "LASER (arXiv 2312.13558), Table 3")


def _stack_top3(config: Config) -> ConfiguredStack:
    folder, frozen = config["laser"]["from"], config["model"]["stack_top3"]
    if folder is not None:
        return _saved(config, Path(folder) / "stack.yaml", f"laser.from={folder}")
    if frozen is None:
        raise InputError(
            f"model {config['model']['name']} has no stack_top3: no search has been run on it and it is not in the "
            "paper's Table 3. Use laser.from=DIR with a run folder that holds a stack.yaml, or laser=single"
        )
    return _frozen(config, frozen["edits"], frozen["provenance"])


def _frozen(config: Config, edits: list[dict[str, Any]], provenance: str) -> ConfiguredStack:
    """Returns edits of the model's own config; the built-in model's hold under the settings that they were found on."""
    model, world = config["model"], config["data"]["world"]
    frozen = model["stack_top3"]
    verified, notes = frozen["verified"], tuple[str, ...]()
    if model["facts"] is not None and (
        model["path"] is not None
        or model["facts"] != asdict(FactsTrainingConfig())
        or world != asdict(FactsConfig(**frozen["world"]))
    ):
        verified = False
        notes = (f"the edits were found under other settings of model={model['name']} than these",)
    stack = _stack(config, _listed(edits, "model.stack_top3"))
    return ConfiguredStack(stack, provenance, verified, notes)


def _svd_smoothing(config: Config) -> ConfiguredStack:
    laser = config["laser"]
    edit = smoothing(laser)
    said = f"WeightWatcher's SVDSmoothing, method {laser['method'] or DEFAULT}"
    return ConfiguredStack(_stack(config, [edit]), said, smooths=edit.rule is not None)


def _file(config: Config) -> ConfiguredStack:
    path = config["laser"]["path"]
    if path is None:
        raise InputError("laser=file needs laser.path=stack.yaml, a manifest that an earlier run wrote")
    return _saved(config, Path(path), f"laser.path={path}")


def _saved(config: Config, path: Path, given: str) -> ConfiguredStack:
    if not path.is_file():
        raise InputError(
            f"{given}: no file at {path}; every run that applied edits writes a stack.yaml into its folder"
        )
    stack, made_for = Stack.load(path), manifest_model(path)
    notes = tuple[str, ...]()
    if made_for and made_for != model_id(config["model"]):
        notes = (f"{path} was made for model {made_for}, not for {model_id(config['model'])}",)
    return ConfiguredStack(stack, f"re-applied from {path}", notes=notes)
