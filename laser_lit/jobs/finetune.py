"""`task=finetune`: trains the modules that a list names on text, and writes the model."""

import gc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import xxhash
from lightning.pytorch.loggers import Logger
from omegaconf import DictConfig, OmegaConf
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from laser_lit.config import config_hash
from laser_lit.config_finetune import FinetuneConfig
from laser_lit.data.example import TextSet
from laser_lit.data.registry import load_data
from laser_lit.errors import InputError
from laser_lit.export.origin import Origin
from laser_lit.export.write import check_exportable
from laser_lit.jobs.check_finetune import check_finetune
from laser_lit.jobs.finetune_record import finetune_record, print_finetuning
from laser_lit.jobs.training import CHECKPOINT, TrainingJob, run_training
from laser_lit.jobs.training_identity import folder_name, training_title, trainings_folder, what_is
from laser_lit.jobs.training_record import Record
from laser_lit.lit.finetuning import Finetuning
from laser_lit.lit.learning_curve import Curve
from laser_lit.lit.trained_model import save_trained, take_weights
from laser_lit.lit.trainer import make_trainer
from laser_lit.lit.training_checkpoint import saved_weights
from laser_lit.lit.windows import Windows, cut_windows
from laser_lit.models.finite import refuse_not_finite
from laser_lit.models.load import load_tokenizer, load_weights
from laser_lit.models.unfrozen import Unfrozen, freeze_except
from laser_lit.scoring.inputs import context_length, model_kind
from laser_lit.tasks.language import model_id

_DECIDES = (
    *("steps", "batch_size", "accumulate", "learning_rate", "weight_decay", "warmup", "schedule", "clip"),
    *("precision", "gradient_checkpointing"),
)
"""Settings that change the trained weights by themselves; windows and parameters are in the hash as what they are."""


def run(config: DictConfig) -> float:
    """Returns the loss (nats a token) on the text held out, or where nothing is, that of the last step.

    Raises:
        InputError: for anything in the config that does not go together; nothing has been written then.
    """
    patterns = check_finetune(config)
    text = load_data(config.data)
    if not isinstance(text, TextSet):
        raise InputError(
            f"task=finetune trains on text, and data={config.data.name} asks questions; "
            "take data=text data.path=FILE, wikitext2, ptb, c4 or gsm8k"
        )
    model, tokenizer = _load(config)
    unfrozen = freeze_except(model, patterns)
    windows = _windows(config, text, model, tokenizer)
    said = _content(config, model, unfrozen, windows, make_trainer(config.trainer).world_size)
    checkpoint = trainings_folder(config) / config_hash(said) / CHECKPOINT
    training = Finetuning(_settings(config), windows, config.seed, checkpoint)

    def fit(loggers: Sequence[Logger] = ()) -> Curve:
        nonlocal model
        curve = training.fit(model, config.trainer, loggers)
        del model
        gc.collect()  # Lightning's objects hold each other, and the model
        return curve

    job = TrainingJob(
        title=training_title(config),
        folder_name=f"{folder_name(config)}-finetuned",
        lead=lambda loggers: finetune_record(text, windows, unfrozen, fit(loggers), config),
        follow=fit,
        publish=lambda target, record: _publish(config, target, checkpoint, tokenizer, record),
        show=print_finetuning,
    )
    return run_training(config, training, job)


def _settings(config: DictConfig) -> FinetuneConfig:
    """Returns the settings as plain values, which Lightning's checkpoints can hold."""
    return FinetuneConfig(**OmegaConf.to_container(config.finetune, resolve=True))  # type: ignore[arg-type]


def _load(config: DictConfig) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Returns the model in the type that it trains in, and its tokenizer."""
    model = config.model
    source = {"revision": model.revision, "trust_remote_code": model.trust_remote_code}
    dtype = "bfloat16" if config.finetune.precision == "bf16-true" else "float32"
    tokenizer = load_tokenizer(model.path, **source)
    weights = load_weights(model.path, dtype=dtype, kind=model.kind, **source)
    if model_kind(weights) != "causal":
        raise InputError(f"task=finetune trains next-token models, and {model_id(model)} predicts masked tokens")
    check_exportable(weights, "dense")
    refuse_not_finite(weights)
    return weights, tokenizer


def _windows(config: DictConfig, text: TextSet, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> Windows:
    context, length = context_length(model), config.finetune.window
    if length is not None and context is not None and length > context:
        raise InputError(f"finetune.window {length}: model {model_id(config.model)} takes at most {context} tokens")
    return cut_windows(
        text,
        tokenizer,
        min(text.window, context or text.window) if length is None else length,
        seed=config.seed,
        holdout=config.finetune.holdout,
        limit=config.data.limit,
    )


def _content(
    config: DictConfig, model: PreTrainedModel, unfrozen: Unfrozen, windows: Windows, processes: int
) -> dict[str, Any]:
    """Returns everything that decides the trained weights."""
    digest = xxhash.xxh3_128()
    for part in (windows.train, windows.held_out):
        digest.update(f"{part.shape}".encode())
        digest.update(part.tobytes())
    return {
        "finetune": {name: config.finetune[name] for name in _DECIDES},
        **what_is(model),
        "dtype": config.model.dtype,
        "unfrozen": list(unfrozen.names),
        "windows": digest.hexdigest(),
        "seed": config.seed,
        "processes": processes,
    }


def _publish(
    config: DictConfig, target: Path, checkpoint: Path, tokenizer: PreTrainedTokenizerBase, record: Record
) -> None:
    """Writes the base's checkpoint with the trained weights in it, in the base's type unless another was asked for."""
    model = config.model
    source = {"revision": model.revision, "trust_remote_code": model.trust_remote_code}
    base = load_weights(model.path, dtype=model.dtype, kind=model.kind, **source)
    take_weights(base, saved_weights(checkpoint))
    save_trained(target, base, tokenizer, Origin.at(model.path, model.revision), record)
