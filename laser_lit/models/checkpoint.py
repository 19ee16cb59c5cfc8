"""A checkpoint on disk: the same matrices as in the model, read one at a time, without building the model."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import Tensor

from laser_lit.errors import InputError, unknown_name
from laser_lit.models.architecture import Architecture, families, family_of, load_architecture
from laser_lit.models.disk_matrix import DiskHandle
from laser_lit.models.finding import Finder, Spot
from laser_lit.models.hub import checkpoint_folder
from laser_lit.models.matrices import MatrixMap
from laser_lit.models.refusal import EDITABLE, quantized_checkpoint, unknown_architecture
from laser_lit.models.shards import StoredTensor, find_tensors


@dataclass(frozen=True)
class Checkpoint:
    """Weights in safetensors on disk; nothing of them is held in memory, and no file is kept open.

    Attributes:
        where: path or id, as given.
        folder: where the files are.
        config: content of config.json.
        tensors: every stored tensor by name, in the order of the files.
        family: which matrices there are; None for a model_type that no architecture file names.
    """

    where: str
    folder: Path
    config: dict[str, Any]
    tensors: dict[str, StoredTensor]
    family: Architecture | None

    @cached_property
    def matrices(self) -> MatrixMap:
        """The matrix map, with handles that only read: ids, shapes and contents are those of the model in memory.

        Raises:
            InputError: no architecture fits, or weights that cannot be factorized.
        """
        title = (self.config.get("architectures") or [self.where])[0]
        model_type = self.config.get("model_type")
        if self.family is None:
            raise unknown_architecture(title, model_type, self.tensors, list(families()))
        finder = Finder(self.family, self.family.filled(self.config), self.tensors, _handle, on_disk=True)
        layers, handles = finder.find()
        if not layers:
            raise unknown_architecture(title, model_type, self.tensors, list(families()), self.family.name)
        for handle in handles.values():
            if handle.dtype not in EDITABLE:
                raise quantized_checkpoint(self.where, f"{handle.disk_name} is {handle.dtype}")
        return MatrixMap(self.family.name, layers, handles)

    @cached_property
    def other(self) -> dict[str, list[StoredTensor]]:
        """Tensors of two or more dimensions that no entry of the architecture names, by kind (see `kind_of`).

        Embeddings, heads, routers, and what a family's file leaves out; everything for an unknown family.
        """
        named = set() if self.family is None else {handle.disk_name for handle in self.matrices.values()}
        found: dict[str, list[StoredTensor]] = {}
        for name, stored in self.tensors.items():
            if name not in named and len(stored.shape) >= 2:
                found.setdefault(kind_of(name), []).append(stored)
        return found

    def read(self, name: str) -> Tensor:
        """Returns a stored tensor as it is.

        Args:
            name: on disk.

        Raises:
            InputError: no such tensor, or a file that has changed.
        """
        if name not in self.tensors:
            raise unknown_name(f"tensor of {self.where}", name, self.tensors)
        return self.tensors[name].read()


def open_checkpoint(
    path_or_id: str | Path,
    revision: str | None = None,
    architecture: str | Path | None = None,
    also: Sequence[str] = (),
) -> Checkpoint:
    """Returns a checkpoint whose headers have been read and checked, and nothing more.

    Args:
        path_or_id: folder with config.json and safetensors, or an id of the hub (from its cache, or fetched).
        revision: commit, tag or branch on the hub.
        architecture: name of a packaged family or path of a YAML file; None takes that of config.json's model_type.
        also: patterns of further files to fetch from the hub, such as "tokenizer*".

    Raises:
        InputError: no such checkpoint, weights in another format, files that are missing, cut short or broken, or
            quantized weights; says what to do.
    """
    folder = checkpoint_folder(path_or_id, revision, also)
    config = _config(folder / "config.json")
    method = (config.get("quantization_config") or {}).get("quant_method", "unknown method")
    if config.get("quantization_config"):
        raise quantized_checkpoint(str(path_or_id), method)
    family = family_of(config.get("model_type")) if architecture is None else load_architecture(architecture)
    return Checkpoint(str(path_or_id), folder, config, find_tensors(folder), family)


def kind_of(name: str) -> str:
    """Returns what kind of module a tensor belongs to: its name from the layer's number on, without .weight.

    Args:
        name: as in "model.layers.3.mlp.down_proj.weight", which gives "mlp.down_proj"; numbers of experts become *.
    """
    inside = re.sub(r"^.*?\.\d+\.(?=.*[A-Za-z])", "", name.removesuffix(".weight"), count=1)
    return re.sub(r"(?<=\.)\d+(?=\.|$)", "*", inside)


def _config(file: Path) -> dict[str, Any]:
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{file} is not JSON: {error}") from error
    if not isinstance(config, dict):
        raise InputError(f"{file} is not a mapping")
    return config


def _handle(spot: Spot[StoredTensor]) -> DiskHandle:
    return DiskHandle(spot.id, spot.memory_name, spot.tensor, spot.disk_layout)
