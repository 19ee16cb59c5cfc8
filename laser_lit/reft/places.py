"""Where a model's hidden states can be edited: components of its blocks by name, or any module by its path."""

import re
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from laser_lit.errors import InputError, unknown_name
from laser_lit.models.matrices import MatrixHandle, MatrixId, MatrixMap
from laser_lit.models.stages import find_stages
from laser_lit.reft.streams import gave, given

COMPONENTS = (
    "block_input",
    "block_output",
    "attention_input",
    "query_output",
    "key_output",
    "value_output",
    "attention_value_output",
    "attention_output",
    "mlp_input",
    "mlp_activation",
    "mlp_output",
)
_OF_MATRIX = {
    "query_output": ("q_proj", "output"),
    "key_output": ("k_proj", "output"),
    "value_output": ("v_proj", "output"),
    "attention_value_output": ("out_proj", "input"),
    "attention_output": ("out_proj", "output"),
    "mlp_activation": ("fc_out", "input"),
    "mlp_output": ("fc_out", "output"),
}
"""Component -> the matrix whose module it enters or leaves."""
_PATH = re.compile(r"(.+)\.(input|output)")


@dataclass(frozen=True)
class Place:
    """One stream of hidden states.

    Attributes:
        name: as in "layer 2 block_output".
        module: path of the module that it enters or leaves.
        side: "input" or "output".
        size: d, of the states.
        rows: of a fused projection's output: the number of equal groups, and first and last entry (exclusive) of the
            states within each; None where the states are the whole output.
    """

    name: str
    module: str
    side: str
    size: int
    rows: tuple[int, int, int] | None = None

    def take(self, whole: Tensor) -> Tensor:
        """Returns the states (n, d) in what the module was given or gave (n, width)."""
        if self.rows is None:
            return whole
        groups, start, stop = self.rows
        return whole.unflatten(-1, (groups, -1))[..., start:stop].flatten(-2)

    def put(self, whole: Tensor, states: Tensor) -> Tensor:
        """Returns `whole` (n, width) with other states (n, d) in their place."""
        if self.rows is None:
            return states
        groups, start, stop = self.rows
        parts = whole.unflatten(-1, (groups, -1))  # (n, groups, width / groups)
        new = states.unflatten(-1, (groups, -1))
        return torch.cat([parts[..., :start], new, parts[..., stop:]], -1).flatten(-2)


