"""A forward pass that begins at the first block that a stack of edits changes, by the model's own code."""

import math
import warnings
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import wraps
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from laser_lit.models.matrices import MatrixId, MatrixMap
from laser_lit.models.stages import Stages, find_stages
from laser_lit.scoring.alike import alike, telling
from laser_lit.scoring.sections import Place, Sections, Watch
from laser_lit.scoring.states import States

T = TypeVar("T")
Edited = tuple[frozenset[tuple[MatrixId, Hashable]], ...]
"""What a stack edits below each stage, from stage 0 (nothing) to the number of stages (all)."""


class Resume:
    """Runs forward passes under edits from the deepest block whose input is known.

    The blocks before it are replaced for the pass by stubs that hand on a recorded output, so that the model's own
    code still builds masks, positions, final norm and head. What enters a block depends only on the edits of the
    blocks before it: that, with the batch, is what a state is kept under. Of several tensors that a block puts out
    (attention weights, say) the first is kept and the others are handed on as NaN, unless the model turns out to use
    them.

    Of the first block that is edited, the attention or the MLP is left out where the edit does not reach it and there
    is memory to spare for its output.

    The first pass from each stage is compared with a whole one. A model in which they differ (one with connections
    around blocks, say) is run whole from then on.
    """

    def __init__(self, model: nn.Module, matrices: MatrixMap, states: States) -> None:
        """Finds the blocks.

        Args:
            model: in eval mode; its weights change by edits of its matrices only.
            matrices: its map.
            states: where outputs of blocks are kept.
        """
        self.stages: Stages = find_stages(model, matrices)
        self.states = states
        self.works = len(self.stages.modules) > 1
        self._held = self.edited({})
        self._checked: set[int] = set()
        self._lean = True
        self._sections: Sections | None = Sections(model, matrices, self.stages)

    def edited(self, edits: Mapping[MatrixId, Hashable]) -> Edited:
        """Returns what is edited below each stage.

        Args:
            edits: for each matrix that is edited, what is done to it.
        """
        stages = sorted({self.stages.of[id] for id in edits})
        below: list[frozenset[tuple[MatrixId, Hashable]]] = [frozenset()]
        for stage in range(len(self.stages.modules)):
            last = below[-1]
            if stage in stages:
                last = frozenset((id, edit) for id, edit in edits.items() if self.stages.of[id] <= stage)
            below.append(last)
        return tuple(below)

    def hold(self, edited: Edited) -> None:
        """Says what the stacks to come extend; states that they cannot use are dropped.

        Args:
            edited: from `edited`; at first nothing is.
        """
        self._held = edited
        self.states.keep(lambda key: edited[key[1] + 1] == key[2])

    def forget(self, wanted: Callable[[Any], bool]) -> None:
        """Drops the states of batches that are not wanted.

        Args:
            wanted: of a batch's name, whether its states stay.
        """
        self.states.keep(lambda key: wanted(key[0]))

    def run(self, forward: Callable[[], T], batch: Hashable, edited: Edited, copies: int = 1) -> T:
        """Returns what a forward pass returns, under the weights as they are.

        Args:
            forward: runs the model once on the batch, without gradients.
            batch: a name of the batch, equal only for the same inputs.
            edited: what the weights are edited by, from `edited`.
            copies: how many times over the pass has the batch, one after another; then nothing is recorded.
        """
        if not self.works:
            return forward()
        start = self._start(batch, edited)
        if not start or start in self._checked:
            return self._pass(forward, start, batch, edited, copies)
        # First the pass in question: what a whole one leaves in the model (states of its own, say) would help it.
        try:
            resumed = self._pass(forward, start, batch, edited, copies)
        except torch.OutOfMemoryError:
            raise
        except Exception:  # whatever a model does with what it is handed
            resumed = None
        whole = forward()
        if resumed is None or telling(whole):
            self._learn(start, resumed is not None and alike(whole, resumed))
        return whole

    def _pass(self, forward: Callable[[], T], start: int, batch: Hashable, edited: Edited, copies: int) -> T:
        order: list[int] = []
        watches = self._watches(start, batch, edited, copies)
        with ExitStack() as wrapped:
            wrapped.enter_context(_wrapped(self.stages.modules, self._wrap(start, batch, edited, order, copies)))
            for watch in watches:
                wrapped.enter_context(_wrapped(watch.modules, watch.wrap))
            result = forward()
        if order != sorted(order):
            self._give_up("its blocks do not run in the order of their numbers")
            return forward()
        if any(watch.changed and not watch.reached for watch in watches):  # weights that no module's call uses
            self._sections = None
            return forward()
        return result

    def _watches(self, start: int, batch: Hashable, edited: Edited, copies: int) -> list[Watch]:
        """Returns what follows a pass through the blocks from `start` to the first one edited unlike what is held."""
        sections = self._sections
        if sections is None:
            return []
        stages = range(len(self.stages.modules))
        first = next((stage for stage in stages if edited[stage + 1] != self._held[stage + 1]), len(stages))
        compared = not start or start in self._checked  # what is handed on may be NaN that a section would hide

        def watch(stage: int) -> Watch:
            changed = frozenset(id for id, _ in edited[stage + 1] ^ self._held[stage + 1])
            kept = self._kept((batch, stage, self._held[stage + 1]), compared and stage == first, copies)
            return Watch(sections.of[stage], sections.consumers(changed), changed, *kept)

        return [watch(stage) for stage in stages[start : first + 1]]

    def _kept(
        self, key: tuple[Hashable, ...], here: bool, copies: int
    ) -> tuple[Callable[[Place], Any], Callable[[Place, Any], None]]:
        """Returns what gives the output of a section of a block, if it may be used `here`, and what takes it."""

        def load(place: Place) -> Any:
            known = here and (*key, place) in self.states
            return _copied(_repeated(self.states.get((*key, place)), copies)) if known else None

        def save(place: Place, output: Any) -> None:
            if copies == 1:
                self.states.put((*key, place), output, spare=True)

        return load, save

    def _learn(self, start: int, same: bool) -> None:
        """Takes in whether a pass from a stage gave what a whole one gives."""
        if same:
            self._checked.add(start)
        elif self._lean:
            self._lean = False
            self.states.keep(lambda key: False)
        else:
            self._give_up(f"its output differs when it begins at block {start}")

    def _give_up(self, why: str) -> None:
        warnings.warn(f"every pass runs through the whole model: {why}", stacklevel=5)
        self.works = False
        self.states.keep(lambda key: False)

    def _start(self, batch: Hashable, edited: Edited) -> int:
        """Returns the deepest stage whose input is known; 0 where none is."""
        for stage in range(len(self.stages.modules) - 1, 0, -1):
            if all((batch, source, edited[source + 1]) in self.states for source in self.stages.sources(stage)):
                return stage
        return 0

    def _wrap(
        self, start: int, batch: Hashable, edited: Edited, order: list[int], copies: int
    ) -> Callable[[int, Callable[..., Any]], Callable[..., Any]]:
        """Returns what makes a stage's forward out of its own: a stub before `start`, one that records after it."""
        sources = self.stages.sources(start)
        last = {self.stages.chains[source]: source for source in sources}
        known = {
            chain: _repeated(self.states.get((batch, stage, edited[stage + 1])), copies)
            for chain, stage in last.items()
        }
        spare = {
            chain: _copied(known[chain])
            for chain, stage in last.items()
            if any(self.stages.chains[other] == chain for other in range(stage))
        }

        def wrap(stage: int, own: Callable[..., Any]) -> Callable[..., Any]:
            chain = self.stages.chains[stage]

            @wraps(own)
            def stub(*args: Any, **kwargs: Any) -> Any:
                order.append(stage)
                return _copied(known[chain]) if stage == last[chain] else spare[chain]

            @wraps(own)
            def recording(*args: Any, **kwargs: Any) -> Any:
                if copies == 1 and stage in order:  # run several times: the last one counts
                    self.states.drop((batch, stage, edited[stage + 1]))
                order.append(stage)
                output = own(*args, **kwargs)
                if copies == 1:
                    self._record(stage, output, batch, edited)
                return output

            return stub if stage < start else recording

        return wrap

    def _record(self, stage: int, output: Any, batch: Hashable, edited: Edited) -> None:
        """Keeps the output of a stage where the stacks to come can use it."""
        after = stage + 1
        if after == len(self.stages.modules) or edited[after] != self._held[after]:
            return
        deepest = after + 1 < len(edited) and edited[after + 1] != self._held[after + 1]
        others = set(range(stage)).difference(self.stages.sources(after)) if deepest else set()
        instead = [(batch, other, edited[other + 1]) for other in others]
        output = _only_first(output) if self._lean else output
        self.states.put((batch, stage, edited[after]), output, wanted=deepest, instead=instead)


