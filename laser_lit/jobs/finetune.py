"""`task=finetune`: trains the modules that a list names on text, and writes the model."""

import gc
from pathlib import Path
from typing import Any

import xxhash
from omegaconf import DictConfig, OmegaConf
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from laser_lit.config import config_hash
from laser_lit.config_finetune import FinetuneConfig
from laser_lit.data.example import TextSet
from laser_lit.data.registry import load_data
from laser_lit.errors import InputError
from laser_lit.export.origin import Origin
from laser_lit.export.write import check_exportable
from laser_lit.files import check_new_folder
from laser_lit.jobs.check_finetune import check_finetune
from laser_lit.jobs.finetune_record import finetune_record, print_finetuning, result_of
from laser_lit.jobs.training import (
    CHECKPOINT,
    alone,
    announce,
    finish_training,
    finished,
    folder_name,
    training_loggers,
    trainings_folder,
    what_is,
)
from laser_lit.lit.finetuning import Finetuning
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
    lead = make_trainer(config.trainer)
    folder = trainings_folder(config) / config_hash(_content(config, model, unfrozen, windows, lead.world_size))
    name = f"{folder_name(config)}-finetuned"
    target = (folder / name if config.finetune.path is None else Path(config.finetune.path)).resolve()
    record = finished(folder, target)
    if record is not None:
        (folder / CHECKPOINT).unlink(missing_ok=True)  # a kill right after the model was written left it
        print_finetuning(record, f"trained before; remove {record['path']} to train again")
        return result_of(record)
    check_new_folder("finetune.path", target)
    training = Finetuning(_settings(config), windows, config.seed, folder / CHECKPOINT)
    if not lead.is_global_zero:
        return result_of(finetune_record(text, windows, unfrozen, training.fit(model, config.trainer), config))
    with alone(folder):
        announce(training)
        loggers = training_loggers(config)
        curve = training.fit(model, config.trainer, loggers)
        del model
        gc.collect()  # Lightning's objects hold each other, and the model
        record = finetune_record(text, windows, unfrozen, curve, config)
        record |= {"model": model_id(config.model), "hash": folder.name, "path": str(target)}
        _publish(config, target, training.checkpoint, tokenizer, record)
        finish_training(config, folder, record, loggers, print_finetuning)
    return result_of(record)


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
    config: DictConfig, target: Path, checkpoint: Path, tokenizer: PreTrainedTokenizerBase, record: dict[str, Any]
) -> None:
    """Writes the base's checkpoint with the trained weights in it, in the base's type unless another was asked for."""
    model = config.model
    source = {"revision": model.revision, "trust_remote_code": model.trust_remote_code}
    base = load_weights(model.path, dtype=model.dtype, kind=model.kind, **source)
    take_weights(base, saved_weights(checkpoint))
    save_trained(target, base, tokenizer, Origin.at(model.path, model.revision), record)
