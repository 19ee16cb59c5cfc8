"""The attention and the MLP of a block, each run again only where an edit reaches it."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any

from torch import Tensor, nn
from torch.utils import _pytree as pytree

from laser_lit.models.matrices import GROUPS, MatrixId, MatrixMap
from laser_lit.models.stages import Stages

Place = tuple[int, int]
"""Which of a block's sections, and how often it ran before in a pass."""
_PLAIN = (type(None), bool, int, float, str)


@dataclass(frozen=True, eq=False)
class Section:
    """A module inside a block that has all of its attention's matrices (or all of its MLP's) and none of the others."""

    module: nn.Module
    ids: frozenset[MatrixId]


class Sections:
    """The sections of every block, and the modules that multiply by each matrix."""

    def __init__(self, model: nn.Module, matrices: MatrixMap, stages: Stages) -> None:
        """Finds them.

        Args:
            model: the model.
            matrices: its map.
            stages: its blocks.
        """
        self._modules = dict(model.named_modules())
        self._parents = {id: module_name(matrices[id].name) for id in matrices}
        paths = {id(module): path for path, module in self._modules.items()}
        ids: list[list[MatrixId]] = [[] for _ in stages.modules]
        for matrix, stage in stages.of.items():
            if ids:
                ids[stage].append(matrix)
        self.of = [
            self._found(own, paths[id(block)]) if id(block) in paths else []
            for own, block in zip(ids, stages.modules, strict=True)
        ]

    def consumers(self, ids: Iterable[MatrixId]) -> list[nn.Module]:
        """Returns the modules that have the parameters of some matrices."""
        return [self._modules[name] for name in sorted({self._parents[id] for id in ids})]

    def _found(self, ids: list[MatrixId], block: str) -> list[Section]:
        """Returns the sections of one block."""
        groups: dict[tuple[str | None, bool], list[MatrixId]] = {}
        for id in ids:
            groups.setdefault((id.part, id.matrix in GROUPS["mlp"]), []).append(id)
        found = []
        for own in groups.values():
            others = [self._parents[id] for id in ids if id not in own]
            path = outermost([self._parents[id] for id in own], block, others)
            if path is not None and not isinstance(self._modules[path], nn.ModuleList | nn.ModuleDict):
                found.append(Section(self._modules[path], frozenset(own)))
        return found


class Watch:
    """Follows one pass through one block, and leaves sections out whose output is known.

    An edit in the same block leaves a section as it was if that runs before what is edited, or if all that it is given
    was also given to a module that ran before (in blocks whose MLP stands beside the attention, not after it).
    """

    def __init__(
        self,
        sections: Sequence[Section],
        consumers: Sequence[nn.Module],
        changed: frozenset[MatrixId],
        load: Callable[[Place], Any],
        save: Callable[[Place, Any], None],
    ) -> None:
        """Begins a pass.

        Args:
            sections: of the block.
            consumers: the modules that have the parameters that are edited.
            changed: the edited matrices of the block.
            load: gives the output of a section by its place, or None.
            save: takes it.
        """
        self.modules = (*(section.module for section in sections), *consumers)
        self.reached = False
        self._sections = sections
        self.changed = changed
        self._load, self._save = load, save
        self._calls: Counter[int] = Counter()
        self._given: list[tuple[Tensor, int]] = []

    def wrap(self, place: int, own: Callable[..., Any]) -> Callable[..., Any]:
        """Returns what runs instead of a module's forward.

        Args:
            place: of the module in `modules`.
            own: its forward.
        """

        @wraps(own)
        def forward(*args: Any, **kwargs: Any) -> Any:
            leaves = pytree.tree_leaves((args, kwargs))
            same = not self.reached or all(map(self._known, leaves))
            if self.changed and not self.reached:
                self._given += [(x, x._version) for x in leaves if isinstance(x, Tensor) and not x.is_inference()]
            if place >= len(self._sections) or self._sections[place].ids & self.changed:
                self.reached = True
                return own(*args, **kwargs)
            key = (place, self._calls[place])
            self._calls[place] += 1
            return self._left_out(key, own, args, kwargs) if same else own(*args, **kwargs)

        return forward

    def _left_out(self, key: Place, own: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Returns the output of a section that no edit reaches."""
        output = self._load(key)
        if output is None:
            output = own(*args, **kwargs)
            self._save(key, output)
        return output

    def _known(self, leaf: Any) -> bool:
        """Whether an argument is one that was given before an edit was reached, and has not been changed since."""
        if not isinstance(leaf, Tensor):
            return isinstance(leaf, _PLAIN)
        return any(leaf is given and leaf._version == version for given, version in self._given)


def outermost(names: Sequence[str], block: str, others: Sequence[str]) -> str | None:
    """Returns the outermost module inside a block that has some modules and none of the others; None if there is none.

    Args:
        names: paths of the modules.
        block: path of the block.
        others: paths of modules that it may not have.
    """
    found, words = None, names[0].split(".")
    while len(words) > len(block.split(".")):
        path = ".".join(words)
        words = words[:-1]
        if not all(_in(name, path) for name in names):
            continue
        if any(_in(other, path) for other in others):
            break
        found = path
    return found


def module_name(parameter: str) -> str:
    """Returns the path of the module that has a parameter."""
    return parameter.rpartition(".")[0]


def _in(name: str, path: str) -> bool:
    return name == path or name.startswith(f"{path}.")
