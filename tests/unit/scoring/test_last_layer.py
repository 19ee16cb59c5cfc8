"""The last block's tail on the read positions alone: the same scores from less work."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from laser_lit.models.matrices import find_matrices
from laser_lit.models.stages import find_stages
from laser_lit.scoring.batches import Batch, Batches
from laser_lit.scoring.forward import score_batch
from laser_lit.scoring.inputs import model_kind
from laser_lit.scoring.last_layer import LastLayer
from laser_lit.scoring.requests import encode

CAUSAL = ["gptj", "gpt2", "neox", "llama", "mixtral", "gemma2", "cohere", "bloom", "opt", "falcon", "mpt"]
FAMILIES = [*CAUSAL, "falcon_alibi", "bert", "roberta", "deberta"]


class Passes:
    """One batch of a model, scored with and without its read positions picked out."""

    def __init__(self, model: Any, tokenizer: Any, examples: Any, side: Any = "left") -> None:
        self.model = model
        matrices = find_matrices(model)
        self.last = LastLayer(model, matrices, find_stages(model, matrices))
        requests = encode(examples, tokenizer, model_kind(model))
        self.batch = Batches(requests, 0, 7, side=side)[0]
        last = max(id.layer for id in matrices)
        names = {id.matrix: matrices[id].name.rpartition(".")[0] for id in matrices if id.layer == last}
        self.ends = {matrix: model.get_submodule(names[matrix]) for matrix in ("fc_out", "out_proj")}

    def picked(self) -> list[tuple[float, ...]]:
        def run(batch: Batch, forward: Callable[[], Tensor]) -> Tensor:
            self.last.check(batch, forward)
            with self.last.picked(batch):
                return forward()

        return [score.log_probs for score in score_batch(self.model, self.batch, run=run)]

    def plain(self) -> list[tuple[float, ...]]:
        return [score.log_probs for score in score_batch(self.model, self.batch)]

    def sizes(self) -> dict[str, int]:
        """Returns the number of positions that each end sees in a pass, over that of the sequences."""
        self.picked()
        seen: dict[str, int] = {}
        forwards = {name: module.forward for name, module in self.ends.items()}
        for name, module in self.ends.items():

            def look(x: Tensor, *args: Any, name: str = name, **kwargs: Any) -> Any:
                seen[name] = x.shape[:-1].numel()
                return forwards[name](x, *args, **kwargs)

            module.forward = look  # type: ignore[method-assign]
        try:
            self.picked()
        finally:
            for module in self.ends.values():
                del module.__dict__["forward"]
        return seen


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("side", ["left", "right"])
def test_the_scores_are_the_same_from_fewer_positions(
    models_by_name: Callable, tokenizer: Any, sets: Callable, family: str, side: str
) -> None:
    passes = Passes(models_by_name(family), tokenizer, sets("token"), side)
    for found, expected in zip(passes.picked(), passes.plain(), strict=True):
        assert found == pytest.approx(expected, abs=1e-5)
    reads = passes.batch.rows.numel()
    # An expert sees the positions that are routed to it: each counts as often as it has experts.
    most = {"fc_out": 2 * reads if family == "mixtral" else reads, "out_proj": reads}
    assert all(size <= most[name] for name, size in passes.sizes().items())
    assert passes.last._spans


def test_hooks_of_others_from_the_last_block_on_switch_it_off(
    models_by_name: Callable, tokenizer: Any, sets: Callable
) -> None:
    passes = Passes(models_by_name("llama"), tokenizer, sets("token"))
    reads, positions = passes.batch.rows.numel(), passes.batch.input_ids.numel()
    seen: list[Tensor] = []
    for module, size in ((passes.model.model.norm, positions), (passes.model.model.layers[0], reads)):
        handle = module.register_forward_hook(lambda _module, _args, output: seen.append(output))
        try:
            assert passes.sizes() == {"fc_out": size, "out_proj": size}
        finally:
            handle.remove()
    assert passes.sizes() == {"fc_out": reads, "out_proj": reads}
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in passes.model.modules())


class Mixing(nn.Module):
    """An MLP that looks at the position before, or cannot take some of the positions alone."""

    def __init__(self, mlp: nn.Module, fails: bool) -> None:
        super().__init__()
        self.gate_proj, self.up_proj, self.down_proj = mlp.gate_proj, mlp.up_proj, mlp.down_proj
        self.fails = fails

    def forward(self, x: Tensor) -> Tensor:
        if self.fails and x.shape[0] == 1:
            raise RuntimeError("shapes")
        return self.down_proj(self.gate_proj(x) * self.up_proj(x.roll(1, 1)))


@pytest.mark.parametrize("fails", [True, False])
def test_an_mlp_that_mixes_positions_is_left_alone(
    models_by_name: Callable, tokenizer: Any, sets: Callable, fails: bool
) -> None:
    model = models_by_name("llama")
    layer = model.model.layers[-1]
    own = layer.mlp
    layer.mlp = Mixing(own, fails)
    try:
        passes = Passes(model, tokenizer, sets("token"))
        assert passes.picked() == passes.plain()
        assert passes.sizes() == dict.fromkeys(passes.ends, passes.batch.input_ids.numel())
    finally:
        layer.mlp = own


def test_a_batch_that_reads_most_of_its_positions_is_left_alone(
    models_by_name: Callable, tokenizer: Any, sets: Callable
) -> None:
    model = models_by_name("llama")
    passes = Passes(model, tokenizer, sets("token"))
    whole = passes.batch.input_ids
    rows, columns = torch.ones_like(whole).nonzero(as_tuple=True)
    object.__setattr__(passes.batch, "rows", rows)
    object.__setattr__(passes.batch, "columns", columns)
    with passes.last.picked(passes.batch):
        assert not any(module._forward_hooks for module in model.modules())
