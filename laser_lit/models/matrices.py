"""The matrix map: every weight matrix of a transformer by layer and name, read and written as (out, in)."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from torch import nn

from laser_lit.errors import InputError, UnknownNameError
from laser_lit.models.architecture import (
    GROUPS,
    MATRICES,
    Architecture,
    Entry,
    Part,
    Place,
    families,
    family_of,
    field,
    load_architecture,
)
from laser_lit.models.matrix import MatrixHandle, MatrixId
from laser_lit.models.refusal import refuse_offloaded, refuse_quantized, unknown_architecture
from laser_lit.models.selection import select

__all__ = ["GROUPS", "MATRICES", "MatrixHandle", "MatrixId", "MatrixMap", "find_matrices"]

Parameters = dict[str, nn.Parameter]


class MatrixMap(Mapping[MatrixId, MatrixHandle]):
    """The matrices of a model; tied ones once.

    Attributes:
        architecture: name of the family's file.
        layers: number of layers of each part; the part of a model without parts is None.
    """

    def __init__(
        self,
        architecture: str,
        layers: dict[str | None, int],
        handles: Mapping[MatrixId, MatrixHandle],
        aliases: Mapping[MatrixId, MatrixId] | None = None,
    ) -> None:
        """Keeps the handles in the order given.

        Args:
            architecture: name of the family's file.
            layers: number of layers of each part.
            handles: the matrices, tied ones under each of their ids.
            aliases: for each id whose storage an earlier id has, that earlier id.
        """
        self.architecture = architecture
        self.layers = layers
        self._all = dict(handles)
        self._aliases = dict(aliases or {})

    def __getitem__(self, id: MatrixId) -> MatrixHandle:
        try:
            return self._all[self.canonical(id)]
        except KeyError:
            raise UnknownNameError(f"{self.architecture} has no {id}") from None

    def __iter__(self) -> Iterator[MatrixId]:
        return (id for id in self._all if id not in self._aliases)

    def __len__(self) -> int:
        return len(self._all) - len(self._aliases)

    def __contains__(self, id: object) -> bool:
        return id in self._all

    def canonical(self, id: MatrixId) -> MatrixId:
        """Returns the id under which the map names a matrix: another one for tied weights, else the same."""
        return self._aliases.get(id, id)

    def aliases_of(self, id: MatrixId) -> tuple[MatrixId, ...]:
        """Returns the other ids that share the storage of a matrix and change with it."""
        first = self.canonical(id)
        return tuple(alias for alias, named in self._aliases.items() if named == first)

    def select(
        self,
        layer: int | str | Sequence[int | str],
        matrix: str | Sequence[str],
        part: str | None = None,
        expert: int | None = None,
    ) -> list[MatrixId]:
        """Returns the ids that a user's words name, layer by layer, tied ones once.

        Args:
            layer: index from 0, negative from the end, "all", or several.
            matrix: q_proj … fc_out, a group (attn, mlp, all), the paper's W_q W_k W_v W_o U_in U_out,
                a parameter's name, or several.
            part: encoder, decoder, cross, or all (as None) of an encoder-decoder model.
            expert: index of one expert; None means every expert.

        Raises:
            InputError: something the model does not have; says what it has.
        """
        found = select(self.architecture, self.layers, self._all, layer, matrix, part, expert)
        return list(dict.fromkeys(self.canonical(id) for id in found))


def find_matrices(model: nn.Module, architecture: str | Path | None = None) -> MatrixMap:
    """Returns the matrix map of a model.

    Args:
        model: a transformers model, or any module whose parameters an architecture file describes.
        architecture: name of a packaged family or path of a YAML file; None takes the family of config.model_type.

    Raises:
        InputError: an unknown architecture, parameters that do not fit it, quantized, sharded or offloaded weights.
    """
    model = getattr(model, "_orig_mod", model)  # what torch.compile wrapped
    refuse_quantized(model)
    config = getattr(model, "config", None)
    parameters: Parameters = dict(model.named_parameters(remove_duplicate=False))
    if architecture is not None:
        family: Architecture | None = load_architecture(architecture)
    else:
        family = family_of(field(config, "model_type"))
    if family is None:
        raise unknown_architecture(model, parameters, list(families()))
    search = _Search(family, config, parameters)
    found = [search.part(part) for part in family.parts]
    layers = {part.name: count for part, (count, _) in zip(family.parts, found, strict=True) if count}
    if not layers:
        raise unknown_architecture(model, parameters, list(families()), tried=family.name)
    handles = {handle.id: handle for _, part_handles in found for handle in part_handles}
    refuse_offloaded(handles)
    return _tied_once(family.name, layers, handles)


def _tied_once(name: str, layers: dict[str | None, int], handles: dict[MatrixId, MatrixHandle]) -> MatrixMap:
    """Returns the map in which the first of several ids on the same storage stands for all."""
    first: dict[tuple[object, ...], MatrixId] = {}
    named = {id: first.setdefault(handle.region_key(), id) for id, handle in handles.items()}
    return MatrixMap(name, layers, handles, {id: at for id, at in named.items() if id != at})


class _Search:
    """Looks a family's matrices up among a model's parameters."""

    def __init__(self, family: Architecture, config: object, parameters: Parameters) -> None:
        self.family = family
        self.config = config
        self.parameters = parameters

    def part(self, part: Part) -> tuple[int, list[MatrixHandle]]:
        """Returns the number of layers of a part and its handles; (0, []) when the model lacks the part."""
        entries = [entry for entry in part.entries if entry.applies(self.config)]
        for prefix, disk_prefix in ((self.family.prefix, self.family.disk_prefix), ("", "")):
            found: list[MatrixHandle] = []
            layer = 0
            while handles := self.layer(part, entries, layer, prefix, disk_prefix):
                found += handles
                layer += 1
            if found:
                return layer, found
        return 0, []

    def layer(self, part: Part, entries: list[Entry], layer: int, prefix: str, disk_prefix: str) -> list[MatrixHandle]:
        """Returns the handles of one layer; none past the last layer."""
        found: dict[str, list[MatrixHandle]] = {}
        for entry in entries:
            if not found.get(entry.matrix):
                found[entry.matrix] = self.entry(entry, part, layer, prefix, disk_prefix)
        missing = {entry.matrix for entry in entries if not entry.optional and not found[entry.matrix]}
        handles = [handle for matrix in MATRICES for handle in found.get(matrix, ())]
        if handles and missing:
            names = [prefix + e.memory.name.format(layer=layer, expert="E") for e in entries if e.matrix in missing]
            raise InputError(
                f"architecture {self.family.name} says that layer {layer} has {', '.join(names)}; the model has not. "
                "Give an architecture file that fits with model.architecture=path.yaml"
            )
        return handles

    def entry(self, entry: Entry, part: Part, layer: int, prefix: str, disk_prefix: str) -> list[MatrixHandle]:
        """Returns one matrix of one layer, a handle for each expert; none when the layer lacks it."""
        disk_name = disk_prefix + entry.disk.name
        for place, at in ((entry.memory, prefix + entry.memory.name), (entry.disk, disk_name)):
            found = [
                MatrixHandle(
                    MatrixId(layer, entry.matrix, part.name, expert),
                    at.format(layer=layer, expert=expert),
                    parameter,
                    place.layout(self.config),
                    disk_name.format(layer=layer, expert=expert),
                    entry.disk.layout(self.config),
                )
                for expert, parameter in self.experts(place, at, layer)
            ]
            if found:
                return found
        return []

    def experts(self, place: Place, name: str, layer: int) -> list[tuple[int | None, nn.Parameter]]:
        """Returns (expert, parameter) for each matrix at a place; the expert of a dense layer is None."""
        if "{expert}" in name:
            found: list[tuple[int | None, nn.Parameter]] = []
            while (parameter := self.parameters.get(name.format(layer=layer, expert=len(found)))) is not None:
                found.append((len(found), parameter))
            return found
        parameter = self.parameters.get(name.format(layer=layer))
        if parameter is None:
            return []
        stacked = place.layout(self.config).experts(parameter)
        return [(None, parameter)] if stacked is None else [(expert, parameter) for expert in range(stacked)]
