"""The matrix map: every weight matrix of a transformer by layer and name, read and written as (out, in)."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from torch import nn

from laser_lit.errors import UnknownNameError
from laser_lit.linalg.lowrank import LowRankLinear
from laser_lit.models.architecture import (
    GROUPS,
    MATRICES,
    Architecture,
    families,
    family_of,
    field,
    load_architecture,
)
from laser_lit.models.factored_matrix import FactoredHandle, refuse_factored
from laser_lit.models.finding import Finder, Spot
from laser_lit.models.matrix import MatrixHandle, MatrixId
from laser_lit.models.refusal import refuse_offloaded, refuse_quantized, unknown_architecture
from laser_lit.models.selection import select

__all__ = ["GROUPS", "MATRICES", "MatrixHandle", "MatrixId", "MatrixMap", "find_matrices"]

Parameters = dict[str, nn.Parameter]
Stored = nn.Parameter | LowRankLinear


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
            InputError: something the model does not have, or has as factors only; says what it has.
        """
        found = select(self.architecture, self.layers, self._all, layer, matrix, part, expert)
        refuse_factored(self._all[id] for id in found)
        return list(dict.fromkeys(self.canonical(id) for id in found))


def find_matrices(model: nn.Module, architecture: str | Path | None = None, *, editable: bool = True) -> MatrixMap:
    """Returns the matrix map of a model.

    Args:
        model: a transformers model, or any module whose parameters an architecture file describes.
        architecture: name of a packaged family or path of a YAML file; None takes the family of config.model_type.
        editable: False also takes weights that cannot be read as matrices (quantized, say); the map then says where
            they are, and no more.

    Raises:
        InputError: an unknown architecture, parameters that do not fit it, quantized, sharded or offloaded weights.
    """
    model = getattr(model, "_orig_mod", model)  # what torch.compile wrapped
    if editable:
        refuse_quantized(model)
    config = getattr(model, "config", None)
    model_type = field(config, "model_type")
    parameters: Parameters = dict(model.named_parameters(remove_duplicate=False))
    factors = {f"{name}.weight": at for name, at in model.named_modules() if isinstance(at, LowRankLinear)}
    if architecture is not None:
        family: Architecture | None = load_architecture(architecture)
    else:
        family = family_of(model_type)
    if family is None:
        raise unknown_architecture(type(model).__name__, model_type, parameters, list(families()))
    layers, handles = Finder[Stored](family, config, {**parameters, **factors}, _handle).find()
    if not layers:
        raise unknown_architecture(type(model).__name__, model_type, parameters, list(families()), family.name)
    if not editable:
        return MatrixMap(family.name, layers, handles)
    refuse_offloaded(handles)
    return _tied_once(family.name, layers, handles)


def _tied_once(name: str, layers: dict[str | None, int], handles: dict[MatrixId, MatrixHandle]) -> MatrixMap:
    """Returns the map in which the first of several ids on the same storage stands for all."""
    first: dict[tuple[object, ...], MatrixId] = {}
    named = {id: first.setdefault(handle.region_key(), id) for id, handle in handles.items()}
    return MatrixMap(name, layers, handles, {id: at for id, at in named.items() if id != at})


def _handle(spot: Spot[Stored]) -> MatrixHandle:
    if isinstance(spot.tensor, LowRankLinear):
        return FactoredHandle(spot.id, spot.memory_name, spot.tensor, spot.disk_name)
    return MatrixHandle(spot.id, spot.memory_name, spot.tensor, spot.layout, spot.disk_name, spot.disk_layout)
