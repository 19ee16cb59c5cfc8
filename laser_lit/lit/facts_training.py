"""The built-in model: a small GPT-J trained on the noisy-facts world, kept in the cache."""

import hashlib
import json
import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
import transformers
from filelock import FileLock
from lightning.pytorch.plugins.environments import LightningEnvironment

from laser_lit.config import FactsTrainingConfig, TrainerConfig
from laser_lit.data.facts import (
    FactsConfig,
    Sentences,
    World,
    build_world,
    count_facts,
    draw_sentences,
    world_tokenizer,
)
from laser_lit.errors import InputError
from laser_lit.files import cache_folder
from laser_lit.lit.facts_folder import is_complete, save_model
from laser_lit.lit.finetune import Batch, CausalLMModule
from laser_lit.lit.threads import one_thread
from laser_lit.lit.trainer import make_trainer

RECIPE = 1
"""Raised whenever the same config would train another model, so that older cached models are left alone."""

_NOTE = "Training the built-in facts model ({steps} steps, about half a minute on one core) into {folder}"


@dataclass
class FactsTraining(FactsTrainingConfig):
    """How the built-in model is made, checked.

    Attributes:
        world: what the model is told.
    """

    world: FactsConfig = field(default_factory=FactsConfig)

    def __post_init__(self) -> None:
        for name in ("layers", "width", "heads", "steps", "batch_size"):
            if getattr(self, name) < 1:
                raise InputError(f"model.facts.{name} {getattr(self, name)}: must be at least 1")
        for name in ("seed", "warmup", "weight_decay"):
            if not getattr(self, name) >= 0:
                raise InputError(f"model.facts.{name} {getattr(self, name)}: must be at least 0")
        if not self.learning_rate > 0:
            raise InputError(f"model.facts.learning_rate {self.learning_rate}: must be above 0")
        unit = 4 * self.heads
        if self.width % unit:
            raise InputError(f"model.facts.width {self.width}: must be a multiple of 4 * model.facts.heads = {unit}")


def facts_training(config: Mapping[str, Any]) -> FactsTraining:
    """Returns the checked training of a config node such as `model.facts`.

    Args:
        config: the fields of FactsTraining, `world` as a mapping of its own.
    """
    return FactsTraining(**{**config, "world": FactsConfig(**config["world"])})


def facts_checkpoint(training: FactsTraining) -> Path:
    """Returns the folder where the model of a config is kept, whether or not it is there.

    It lies under the environment's LASER_LIT_CACHE (default ~/.cache/laser_lit), named by the hash of the config.
    """
    content = json.dumps([RECIPE, asdict(training)], sort_keys=True)
    return cache_folder() / "models" / f"facts-{hashlib.sha256(content.encode()).hexdigest()[:12]}"


def ensure_facts_model(training: FactsTraining | Mapping[str, Any] | None = None, **trainer: Any) -> Path:
    """Returns the folder of the model, training it first (one printed line says so) when it is missing.

    Of several processes that miss the same model, one trains and the others wait for it.

    Args:
        training: how it is trained, and on which world; or a config node, see `facts_training`; None takes what
            model=facts has.
        **trainer: further arguments of `train_facts`.
    """
    if training is None:
        training = FactsTraining()
    elif not isinstance(training, FactsTraining):
        training = facts_training(training)
    folder = facts_checkpoint(training)
    if is_complete(folder):
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        if not is_complete(folder):
            print(_NOTE.format(steps=training.steps, folder=folder), flush=True)  # noqa: T201
            train_facts(training, folder, **trainer)
    return folder


def train_facts(
    training: FactsTraining,
    folder: Path,
    *,
    progress: bool = True,
    logger: Any = False,
    callbacks: Sequence[lightning.Callback] = (),
) -> dict[str, Any]:
    """Trains the model on one CPU thread and returns its record; the folder appears whole or not at all.

    One thread, because sums then have the same order whatever the number of cores: the same config gives the same
    weights on every machine of one kind. Two threads would be an eighth faster, and several times slower on a busy
    machine. The caller's random state is left as it was.

    Args:
        training: how it is trained, and on which world.
        folder: where the checkpoint goes (weights, tokenizer, counts.json, training.json); replaced when incomplete.
        progress: whether Lightning shows its progress bar.
        logger: passed to the Trainer.
        callbacks: passed to the Trainer.
    """
    world = build_world(training.world)
    sentences = draw_sentences(world, training.steps * training.batch_size, np.random.default_rng([training.seed, 1]))
    model = _initial_model(world, training, sentences.input_ids.shape[1])
    trainer = make_trainer(
        TrainerConfig(accelerator="cpu", progress_bar=progress),
        list(callbacks),
        max_epochs=1,
        gradient_clip_val=1.0,
        logger=logger,
        log_every_n_steps=min(50, training.steps),
        plugins=[LightningEnvironment()],
    )
    start = time.perf_counter()
    with one_thread():
        trainer.fit(_module(model, training), _Batches(sentences, training.batch_size))
    final_loss = float(trainer.callback_metrics["train/loss"])
    record = _record(training, model, final_loss, time.perf_counter() - start)
    save_model(folder, model.eval(), world_tokenizer(world), count_facts(world, sentences), record)
    return record


def _record(training: FactsTraining, model: torch.nn.Module, final_loss: float, seconds: float) -> dict[str, Any]:
    return {
        "recipe": RECIPE,
        "training": asdict(training),
        "parameters": sum(p.numel() for p in model.parameters()),
        "final_loss": final_loss,
        "seconds": seconds,
        "versions": _versions(),
    }


def _initial_model(world: World, training: FactsTraining, length: int) -> transformers.GPTJForCausalLM:
    words = world_tokenizer(world)
    config = transformers.GPTJConfig(
        vocab_size=len(world.vocabulary),
        n_positions=2 * length,
        n_embd=training.width,
        n_layer=training.layers,
        n_head=training.heads,
        rotary_dim=training.width // training.heads // 2,
        activation_function="gelu_pytorch_tanh",  # the same function as GPT-J's gelu_new, fused
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=words.eos_token_id,
        eos_token_id=words.eos_token_id,
        pad_token_id=words.pad_token_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(training.seed)
        return transformers.GPTJForCausalLM(config).train()


def _module(model: torch.nn.Module, training: FactsTraining) -> CausalLMModule:
    return CausalLMModule(
        model,
        learning_rate=training.learning_rate,
        weight_decay=training.weight_decay,
        betas=(0.9, 0.98),
        warmup=training.warmup,
        schedule="cosine",
        floor=0.02,
    )


@dataclass(frozen=True)
class _Batches:
    """The sentences, a batch a step."""

    sentences: Sentences
    size: int

    def __len__(self) -> int:
        return -(-len(self.sentences.input_ids) // self.size)

    def __iter__(self) -> Iterator[Batch]:
        ids, labels = self.sentences.input_ids.split(self.size), self.sentences.labels.split(self.size)
        return ({"input_ids": i, "labels": j} for i, j in zip(ids, labels, strict=True))


def _versions() -> dict[str, str]:
    modules = {"torch": torch, "transformers": transformers, "lightning": lightning, "numpy": np}
    return {"python": platform.python_version(), **{name: module.__version__ for name, module in modules.items()}}
