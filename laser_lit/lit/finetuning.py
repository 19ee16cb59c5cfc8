"""Training of some of a model's parameters under Lightning, from a checkpoint on where there is one."""

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch import nn
from transformers import PreTrainedModel

from laser_lit.config import TrainerConfig
from laser_lit.config_finetune import FinetuneConfig
from laser_lit.errors import InputError
from laser_lit.lit.batch_seed import BatchSeed
from laser_lit.lit.finetune import CausalLMModule
from laser_lit.lit.learning_curve import Curve, LearningCurve
from laser_lit.lit.trainer import make_trainer
from laser_lit.lit.training_batches import TrainingBatches
from laser_lit.lit.training_checkpoint import AtomicCheckpointIO, TrainingCheckpoint, saved_curve, saved_step
from laser_lit.lit.windows import Rows

REFT = "reft."
"""Before the names of what interventions hold, in the module that trains them."""


class TrainingData(Protocol):
    """What a training is on."""

    @property
    def rows(self) -> tuple[Rows, Rows]:
        """What is trained on, and what is held out."""
        ...


@dataclass(frozen=True)
class Finetuning:
    """A training that can be killed and begun again at any moment.

    Attributes:
        settings: checked.
        data: what to train on and what to look at.
        seed: of the order of the rows and of dropout.
        checkpoint: file that is written after every `settings.save_every` steps and at the end.
        group: config group of the settings, for errors.
        module: what has the loss.
        measure: further numbers by name, of the model in eval mode, where the loss of what is held out is looked at.
        relief: what to do where memory is out; None where the settings are those of FinetuneConfig.
    """

    settings: FinetuneConfig
    data: TrainingData
    seed: int
    checkpoint: Path
    group: str = "finetune"
    module: type[CausalLMModule] = CausalLMModule
    measure: Callable[[nn.Module], dict[str, float]] | None = None
    relief: str | None = None

    def fit(
        self,
        model: PreTrainedModel,
        trainer: TrainerConfig,
        loggers: Sequence[Logger] = (),
        reft: nn.Module | None = None,
    ) -> Curve:
        """Returns the learning curve, having trained the parameters that require gradients; a checkpoint has them too.

        Called again after a kill, it goes on from the checkpoint and ends with the weights that it would have ended
        with, bit for bit. A finished training is left alone.

        Args:
            model: in the type that it trains in.
            trainer: accelerator, devices and strategy.
            loggers: where the losses go.
            reft: interventions that are attached to the model, which train instead of it.

        Raises:
            InputError: out of memory, or a checkpoint that does not belong here.
        """
        step = saved_step(self.checkpoint)
        if step >= self.settings.steps:
            return saved_curve(self.checkpoint)
        curve = self._curve(loggers)
        module = self._module(model, reft)
        lightning = self._trainer(module, trainer, curve)
        with _repeatable(lightning.strategy.root_device), torch.random.fork_rng(devices=[]):
            try:
                resumed = str(self.checkpoint) if step else None
                lightning.fit(module, self._batches(step, lightning), ckpt_path=resumed, weights_only=True)
            except SIGTERMException as stop:
                raise SystemExit(128 + signal.SIGTERM) from stop  # Lightning would leave with 0, as if it had ended
            except torch.OutOfMemoryError as error:
                raise InputError(
                    f"{lightning.strategy.root_device} is out of memory; {self.relief or self._relief}"
                ) from error
        return curve.rows

    @property
    def _relief(self) -> str:
        group, size = self.group, self.settings.batch_size
        return (
            f"give less than {group}.batch_size {size} (and more {group}.accumulate), "
            f"{group}.gradient_checkpointing=true, or {group}.precision=bf16-true"
        )

    def _curve(self, loggers: Sequence[Logger]) -> LearningCurve:
        settings = self.settings
        return LearningCurve(
            self.data.rows[1],
            size=settings.batch_size,
            accumulate=settings.accumulate,
            is_due=self._is_due,
            group=self.group,
            loggers=loggers,
            measure=self.measure,
        )

    def _is_due(self, step: int) -> bool:
        return step % self.settings.save_every == 0 or step == self.settings.steps

    def _trainer(self, module: CausalLMModule, config: TrainerConfig, curve: LearningCurve) -> Trainer:
        settings = self.settings
        names = [name for name, weight in module.named_parameters() if weight.requires_grad]
        names += [name for name, _ in module.named_buffers() if name.startswith(REFT)]  # what a basis began with
        save = TrainingCheckpoint(self.checkpoint, names, accumulate=settings.accumulate, is_due=self._is_due)
        return make_trainer(
            config,
            [BatchSeed(self.seed), curve, save],  # the curve before the checkpoint that holds it
            max_epochs=1,
            accumulate_grad_batches=settings.accumulate,
            gradient_clip_val=settings.clip,
            # "bf16-true" would round rotary frequencies too, which transformers keeps in float32; a model whose
            # parameters are bfloat16 trains in bfloat16 without it
            precision="bf16-mixed" if settings.precision == "bf16-mixed" else "32-true",
            plugins=[AtomicCheckpointIO()],
        )

    def _batches(self, step: int, trainer: Trainer) -> TrainingBatches:
        return TrainingBatches(
            self.data.rows[0],
            size=self.settings.batch_size,
            count=self.settings.steps * self.settings.accumulate,
            seed=self.seed,
            first=step * self.settings.accumulate,
            rank=trainer.global_rank,
            world=trainer.world_size,
        )

    def _module(self, model: PreTrainedModel, reft: nn.Module | None) -> CausalLMModule:
        settings = self.settings
        if settings.gradient_checkpointing:
            # transformers renamed it in 5.x
            enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
            try:
                enable({"use_reentrant": False})
            except ValueError as error:
                raise InputError(f"{self.group}.gradient_checkpointing: {error}") from error
        module = self.module(
            model.train(),
            learning_rate=settings.learning_rate,
            weight_decay=settings.weight_decay,
            warmup=settings.warmup,
            schedule=settings.schedule,
        )
        if reft is not None:
            module.reft = reft.train()
        module.strict_loading = False  # a checkpoint holds what trains; TrainingCheckpoint sees to it
        return module


@contextmanager
def _repeatable(device: torch.device) -> Iterator[None]:
    """On CUDA, sums whose order the hardware would choose get one order, so that resuming changes no bit."""
    if device.type != "cuda":
        yield
        return
    before, warns = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before, warn_only=warns)
