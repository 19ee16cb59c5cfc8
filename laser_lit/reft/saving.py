"""Interventions in a folder: reft.json says what and where, reft.safetensors holds every bit of the parameters."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from laser_lit.errors import InputError
from laser_lit.files import new_folder, refuse_unfinished
from laser_lit.reft.basis import OrthonormalBasis
from laser_lit.reft.card import card_of
from laser_lit.reft.intervention import Intervention
from laser_lit.reft.places import Place
from laser_lit.reft.positions import Positions, Slot
from laser_lit.reft.reft import Base, Reft

SCHEMA = 1
CONFIG, TENSORS, CARD = "reft.json", "reft.safetensors", "README.md"
_PACKAGES = ("laser_lit", "torch", "transformers")


def save_reft(reft: Reft, path: str | Path, extra: Mapping[str, Any] | None = None) -> None:
    """Writes interventions to a new folder, which is there whole or not at all.

    Args:
        reft: attached or not.
        path: a folder that does not exist or is empty.
        extra: what else to keep, in JSON's types; `read_extra` returns it.

    Raises:
        InputError: the folder cannot be made, a parameter is not finite, or `extra` is not JSON.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in reft.state_dict().items()}
    for name, tensor in tensors.items():
        _check_finite(name, tensor, "nothing was written")
    try:
        text = json.dumps(_content(reft, extra or {}), indent=2, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError(f"extra cannot be kept as JSON: {error}") from error
    with new_folder(Path(path)) as folder:
        save_file(tensors, folder / TENSORS)
        (folder / CONFIG).write_text(text + "\n", encoding="utf-8")
        (folder / CARD).write_text(card_of(reft), encoding="utf-8")


def load_reft(path: str | Path) -> Reft:
    """Returns interventions that `save_reft` wrote, in eval mode and not attached, bit for bit as they were.

    Args:
        path: the folder. No model is needed; `attach` refuses one of another architecture.

    Raises:
        InputError: no such folder, one of another kind, or a broken one.
    """
    file = _folder(path) / CONFIG
    content = _parsed(file)
    try:
        reft = _built(content)
    except (KeyError, TypeError, AttributeError, ValueError, IndexError) as error:
        raise InputError(f"{file} does not describe interventions as save_reft does: {_words(error)}") from error
    _fill(reft, file.parent / TENSORS)
    return reft.eval()


def read_extra(path: str | Path) -> dict[str, Any]:
    """Returns what `save_reft` was given as `extra`.

    Args:
        path: the folder.

    Raises:
        InputError: as `load_reft`.
    """
    file = _folder(path) / CONFIG
    extra = _parsed(file).get("extra", {})
    if not isinstance(extra, dict):
        raise InputError(f"{file}: extra must be a mapping, not {extra!r}")
    return extra


def _content(reft: Reft, extra: Mapping[str, Any]) -> dict[str, Any]:
    sites = zip(reft.origins, reft.places, reft.slots, strict=True)
    return {
        "schema": SCHEMA,
        "base": asdict(reft.base),
        "interventions": [said.describe() for said in reft.interventions],
        "edits": [{"intervention": n, "place": asdict(place), "slot": asdict(slot)} for n, place, slot in sites],
        "parameters": reft.parameter_count,
        "versions": {name: _version(name) for name in _PACKAGES},
        "extra": dict(extra),
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "source"


def _folder(path: str | Path) -> Path:
    """Returns the folder, having checked that it is one of ours."""
    folder = Path(path).expanduser()
    if not folder.exists():
        raise InputError(f"no folder {folder}: one is wanted that save_reft wrote, with {CONFIG} and {TENSORS}")
    if not folder.is_dir():
        raise InputError(f"{folder} is a file; give the folder that save_reft wrote")
    refuse_unfinished(folder)
    if not (folder / CONFIG).is_file():
        raise InputError(f"{folder} {_kind(folder)}; a folder is wanted that train.py task=reft or save_reft wrote")
    return folder


def _kind(folder: Path) -> str:
    """Returns what a folder without reft.json is, as the predicate of a sentence."""
    if (folder / "adapter_config.json").is_file():
        return "is an adapter of PEFT (LoRA or the like), which PEFT itself loads"
    if any(folder.glob("intkey_*")):
        return "is a folder of pyreft: import_pyreft, or python -m laser_lit.reft import, makes one of ours of it"
    if (folder / "config.json").is_file():
        return "is a model's folder, without interventions"
    return f"has no {CONFIG}"


def _parsed(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file} cannot be read: {error}") from error
    except json.JSONDecodeError as error:
        raise InputError(f"{file} is broken: not JSON ({error})") from error
    if not isinstance(content, dict):
        raise InputError(f"{file} is broken: a mapping is wanted, not {type(content).__name__}")
    if content.get("schema") != SCHEMA:
        raise InputError(f"{file}: schema {content.get('schema')!r}, and this laser_lit reads {SCHEMA}")
    return content


def _built(content: Mapping[str, Any]) -> Reft:
    """Returns interventions as they are described, with parameters of their own."""
    said = [Intervention.of(values, f"interventions[{n}]") for n, values in enumerate(content["interventions"])]
    sites = []
    for entry in content["edits"]:
        number, place, slot = entry["intervention"], entry["place"], entry["slot"]
        rows, size = place["rows"], place["size"]
        if place["side"] not in ("input", "output") or not isinstance(size, int) or size < 1:
            raise InputError(f"{place} is no place")
        found = Place(**{**place, "rows": None if rows is None else tuple(rows)})
        spans = {end: None if span is None else tuple(span) for end, span in slot.items()}
        tokens = Slot(**spans)
        if tokens not in Positions.parse(said[number].positions).slots(said[number].share):
            raise InputError(f"slot {slot} is none of positions {said[number].positions}, share {said[number].share}")
        sites.append((said[number], found, tokens))
    return Reft(said, Base(**content["base"]), sites, seed=0)


def _fill(reft: Reft, file: Path) -> None:
    """Puts the tensors of a file in the place of the parameters, having checked that they are what is wanted."""
    tensors = _tensors(file)
    wanted = reft.state_dict()
    for name in wanted.keys() - tensors.keys():
        raise InputError(f"{file} lacks the tensor {name}; it does not belong to the {CONFIG} beside it")
    for name in tensors.keys() - wanted.keys():
        raise InputError(f"{file} has a tensor {name}, of which the {CONFIG} beside it knows nothing")
    bases = {name: module for name, module in reft.named_modules() if isinstance(module, OrthonormalBasis)}
    for name, basis in bases.items():  # a basis may be completed further than this one was
        base, signs = tensors[f"{name}.base"], tensors[f"{name}.signs"]
        size, rank = basis.weight.shape
        if not (base.shape == (size, len(signs)) and rank <= len(signs) <= size and bool((signs.abs() == 1).all())):
            raise InputError(f"{file}: {name}.base {tuple(base.shape)} and its signs make no basis ({size}, {rank})")
        basis.base, basis.signs = base, signs
    for name, tensor in reft.state_dict().items():
        if tensor.shape != tensors[name].shape:
            shapes = f"{tuple(tensors[name].shape)}, and {CONFIG} wants {tuple(tensor.shape)}"
            raise InputError(f"{file}: the tensor {name} is of shape {shapes}")
        _check_finite(name, tensors[name], f"{file} is broken")
    reft.load_state_dict(tensors, assign=True)


def _tensors(file: Path) -> dict[str, Tensor]:
    try:
        return {name: tensor.clone() for name, tensor in load_file(file).items()}
    except (OSError, SafetensorError) as error:
        raise InputError(f"{file} cannot be read: it is missing or broken ({_words(error)})") from error


def _check_finite(name: str, tensor: Tensor, what: str) -> None:
    if not tensor.is_floating_point() or not bool(tensor.isfinite().all()):
        raise InputError(f"{name} has entries that are not finite numbers (did the training diverge?): {what}")


def _words(error: Exception) -> str:
    return f"it lacks {error}" if type(error) is KeyError else str(error)
