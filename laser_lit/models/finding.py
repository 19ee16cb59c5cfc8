"""Where an architecture's matrices lie among named tensors: a model's parameters, or a checkpoint's tensors."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from laser_lit.errors import InputError
from laser_lit.models.architecture import MATRICES, Architecture, Entry, Part, Place
from laser_lit.models.layout import Layout, Shaped
from laser_lit.models.matrix import MatrixHandle, MatrixId

T = TypeVar("T", bound=Shaped)


@dataclass(frozen=True)
class Spot(Generic[T]):
    """One matrix that was found.

    Attributes:
        id: which matrix.
        tensor: the tensor that holds it.
        layout: which part of that tensor it is.
        memory_name: name of its parameter in a model.
        disk_name: name of its tensor in a checkpoint.
        disk_layout: which part of that one it is.
    """

    id: MatrixId
    tensor: T
    layout: Layout
    memory_name: str
    disk_name: str
    disk_layout: Layout


class Finder(Generic[T]):
    """Looks a family's matrices up among named tensors."""

    def __init__(
        self,
        family: Architecture,
        config: object,
        tensors: Mapping[str, T],
        make: Callable[[Spot[T]], MatrixHandle],
        on_disk: bool = False,
    ) -> None:
        """Prepares the search.

        Args:
            family: says under which names the matrices are.
            config: the model's config, an object or a mapping.
            tensors: by name.
            make: makes the handle of a matrix that was found.
            on_disk: whether the tensors are a checkpoint's, whose names may differ from those in memory.
        """
        self.family = family
        self.config = config
        self.tensors = tensors
        self.make = make
        self.on_disk = on_disk

    def find(self) -> tuple[dict[str | None, int], dict[MatrixId, MatrixHandle]]:
        """Returns the number of layers of each part and the handles; both empty where nothing fits.

        Raises:
            InputError: a layer lacks some of its matrices.
        """
        found = [(part.name, *self._part(part)) for part in self.family.parts]
        layers = {name: count for name, count, _ in found if count}
        return layers, {handle.id: handle for _, _, handles in found for handle in handles}

    def _part(self, part: Part) -> tuple[int, list[MatrixHandle]]:
        """Returns the number of layers of a part and its handles; (0, []) when the model lacks the part."""
        entries = [entry for entry in part.entries if entry.applies(self.config)]
        for prefixes in ((self.family.prefix, self.family.disk_prefix), ("", "")):
            found: list[MatrixHandle] = []
            layer = 0
            while handles := self._layer(part, entries, layer, prefixes):
                found += handles
                layer += 1
            if found:
                return layer, found
        return 0, []

    def _layer(self, part: Part, entries: list[Entry], layer: int, prefixes: tuple[str, str]) -> list[MatrixHandle]:
        """Returns the handles of one layer; none past the last layer."""
        found: dict[str, list[MatrixHandle]] = {}
        for entry in entries:
            if not found.get(entry.matrix):
                found[entry.matrix] = [self.make(spot) for spot in self._entry(entry, part, layer, prefixes)]
        missing = [entry for entry in entries if not entry.optional and not found[entry.matrix]]
        handles = [handle for matrix in MATRICES for handle in found.get(matrix, ())]
        if handles and missing:
            names = [self._places(entry, prefixes)[0][1].format(layer=layer, expert="E") for entry in missing]
            raise InputError(
                f"architecture {self.family.name} says that layer {layer} has {', '.join(names)}; the "
                f"{'checkpoint' if self.on_disk else 'model'} has not. "
                "Give an architecture file that fits with model.architecture=path.yaml"
            )
        return handles

    def _entry(self, entry: Entry, part: Part, layer: int, prefixes: tuple[str, str]) -> list[Spot[T]]:
        """Returns one matrix of one layer, a spot for each expert; none when the layer lacks it."""
        names = (prefixes[0] + entry.memory.name, prefixes[1] + entry.disk.name)
        for place, name in self._places(entry, prefixes):
            found = [
                self._spot(MatrixId(layer, entry.matrix, part.name, expert), tensor, entry, place, names)
                for expert, tensor in self._experts(place, name, layer)
            ]
            if found:
                return found
        return []

    def _spot(self, id: MatrixId, tensor: T, entry: Entry, place: Place, names: tuple[str, str]) -> Spot[T]:
        in_memory, on_disk = (name.format(layer=id.layer, expert=id.expert) for name in names)
        if place is entry.memory and self.on_disk:  # as save_pretrained(save_original_format=False) writes it
            on_disk = in_memory
        elif place is entry.disk and not self.on_disk:
            in_memory = on_disk
        disk_place = place if self.on_disk else entry.disk
        return Spot(id, tensor, place.layout(self.config), in_memory, on_disk, disk_place.layout(self.config))

    def _places(self, entry: Entry, prefixes: tuple[str, str]) -> list[tuple[Place, str]]:
        """Returns where to look for a matrix, and under which name, the usual place first."""
        places = [(entry.memory, prefixes[0] + entry.memory.name), (entry.disk, prefixes[1] + entry.disk.name)]
        return places[::-1] if self.on_disk else places

    def _experts(self, place: Place, name: str, layer: int) -> Iterator[tuple[int | None, T]]:
        """Yields (expert, tensor) for each matrix at a place; the expert of a dense layer is None."""
        if "{expert}" in name:
            expert = 0
            while (tensor := self.tensors.get(name.format(layer=layer, expert=expert))) is not None:
                yield expert, tensor
                expert += 1
            return
        tensor = self.tensors.get(name.format(layer=layer))
        if tensor is None:
            return
        stacked = place.layout(self.config).experts(tensor)
        yield from [(None, tensor)] if stacked is None else [(expert, tensor) for expert in range(stacked)]