class Places:
    """Finds the places of one model."""

    def __init__(self, model: Any, matrices: MatrixMap) -> None:
        """Reads the blocks off the matrix map.

        Args:
            model: the model.
            matrices: its map.

        Raises:
            InputError: the model does not read tokens.
        """
        self.model, self.matrices, self.reader = model, matrices, token_reader(model)
        self.part = "encoder" if "encoder" in matrices.layers else None
        self.count = matrices.layers[self.part]
        self._modules = dict(model.named_modules())
        names = {id(module): path for path, module in self._modules.items()}
        self._blocks = [names[id(module)] for module in find_stages(model, matrices).modules]

    def layers(self, given: Any) -> list[int]:
        """Returns the layers that an index, "all" or a list of indices means; negative ones count from the end.

        Raises:
            InputError: a layer that the model does not have.
        """
        if given == "all":
            return list(range(self.count))
        wanted = list(given) if isinstance(given, list | tuple) else [given]
        found = []
        for layer in wanted or [given]:
            number = int(layer) if re.fullmatch(r"-?\d+", str(layer)) else None
            if number is None or not -self.count <= number < self.count:
                raise InputError(
                    f"reft layer {layer!r}: {self.matrices.architecture} here has {self.count} layers; give 0 to "
                    f"{self.count - 1}, a negative index from the end, a list, or all"
                )
            found.append(number % self.count)
        return list(dict.fromkeys(found))

    def find(self, component: str, layer: int | None) -> Place:
        """Returns a place.

        Args:
            component: one of COMPONENTS, or a module's path with .input or .output behind it.
            layer: resolved; None for a path.

        Raises:
            InputError: no such component or module.
        """
        if component not in COMPONENTS:
            return self._at_path(component)
        if layer is None:
            raise InputError(f"component {component}: needs a layer")
        name = f"layer {layer} {component}"
        if component.startswith("block_"):
            width = self._handle(layer, "q_proj")
            return Place(name, self._blocks[layer], component[6:], self._width(width, "input"))
        if component in _OF_MATRIX:
            matrix, side = _OF_MATRIX[component]
            if component in ("query_output", "key_output") and getattr(self.model.config, "share_att_key", False):
                raise InputError(f"{name}: the same projection makes relative positions here; take attention_input")
            return self._at_matrix(name, self._handle(layer, matrix), side)
        matrix = "q_proj" if component == "attention_input" else "fc_in"
        return self._at_input(name, layer, matrix)

    def _handle(self, layer: int, matrix: str) -> MatrixHandle:
        for expert in (None, 0):
            id = MatrixId(layer, matrix, self.part, expert)
            if id in self.matrices:
                return self.matrices[id]
        raise InputError(f"layer {layer} of {self.matrices.architecture} has no {matrix}")

    def _owner(self, handle: MatrixHandle) -> str:
        return handle.name.rpartition(".")[0]

    def _at_matrix(self, name: str, handle: MatrixHandle, side: str) -> Place:
        """Returns what enters or leaves the module that multiplies by a matrix, or leaves its mixture of experts."""
        if handle.id.expert is not None:
            if side == "input":
                raise InputError(f"{name}: the experts of a mixture have activations of their own; take mlp_output")
            return Place(name, self._mixture(handle), "output", self._width(handle, "output"))
        layout, width = handle.layout, self._width(handle, side)
        if side == "input" or len(layout.shares) == 1:
            return Place(name, self._owner(handle), side, width)
        start, stop = layout.rows(width)
        return Place(name, self._owner(handle), side, layout.groups * (stop - start), (layout.groups, start, stop))

    def _at_input(self, name: str, layer: int, matrix: str) -> Place:
        """Returns what several projections read together: the input of the module around them."""
        handle = self._handle(layer, matrix)
        size, owner = self._width(handle, "input"), self._owner(handle)
        if handle.id.expert is not None:
            return Place(name, self._mixture(handle), "input", size)
        beside = ("q_proj", "k_proj", "v_proj") if matrix == "q_proj" else ("fc_in", "fc_up")
        ids = [MatrixId(layer, other, self.part) for other in beside]
        owners = {self._owner(self.matrices[id]) for id in ids if id in self.matrices}
        alone = len(owners) == 1
        return Place(name, owner if alone else owner.rpartition(".")[0], "input", size)

    def _mixture(self, handle: MatrixHandle) -> str:
        """Returns the path of the module that sends tokens to experts: the outermost one inside the block."""
        block = self._blocks[handle.id.layer]
        return f"{block}.{handle.name.removeprefix(block + '.').split('.')[0]}"

    def _width(self, handle: MatrixHandle, side: str) -> int:
        """Returns the width of what enters or leaves a matrix's module; a quantized weight does not tell it."""
        module = self._modules[self._owner(handle)]
        known = getattr(module, "in_features" if side == "input" else "out_features", None)
        if known is not None and handle.id.expert is None:
            return int(known)
        out, size = handle.shape
        if side == "output" and len(handle.layout.shares) > 1 and handle.id.expert is None:
            return int(handle.parameter.shape[handle.layout.axes.index("out")])
        return size if side == "input" else out

    def _at_path(self, component: str) -> Place:
        found = _PATH.fullmatch(re.sub(r"\[(\d+)\]", r".\1", component))
        if found is None:
            raise unknown_name(
                "component", component, COMPONENTS, "or a module's path, as in model.layers.2.mlp.down_proj.output"
            )
        path, side = found.groups()
        if path not in self._modules:
            modules = [name for name in self._modules if name]
            raise unknown_name("module", path, modules, "print the model to see them", listed=False)
        return Place(component, path, side, _probed(self.reader, self._modules[path], component, side))


def token_reader(model: Any) -> nn.Module:
    """Returns what reads a model's tokens: its encoder, where it has one beside a decoder, else the model.

    Raises:
        InputError: the model reads something else.
    """
    reads = getattr(model, "main_input_name", "input_ids")
    if reads != "input_ids":
        raise InputError(
            f"{type(model).__name__} reads {reads}: interventions are at the tokens of prompts, so they need a model "
            "that reads input_ids"
        )
    reader: nn.Module = model.get_encoder() if getattr(model.config, "is_encoder_decoder", False) else model
    return reader


def _probed(model: nn.Module, module: nn.Module, name: str, side: str) -> int:
    """Returns the width of a stream, as a pass of one token shows it.

    Raises:
        InputError: nothing of the shape (batch, length, width) passes there.
    """
    seen: list[Tensor | None] = []

    def look(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        seen.append(given(args, kwargs)[1] if side == "input" else gave(output))

    hook = module.register_forward_hook(look, with_kwargs=True)
    try:
        with torch.no_grad():
            model(input_ids=torch.zeros(1, 1, dtype=torch.long, device=next(model.parameters()).device))
    finally:
        hook.remove()
    if not seen or seen[0] is None or seen[0].dim() not in (2, 3) or not seen[0].is_floating_point():
        raise InputError(f"component {name}: no hidden states (batch, length, width) pass there")
    return seen[0].shape[-1]
