"""Small trainings of interventions and of LoRAs, without the command line."""

from pathlib import Path
from typing import Any

import torch
from families import FAMILIES
from lightning.pytorch.loggers import CSVLogger
from torch import Tensor

from laser_lit.config import TrainerConfig
from laser_lit.config_finetune import FinetuneConfig
from laser_lit.config_reft import ReftConfig
from laser_lit.lit.finetuning import Finetuning
from laser_lit.lit.learning_curve import Curve
from laser_lit.lit.pairs import Pair, Pairs
from laser_lit.lit.trainees import Trainee, make_trainee
from laser_lit.reft.methods import FORMS

CPU = TrainerConfig(accelerator="cpu", progress_bar=False)
SETTINGS = FinetuneConfig(steps=6, batch_size=2, accumulate=2, learning_rate=1e-2, warmup=2, save_every=3)
TYPES = (*FORMS, "lora")


class Stop(CSVLogger):
    """Ends a training in the middle of a step's row."""

    def __init__(self, folder: Path, step: int) -> None:
        super().__init__(folder, name="", version="")
        self.step = step

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        if step == self.step:
            raise RuntimeError("killed")
        super().log_metrics(metrics, step)


def made(settings: ReftConfig, family: str = "llama", dtype: torch.dtype = torch.float32, seed: int = 1) -> Trainee:
    """Returns what trains, beside a model of a family with dropout where the family has it."""
    model: Any = FAMILIES[family]()
    for weight in model.parameters():  # and no buffer, as from_pretrained does
        weight.data = weight.data.to(dtype)
    for module in model.modules():
        if hasattr(module, "attention_dropout"):
            module.attention_dropout = 0.2
    return make_trainee(model, settings, seed, "base", None)


def pairs(count: int = 9, held_out: int = 3, longest: int = 6) -> Pairs:
    """Returns prompts of 1 … `longest` random tokens with answers of 1 … 3."""
    generator = torch.Generator().manual_seed(4)

    def some(n: int) -> tuple[int, ...]:
        return tuple(torch.randint(3, 64, (n,), generator=generator).tolist())

    rows = [Pair(some(1 + n % longest), some(1 + n % 3)) for n in range(count + held_out)]
    return Pairs(tuple(rows[:count]), tuple(rows[count:]), pad_id=2)


def train(
    trainee: Trainee, file: Path, settings: FinetuneConfig = SETTINGS, data: Pairs | None = None, loggers: Any = ()
) -> Curve:
    """Returns the curve of a training, whose end the trainee then has."""
    training = Finetuning(settings, pairs() if data is None else data, 1, file, "reft")
    with trainee.attached():
        curve = training.fit(trainee.model, CPU, loggers, trainee.reft)
        trainee.take(file)
    trainee.model.eval()
    if trainee.reft is not None:
        trainee.reft.eval()
    return curve


def trained_tensors(trainee: Trainee) -> dict[str, Tensor]:
    """Returns copies of the parameters that train."""
    whole = trainee.model if trainee.reft is None else trainee.reft
    return {name: weight.detach().clone() for name, weight in whole.named_parameters() if weight.requires_grad}


@torch.no_grad()
def logits(model: Any, ids: Tensor) -> Tensor:
    return model(input_ids=ids).logits
