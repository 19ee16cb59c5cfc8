"""The folders that pyreft saves: a config that says where each intervention works, and a file of tensors for each.

    config.json       representations: [layer, component, unit, number of units, rank, …], or the same by name;
                      intervention_types: "<class 'pyreft.interventions.LoreftIntervention'>", …
    intkey_KEY.bin    a state dict (laser_lit/reft/pyreft_tensors.py)

Source: pyvene's intervenable_base.py (save, _get_representation_key) and configuration_intervenable_model.py.
"""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from laser_lit.errors import InputError, unknown_name
from laser_lit.files import refuse_unfinished

CLASSES = {
    "LoreftIntervention": "loreft",
    "LoreftIntervention_IdentityInit": "loreft",
    "NoreftIntervention": "noreft",
    "ConsreftIntervention": "consreft",
    "LobireftIntervention": "lobireft",
    "DireftIntervention": "direft",
    "NodireftIntervention": "nodireft",
}
SUFFIXES = (".bin", ".safetensors")
_FIELDS: tuple[str, ...] = ("layer", "component", "unit", "max_number_of_units", "low_rank_dimension")
_FIELDS += ("intervention_type", "intervention", "subspace_partition", "group_key", "intervention_link_key")
_INSIDE = "intervenable_model"
"""Folder in which pyreft's trainer puts the interventions."""


@dataclass(frozen=True)
class Entry:
    """One set of parameters in a folder of pyreft.

    Attributes:
        file: that holds them.
        layer: None where `component` is a module's path.
        component: pyreft's word.
        type: one of FORMS.
        rank: as the config says; None where it does not.
    """

    file: Path
    layer: int | None
    component: str
    type: str
    rank: int | None

    @property
    def place(self) -> str:
        """Where it works, in words."""
        return self.component if self.layer is None else f"layer {self.layer} {self.component}"


def find_folder(path: str | Path) -> Path:
    """Returns the folder that holds the interventions: a path, or the folder of pyreft's trainer in it.

    Args:
        path: that ReftModel.save or ReftTrainer wrote.

    Raises:
        InputError: no such folder, or nothing of pyreft in it.
    """
    folder = Path(path).expanduser()
    if not folder.is_dir():
        raise InputError(f"no folder {folder}: one is wanted that pyreft's ReftModel.save wrote")
    if (folder / _INSIDE / "config.json").is_file():
        folder = folder / _INSIDE
    refuse_unfinished(folder)
    if not (folder / "config.json").is_file() or not any(folder.glob("intkey_*")):
        raise InputError(f"{folder} is no folder of pyreft: config.json and files intkey_….bin are wanted")
    return folder


def read_entries(folder: Path) -> list[Entry]:
    """Returns the sets of parameters, in pyreft's order.

    Args:
        folder: of `find_folder`.

    Raises:
        InputError: a broken config, a missing or superfluous file, or something that ReFT here does not have.
    """
    config = folder / "config.json"
    files = {_plain(file.stem): file for file in sorted(folder.glob("intkey_*")) if file.suffix in SUFFIXES}
    seen: Counter[str] = Counter()
    entries = []
    for number, (given, name) in enumerate(zip(*_lists(config), strict=True)):
        where = f"representation {number} of {config}"
        values = _values(given, where)
        key = _key(values)
        file = files.pop(_plain(f"intkey_{key}#{seen[key]}"), None)
        if file is None:
            raise InputError(f"{where}: there is no file intkey_{key}#{seen[key]}.bin beside it")
        seen[key] += 1
        rank = values.get("low_rank_dimension")
        entries.append(Entry(file, values["layer"], values["component"], _type(name, where), rank))
    for file in files.values():
        raise InputError(f"{file}: the config.json beside it knows of no such intervention")
    return entries


def _lists(file: Path) -> tuple[list[object], list[object]]:
    """Returns the representations and their classes."""
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{file} cannot be read as JSON: {error}") from error
    content = config if isinstance(config, dict) else {}
    places, classes = content.get("representations"), content.get("intervention_types")
    if not isinstance(places, list) or not isinstance(classes, list) or len(places) != len(classes) or not places:
        raise InputError(f"{file}: two lists are wanted, representations and intervention_types, as long as each other")
    return places, classes


def _values(given: object, where: str) -> dict[str, Any]:
    """Returns the fields of a representation by name, having refused what nothing here corresponds to."""
    fields = dict(zip(_FIELDS, given, strict=False)) if isinstance(given, list) else given
    values: dict[str, Any] = {"unit": "pos", "max_number_of_units": 1}
    values |= fields if isinstance(fields, dict) else {}
    component = values.get("component")
    if isinstance(component, str) and "." in component:  # a path, for which the layer counts for nothing
        values["layer"] = None
    elif not isinstance(component, str) or not isinstance(values.get("layer"), int):
        raise InputError(f"{where}: {given} names no layer and component")
    unit, number = values["unit"], values["max_number_of_units"]
    if unit != "pos" or number != 1:
        raise InputError(f"{where}: works on {number} units {unit!r} at once; only single tokens (pos) can be imported")
    for name, words in (("subspace_partition", "several subspaces"), ("intervention_link_key", "parameters in common")):
        if values.get(name) is not None:
            raise InputError(f"{where}: interventions with {words} ({name}) cannot be imported")
    return values


def _key(values: Mapping[str, Any]) -> str:
    """Returns pyvene's name of a representation, without the number that tells equal ones apart."""
    layer = "" if values["layer"] is None else f"layer_{values['layer']}_"
    component = values["component"].replace(".", "_")
    return f"{layer}comp_{component}_unit_{values['unit']}_nunit_{values['max_number_of_units']}"


def _plain(name: str) -> str:
    """Returns a file's name as today's pyvene spells it; older ones have layer.2.repr.block_output.unit.pos.nunit.1."""
    return name.replace(".", "_").replace("_repr_", "_comp_")


def _type(name: object, where: str) -> str:
    short = str(name).removeprefix("<class '").removesuffix("'>").rpartition(".")[2]
    if short not in CLASSES:
        raise unknown_name(f"class of intervention in {where}", short, CLASSES)
    return CLASSES[short]
