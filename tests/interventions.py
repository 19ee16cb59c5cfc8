"""Interventions strong enough to show, and passes of tiny models to see them in."""

import warnings
from pathlib import Path

import peft
import torch
from torch import Tensor, nn

from laser_lit.models.load import load_weights
from laser_lit.reft.intervention import Intervention
from laser_lit.reft.reft import Reft
from laser_lit.reft.saving import save_reft


def strong(model: nn.Module, **values: object) -> Reft:
    """Returns one intervention for a model, in eval mode, whose parameters are all drawn anew."""
    return strong_ones(model, Intervention(**({"layer": "all", "rank": 2, "positions": "f2+l2"} | values)))


def strong_ones(model: nn.Module, *said: Intervention) -> Reft:
    reft = Reft.on(model, said).eval()
    generator = torch.Generator().manual_seed(11)
    with torch.no_grad():
        for parameter in reft.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / 2)
    return reft


def saved_reft(base: Path, folder: Path) -> Path:
    """Returns a new folder of interventions on a checkpoint, at the first and the last token of prompts."""
    save_reft(strong(load_weights(base), positions="f1+l1"), folder)
    return folder


def saved_lora(base: Path, folder: Path) -> Path:
    """Returns a new folder of a LoRA on a small GPT-J, whose parameters are all drawn."""
    config = peft.LoraConfig(r=2, lora_alpha=4, target_modules=["q_proj", "fc_in"], init_lora_weights=False)
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(2)
        peft.get_peft_model(load_weights(base), config).save_pretrained(folder)
    return folder


def tokens(batch: int = 2, length: int = 7, seed: int = 5) -> Tensor:
    return torch.randint(3, 64, (batch, length), generator=torch.Generator().manual_seed(seed))


def positions_of(attended: Tensor) -> Tensor:
    """Returns the rank of each token among those that are attended to."""
    return (attended.long().cumsum(1) - 1).clamp(min=0)


def hooks_of(model: nn.Module) -> list[tuple[str, list[object]]]:
    """Returns every hook of every module."""
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks", "_state_dict_hooks")
    return [
        (f"{path}.{kind}", list(getattr(module, kind).values()))
        for path, module in model.named_modules()
        for kind in kinds
    ]