@contextmanager
def _wrapped(
    modules: tuple[nn.Module, ...], wrap: Callable[[int, Callable[..., Any]], Callable[..., Any]]
) -> Iterator[None]:
    """Gives each module another forward while the context is open; hooks of others stay and run."""
    own = [module.__dict__.get("forward") for module in modules]
    try:
        for stage, module in enumerate(modules):
            module.forward = wrap(stage, module.forward)
        yield
    finally:
        for module, forward in zip(modules, own, strict=True):
            if forward is not None:
                module.forward = forward
            else:
                module.__dict__.pop("forward", None)


def _copied(state: Any) -> Any:
    """Returns a copy that may be changed in place."""
    return pytree.tree_map(
        lambda leaf: leaf.clone() if isinstance(leaf, Tensor) and any(leaf.stride()) else leaf, state
    )


def _repeated(state: Any, copies: int) -> Any:
    """Returns the state of a batch that is there several times over; what all of its rows share stays as it is."""
    if copies == 1:
        return state
    rows = max(
        (leaf.shape[0] for leaf in pytree.tree_leaves(state) if isinstance(leaf, Tensor) and leaf.ndim), default=1
    )

    def repeat(leaf: Any) -> Any:
        if not isinstance(leaf, Tensor) or not leaf.ndim or leaf.shape[0] != rows:
            return leaf
        if not any(leaf.stride()):
            return leaf.new_full((), math.nan).expand(rows * copies, *leaf.shape[1:])
        return leaf.repeat(copies, *[1] * (leaf.ndim - 1))

    return pytree.tree_map(repeat, state)


def _only_first(output: Any) -> Any:
    """Returns the output with NaN, which takes no memory, in the place of every tensor but the first."""
    leaves, spec = pytree.tree_flatten(output)
    tensors = [place for place, leaf in enumerate(leaves) if isinstance(leaf, Tensor)]
    for place in tensors[1:]:
        if leaves[place].is_floating_point():
            leaves[place] = leaves[place].new_full((), math.nan).expand(leaves[place].shape)
    return pytree.tree_unflatten(leaves, spec)
