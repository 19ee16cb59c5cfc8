"""What trains in place of the model: interventions on its hidden states, or a LoRA of peft."""

import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from laser_lit.config_reft import ReftConfig
from laser_lit.errors import InputError
from laser_lit.lit.finetuning import REFT
from laser_lit.lit.training_checkpoint import saved_weights
from laser_lit.models.matrices import MatrixHandle, find_matrices
from laser_lit.reft.intervention import Intervention
from laser_lit.reft.places import COMPONENTS
from laser_lit.reft.reft import Reft
from laser_lit.reft.saving import save_reft

LORA = "lora"


@dataclass(frozen=True)
class Trainee:
    """A frozen model and what trains beside it.

    Attributes:
        model: the base, or what peft made of it.
        reft: the interventions; None for a LoRA, which is inside the model.
        total: number of the base's parameters.
    """

    model: Any
    reft: Reft | None
    total: int

    @property
    def type(self) -> str:
        """What trains: the types of the interventions, or lora."""
        return LORA if self.reft is None else "+".join(dict.fromkeys(said.type for said in self.reft.interventions))

    @property
    def parameters(self) -> int:
        """Number of parameters that train."""
        trained: nn.Module = self.model if self.reft is None else self.reft
        return sum(parameter.numel() for parameter in trained.parameters() if parameter.requires_grad)

    def attached(self) -> AbstractContextManager[Any]:
        """Returns the context in which the model has what was trained."""
        return nullcontext() if self.reft is None else self.reft.attached(self.model)

    def take(self, checkpoint: Path) -> None:
        """Copies in what a training's checkpoint holds."""
        if self.reft is not None:
            self.reft.load_state_dict(saved_weights(checkpoint, REFT))
            return
        parameters = dict(self.model.named_parameters())
        with torch.no_grad():
            for name, weight in saved_weights(checkpoint).items():
                parameters[name].copy_(weight)

    def save(self, folder: Path) -> None:
        """Writes the folder that `reft.path` takes: laser_lit's, or peft's own for a LoRA."""
        if self.reft is not None:
            save_reft(self.reft.eval(), folder)
        else:
            self.model.save_pretrained(folder, save_embedding_layers=False)  # else peft asks the hub about the base


def make_trainee(model: PreTrainedModel, settings: ReftConfig, seed: int, id: str, revision: str | None) -> Trainee:
    """Returns the frozen model with what trains, as the config says.

    Args:
        model: in the type that it is passed through in; its parameters are frozen here.
        settings: checked.
        seed: of the parameters that train.
        id: the base's folder or hub id.
        revision: its commit on the hub.

    Raises:
        InputError: places or matrices that the model does not have.
    """
    total = int(model.num_parameters())  # also of weights that 4 bits pack
    model.requires_grad_(False)
    with torch.random.fork_rng(devices=[]):
        if settings.type == LORA:
            torch.manual_seed(seed)
            return Trainee(_with_lora(model, settings, id, revision), None, total)
        reft = Reft.on(model, interventions_of(settings), seed=seed, id=id, revision=revision)
        return Trainee(model, reft, total)


def interventions_of(settings: ReftConfig) -> list[Intervention]:
    """Returns the interventions that a config names.

    Raises:
        InputError: values that cannot be meant.
    """
    if settings.interventions:
        return [
            Intervention.of(values, f"reft.interventions number {number} (counted from 0)")
            for number, values in enumerate(settings.interventions)
        ]
    named = settings.component in COMPONENTS
    names = ("component", "type", "rank", "positions", "share", "act_fn", "dropout", "dtype", "bias")
    values = {name: getattr(settings, name) for name in names}
    return [Intervention.of({**values, "layer": settings.layer if named else None}, "reft")]


def _with_lora(model: PreTrainedModel, settings: ReftConfig, id: str, revision: str | None) -> Any:
    """Returns peft's model with a LoRA on each of the matrices."""
    from peft import LoraConfig, get_peft_model

    matrices = find_matrices(model)
    handles = [matrices[found] for found in matrices.select(settings.layer, settings.matrices)]
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha or 2 * settings.rank,
        lora_dropout=settings.dropout,
        target_modules=_modules(model, handles),
        fan_in_fan_out=any(isinstance(module, Conv1D) for module in model.modules()),
        task_type="CAUSAL_LM",
        revision=revision,
    )
    with warnings.catch_warnings():  # peft asks transformers for an attribute by its old name
        warnings.filterwarnings("ignore", ".*is_gradient_checkpointing.*", FutureWarning)
        made = get_peft_model(model, config)
    made.peft_config["default"].base_model_name_or_path = id  # peft takes the model's own word for it
    return made


def _modules(model: nn.Module, handles: Sequence[MatrixHandle]) -> list[str]:
    modules = dict(model.named_modules())
    names = list(dict.fromkeys(handle.name.rpartition(".")[0] for handle in handles))
    for name in names:
        if not isinstance(modules[name], nn.Linear | Conv1D):
            kind = type(modules[name]).__name__
            raise InputError(f"reft.matrices: {name} is a {kind}, which peft's LoRA does not reach; name others")
    return names
