"""The stack under Lightning's Trainer."""

from collections.abc import Callable

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from weight_bits import bits, differing

from laser_lit.edits.callback import LaserCallback
from laser_lit.edits.edit import Edit
from laser_lit.edits.stack import Stack
from laser_lit.errors import InputError
from laser_lit.models.matrices import find_matrices

STACK = Stack([Edit(0, "mlp", rank=2)])
NAMES = {f"transformer.h.0.mlp.{matrix}.weight" for matrix in ("fc_in", "fc_out")}


class Tokens(Dataset[Tensor]):
    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> Tensor:
        return torch.arange(5) + index


class Module(LightningModule):
    """Notes which weights differ from the start whenever it runs."""

    def __init__(self, model: nn.Module, fail: Callable[[], None] = lambda: None) -> None:
        super().__init__()
        self.model = model
        self.fail = fail
        self.start = bits(model)
        self.seen: list[set[str]] = []

    def step(self, batch: Tensor, index: int) -> Tensor:
        self.seen.append(differing(self.start, self.model))
        self.fail()
        return self.model(batch).logits.sum()

    def training_step(self, batch: Tensor, index: int) -> Tensor:
        return 0.0 * self.step(batch, index)

    test_step = validation_step = step

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.0)


def trainer(callback: LaserCallback, **options: object) -> Trainer:
    return Trainer(
        accelerator="cpu",
        devices=1,
        callbacks=[callback],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        **options,
    )


def run(callback: LaserCallback, module: Module, kind: str) -> None:
    getattr(trainer(callback), kind)(module, DataLoader(Tokens()), verbose=False)


@pytest.mark.parametrize("kind", ["test", "validate"])
def test_the_stack_is_on_during_the_run_and_off_afterwards(gptj: nn.Module, kind: str) -> None:
    module, callback = Module(gptj), LaserCallback(STACK)
    run(callback, module, kind)
    assert module.seen == [NAMES, NAMES]
    assert differing(module.start, gptj) == set()
    assert {row.name for row in callback.rows} == NAMES


def test_the_stack_can_be_changed_between_runs_of_one_trainer(gptj: nn.Module) -> None:
    module, callback = Module(gptj), LaserCallback(model=find_matrices(gptj))
    one = trainer(callback)
    for stack in (None, STACK, Stack([Edit(1, "fc_in", kind="zero")])):
        callback.stack = stack
        one.test(module, DataLoader(Tokens()), verbose=False)
    assert module.seen[::2] == module.seen[1::2] == [set(), NAMES, {"transformer.h.1.mlp.fc_in.weight"}]
    assert differing(module.start, gptj) == set()


def fail() -> None:
    raise RuntimeError("a step failed")


def interrupt() -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(("failure", "raised"), [(fail, RuntimeError), (interrupt, SystemExit)])
@pytest.mark.parametrize("kind", ["test", "validate"])
def test_failures_bring_the_weights_back(
    gptj: nn.Module, kind: str, failure: Callable[[], None], raised: type[BaseException]
) -> None:
    module, callback = Module(gptj, failure), LaserCallback(STACK)
    with pytest.raises(raised):
        run(callback, module, kind)
    assert module.seen == [NAMES]
    assert differing(module.start, gptj) == set()
    module.fail = lambda: None
    run(callback, module, kind)
    assert module.seen[1:] == [NAMES, NAMES]
    assert differing(module.start, gptj) == set()


def test_an_edit_that_fails_stops_the_run_before_it_starts(gptj: nn.Module) -> None:
    module = Module(gptj)
    with pytest.raises(InputError, match="layer 9"):
        run(LaserCallback(Stack([Edit(0, "fc_in", rank=2), Edit(9, "fc_in", rank=2)])), module, "test")
    assert module.seen == []
    assert differing(module.start, gptj) == set()


def test_fitting_and_its_validation_see_the_weights_as_they_are(gptj: nn.Module) -> None:
    module = Module(gptj.train())
    loader = DataLoader(Tokens())
    trainer(LaserCallback(STACK), max_epochs=1, num_sanity_val_steps=1).fit(module, loader, loader)
    assert module.seen == [set()] * 5
