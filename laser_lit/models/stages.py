"""The blocks of a model in the order in which they run, from where the matrix map says its matrices are."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from torch import nn

from laser_lit.models.matrices import MatrixId, MatrixMap


@dataclass(frozen=True, eq=False)
class Stages:
    """The blocks of a model; a stage is a block's place in the order.

    Attributes:
        modules: the block of each stage.
        chains: for each stage, which chain of blocks it is in: an encoder's blocks are one, a decoder's another.
        of: the stage of each matrix, of tied ones the earliest; stage 0 for one outside of every block.
    """

    modules: tuple[nn.Module, ...]
    chains: tuple[int, ...]
    of: dict[MatrixId, int]

    def sources(self, stage: int) -> list[int]:
        """Returns the stages whose outputs a pass needs that begins at a stage: the last of each chain before it."""
        return sorted({self.chains[before]: before for before in range(stage)}.values())


def find_stages(model: nn.Module, matrices: MatrixMap) -> Stages:
    """Returns the stages of a model; none where its blocks cannot be told from its matrices.

    Args:
        model: the model that the map was made of.
        matrices: its map; the parts of the map stand in the order in which they run.
    """
    if hasattr(model, "_orig_mod"):  # compiled: what stands in for a block would be compiled in
        return Stages((), (), dict.fromkeys(matrices, 0))
    modules: dict[int, nn.Module] = {}  # by id: one block may stand at several places
    chains: list[int] = []
    place: dict[tuple[str, int], int] = {}
    paths = _chain_paths(matrices)
    for number, path in enumerate(dict.fromkeys(paths.values())):
        count = max(count for part, count in matrices.layers.items() if paths.get(part) == path)
        for layer in range(count):
            try:
                module = model.get_submodule(f"{path}.{layer}".lstrip("."))
            except AttributeError:
                return Stages((), (), dict.fromkeys(matrices, 0))
            if id(module) not in modules:
                modules[id(module)] = module
                chains.append(number)
            place[path, layer] = list(modules).index(id(module))
    stages = {id: min(_stages_of(id, matrices, paths, place)) for id in matrices}
    return Stages(tuple(modules.values()), tuple(chains), stages)


def _stages_of(
    id: MatrixId, matrices: MatrixMap, paths: dict[str | None, str], place: dict[tuple[str, int], int]
) -> Iterator[int]:
    for alias in (id, *matrices.aliases_of(id)):
        path = paths.get(alias.part)
        yield 0 if path is None else place.get((path, alias.layer), 0)


def _chain_paths(matrices: MatrixMap) -> dict[str | None, str]:
    """Returns the path of each part's list of blocks ("transformer.h"), in the order of the parts."""
    names: dict[str | None, list[tuple[int, str]]] = {}
    for id in matrices:
        names.setdefault(id.part, []).append((id.layer, matrices[id].name))
    paths = {part: _list_path(names.get(part, ())) for part in matrices.layers}
    return {part: path for part, path in paths.items() if path is not None}


def _list_path(names: Iterable[tuple[int, str]]) -> str | None:
    """Returns what stands before the layer's index in each of a part's names; None where that differs."""
    split = [(str(layer), name.split(".")) for layer, name in names]
    if not split:
        return None
    for place in range(min(len(words) for _, words in split)):
        same = len({tuple(words[:place]) for _, words in split}) == 1
        if same and all(words[place] == layer for layer, words in split):
            return ".".join(split[0][1][:place])
    return None
