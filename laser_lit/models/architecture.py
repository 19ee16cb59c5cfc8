"""Architecture files: where each family of models keeps its weight matrices, as data."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from laser_lit.errors import InputError, unknown_name
from laser_lit.models.layout import Layout

FOLDER = Path(__file__).parent / "architectures"
MATRICES = ("q_proj", "k_proj", "v_proj", "out_proj", "fc_in", "fc_up", "fc_out")
GROUPS = {"attn": MATRICES[:4], "mlp": MATRICES[4:], "all": MATRICES}
PARTS = ("encoder", "decoder", "cross")
STORED = (("out", "in"), ("in", "out"), ("expert", "out", "in"), ("expert", "in", "out"))

_FILE_KEYS = {"model_types", "like", "defaults", "prefix", "disk_prefix", "renamed"}
_FILE_KEYS |= {"layers", "disk_layers", "tensors", "parts"}
_PART_KEYS = {"layers", "disk_layers", "tensors"}
_TENSOR_KEYS = {"name", "holds", "stored", "interleaved_by", "disk", "when", "optional"}

Number = int | str
"""A whole number, or the name of the config field that holds it."""


@dataclass(frozen=True)
class Place:
    """A stored tensor by name, and which of its rows are the matrix.

    Attributes:
        name: without the model's prefix, with {layer} and, where each expert has its own tensor, {expert}.
        axes, shares, position, groups: as in `Layout`, with config fields not yet looked up.
    """

    name: str
    axes: tuple[str, ...] = ("out", "in")
    shares: tuple[Number, ...] = (1,)
    position: int = 0
    groups: Number = 1

    def layout(self, config: object) -> Layout:
        """Returns the layout with the config's numbers filled in.

        Args:
            config: an object with the fields as attributes, or a mapping (a config.json).
        """
        shares = tuple(_number(config, share) for share in self.shares)
        return Layout(self.axes, shares, self.position, _number(config, self.groups))


@dataclass(frozen=True)
class Entry:
    """One matrix of every layer: its place in memory and its place on disk.

    Attributes:
        matrix: one of MATRICES.
        memory: place among the model's parameters.
        disk: place in the checkpoint that save_pretrained writes.
        when: config fields and the values they must have for the entry to count.
        optional: whether models of the family may lack it.
    """

    matrix: str
    memory: Place
    disk: Place
    when: tuple[tuple[str, Any], ...] = ()
    optional: bool = False

    def applies(self, config: object) -> bool:
        """Whether the config has the values that `when` asks for; a missing field counts as false."""
        return all((field(config, name) or False) == value for name, value in self.when)


@dataclass(frozen=True)
class Part:
    """A stack of layers: the whole model, or its encoder, its decoder or the decoder's cross attention."""

    name: str | None
    layers: str
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class Architecture:
    """A family of models, as its YAML file says.

    Attributes:
        name: the file's name.
        model_types: values of config.model_type that the file is for.
        prefix, disk_prefix: what stands before the layers when the model has a head.
        parts: one unnamed part, or encoder, decoder and cross.
        defaults: for config fields that a config.json may leave out, what transformers takes: the first that is there
            of other fields, by name, and values.
        renamed: parts of names on disk and what they are in memory, for tensors that are not in the map.
    """

    name: str
    model_types: tuple[str, ...]
    prefix: str
    disk_prefix: str
    parts: tuple[Part, ...]
    defaults: tuple[tuple[str, tuple[Any, ...]], ...] = ()
    renamed: tuple[tuple[str, str], ...] = ()

    def memory_name(self, disk_name: str) -> str:
        """Returns the name in memory of a tensor that is not in the map."""
        for on_disk, in_memory in self.renamed:
            disk_name = disk_name.replace(on_disk, in_memory)
        return disk_name

    def filled(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Returns a config.json's content with the fields that it leaves out or sets to null filled in.

        Args:
            config: the file's content.
        """
        filled = dict(config)
        for name, choices in self.defaults:
            values = [filled.get(name), *(filled.get(at) if isinstance(at, str) else at for at in choices)]
            filled[name] = next((value for value in values if value is not None), None)
        return filled

    def entries(self, matrix: str) -> list[Entry]:
        """Returns the entries of one matrix over all parts."""
        return [entry for part in self.parts for entry in part.entries if entry.matrix == matrix]


def field(config: object, name: str) -> Any:
    """Returns a field of a config object or of a config.json's mapping; None when it has no such field."""
    return config.get(name) if isinstance(config, Mapping) else getattr(config, name, None)


def families() -> dict[str, Architecture]:
    """Returns the families of the package by file name."""
    return {path.stem: _packaged(path.stem) for path in sorted(FOLDER.glob("*.yaml"))}


def family_of(model_type: str | None) -> Architecture | None:
    """Returns the packaged family of a config.model_type; None when there is none."""
    return next((found for found in families().values() if model_type in found.model_types), None)


def load_architecture(name_or_path: str | Path) -> Architecture:
    """Returns the architecture of a packaged family's name or of a YAML file anywhere.

    Args:
        name_or_path: "llama", or a path that ends in .yaml or .yml.

    Raises:
        InputError: no such family or file, or a file that is not an architecture.
    """
    path = Path(name_or_path)
    if path.suffix not in (".yaml", ".yml"):
        names = [file.stem for file in sorted(FOLDER.glob("*.yaml"))]
        if str(name_or_path) not in names:
            raise unknown_name("architecture", name_or_path, names, "or give the path of a .yaml file")
        return _packaged(str(name_or_path))
    if not path.is_file():
        raise InputError(f"no architecture file at {path}")
    return _read(path)


@cache
def _packaged(name: str) -> Architecture:
    return _read(FOLDER / f"{name}.yaml")


def _read(path: Path) -> Architecture:
    try:
        return _Reader(path).architecture()
    except yaml.YAMLError as error:
        raise InputError(f"{path} is not YAML: {error}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text: {error}") from error


class _Reader:
    """Reads one architecture file; every complaint names the file and the place in it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def architecture(self) -> Architecture:
        """Returns what the file says."""
        content = self.content(self.path)
        if "like" in content:
            shape = self.content(FOLDER / f"{content.pop('like')}.yaml")
            content = {**shape, "model_types": [], **content}
        if ("parts" in content) == ("tensors" in content):
            raise self.error("needs either `tensors` (with `layers`) or `parts`")
        prefix = content.get("prefix", "")
        return Architecture(
            name=self.path.stem,
            model_types=tuple(content.get("model_types", ())),
            prefix=prefix,
            disk_prefix=content.get("disk_prefix", prefix),
            parts=tuple(self.parts(content)),
            defaults=tuple(self.defaults(content.get("defaults", {}))),
            renamed=tuple(self.mapping(content.get("renamed", {}), None, "`renamed`").items()),
        )

    def defaults(self, content: object) -> list[tuple[str, tuple[Any, ...]]]:
        """Returns what stands in for config fields that are left out; each choice is a field's name or a value."""
        listed = self.mapping(content, None, "`defaults`")
        return [(name, tuple(at) if isinstance(at, list) else (at,)) for name, at in listed.items()]

    def content(self, path: Path) -> dict[str, Any]:
        """Returns the file as a mapping of known keys."""
        if not path.is_file():
            raise self.error(f"`like` names {path.stem}, which is not among the package's families")
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        return self.mapping(content, _FILE_KEYS, "the file")

    def parts(self, content: dict[str, Any]) -> list[Part]:
        """Returns the stacks of layers."""
        if "tensors" in content:
            return [self.part(None, {key: content[key] for key in _PART_KEYS if key in content})]
        return [self.part(name, part) for name, part in self.mapping(content["parts"], set(PARTS), "parts").items()]

    def part(self, name: str | None, content: object) -> Part:
        """Returns one stack of layers."""
        where = f"part {name}" if name else "the file"
        part = self.mapping(content, _PART_KEYS, where)
        layers = part.get("layers")
        if not isinstance(layers, str) or layers.count("{layer}") != 1:
            raise self.error(
                f"`layers` of {where} must be a name with one {{layer}}, as in h.{{layer}}; got {layers!r}"
            )
        tensors = part.get("tensors")
        if not isinstance(tensors, list) or not tensors:
            raise self.error(f"`tensors` of {where} must be a list of tensors")
        disk_layers = part.get("disk_layers", layers)
        entries = tuple(entry for tensor in tensors for entry in self.entries(tensor, layers, disk_layers))
        return Part(name, layers, entries)

    def entries(self, tensor: object, layers: str, disk_layers: str) -> list[Entry]:
        """Returns an entry for each matrix that one stored tensor holds."""
        content = self.mapping(tensor, _TENSOR_KEYS, "a tensor")
        name = content.get("name")
        if not isinstance(name, str):
            raise self.error(f"each tensor needs a `name`; got {tensor!r}")
        holds = self.holds(content.get("holds"), name)
        axes = tuple(content.get("stored", ("out", "in")))
        if axes not in STORED:
            raise self.error(f"`stored` of {name} is {list(axes)}; allowed: {', '.join(map(str, map(list, STORED)))}")
        memory_axes = tuple(axis for axis in axes if axis != "expert" or "{expert}" not in name)
        shares = tuple(holds.values())
        groups = content.get("interleaved_by", 1)
        disk = content.get("disk", name)
        found = []
        for position, matrix in enumerate(holds):
            memory = Place(f"{layers}.{name}", memory_axes, shares, position, groups)
            disk_place = self.disk(disk, f"{disk_layers}.", matrix, memory)
            when = tuple(self.mapping(content.get("when", {}), None, f"`when` of {name}").items())
            found.append(Entry(matrix, memory, disk_place, when, bool(content.get("optional", False))))
        return found

    def disk(self, disk: object, layers: str, matrix: str, memory: Place) -> Place:
        """Returns the place on disk: one name for the same layout, or a name for each matrix on its own."""
        if isinstance(disk, str):
            axes = tuple(axis for axis in memory.axes if axis != "expert" or "{expert}" not in disk)
            return Place(layers + disk, axes, memory.shares, memory.position, memory.groups)
        names = self.mapping(disk, set(MATRICES), "`disk`")
        if matrix not in names:
            raise self.error(f"`disk` gives no name for {matrix}")
        return Place(layers + names[matrix])

    def holds(self, holds: object, name: str) -> dict[str, Number]:
        """Returns the matrices in a tensor with their shares of its rows."""
        found = self.mapping({holds: 1} if isinstance(holds, str) else holds, set(MATRICES), f"`holds` of {name}")
        if not found or not all(isinstance(share, int | str) for share in found.values()):
            raise self.error(f"`holds` of {name} needs a whole number or a config field for each matrix; got {holds!r}")
        return found

    def mapping(self, content: object, allowed: set[str] | None, where: str) -> dict[str, Any]:
        """Returns the content, having checked that it is a mapping of allowed keys."""
        if not isinstance(content, dict):
            raise self.error(f"{where} must be a mapping; got {content!r}")
        for key in content:
            if allowed is not None and key not in allowed:
                raise unknown_name(f"key in {where} of {self.path}", key, sorted(allowed))
        return dict(content)

    def error(self, message: str) -> InputError:
        """Returns the error, with the file's name."""
        return InputError(f"architecture file {self.path}: {message}")


def _number(config: object, number: Number) -> int:
    """Returns a whole number, looked up in the config when it is a field's name."""
    value = number if isinstance(number, int) else field(config, number)
    if not isinstance(value, int) or value < 1:
        raise InputError(f"the architecture needs config.{number} to be a positive whole number; it is {value!r}")
    return value
