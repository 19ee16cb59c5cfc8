"""A stack under Lightning: on for a test, off afterwards."""

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn
from torch import nn

from laser_lit.edits.row import AppliedEdit
from laser_lit.edits.stack import Stack
from laser_lit.models.matrices import MatrixMap


class LaserCallback(Callback):
    """Applies a stack when `Trainer.test` or `Trainer.validate` starts, and takes it back when that ends or fails.

    Validation within `Trainer.fit` sees the weights as they are.

    Attributes:
        stack: what is applied; may be set between runs; None applies nothing.
        within: makes a context that is entered when the stack is on, and left before it is taken back; may be set
            between runs.
        rows: what the last run applied.
    """

    def __init__(
        self, stack: Stack | None = None, model: nn.Module | MatrixMap | None = None, offload: bool = False
    ) -> None:
        """Keeps stack and model.

        Args:
            stack: what to apply.
            model: the model or its matrix map; None takes the attribute `model` of the LightningModule.
            offload: see `Stack.applied`.
        """
        self.stack = stack
        self.model = model
        self.offload = offload
        self.within: Callable[[], AbstractContextManager[object]] | None = None
        self.rows: list[AppliedEdit] = []
        self._context: ExitStack | None = None

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Applies the stack."""
        self._enter(pl_module)

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Takes the stack back."""
        self._leave()

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Applies the stack under `Trainer.validate`."""
        if trainer.state.fn == TrainerFn.VALIDATING:
            self._enter(pl_module)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Takes the stack back."""
        self._leave()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Takes the stack back."""
        self._leave()

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Takes the stack back, should no other hook have been reached."""
        self._leave()

    def _enter(self, pl_module: LightningModule) -> None:
        self._leave()
        self.rows = []
        model = self.model if self.model is not None else getattr(pl_module, "model", pl_module)
        with ExitStack() as context:
            if self.stack is not None:
                self.rows = context.enter_context(self.stack.applied(model, self.offload))
            if self.within is not None:
                context.enter_context(self.within())
            self._context = context.pop_all()

    def _leave(self) -> None:
        context, self._context = self._context, None
        if context is not None:
            context.close()
