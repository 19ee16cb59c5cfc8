"""`task=finetune`: trains the modules that a list names on text, and writes the model."""

import gc
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import xxhash
from filelock import FileLock, Timeout
from lightning.pytorch.loggers import Logger
from omegaconf import DictConfig, OmegaConf
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from laser_lit.config import config_hash, plain
from laser_lit.config_finetune import FinetuneConfig
from laser_lit.data.example import TextSet
from laser_lit.data.registry import load_data
from laser_lit.errors import InputError
from laser_lit.export.origin import Origin
from laser_lit.export.write import check_exportable
from laser_lit.files import check_new_folder, write_text_atomic
from laser_lit.jobs.check_finetune import check_finetune
from laser_lit.jobs.finetune_record import finetune_record, print_finetuning, result_of
from laser_lit.lit.finetuning import Finetuning
from laser_lit.lit.loggers import finish_loggers, make_loggers
from laser_lit.lit.trained_model import RECORD, save_trained, take_weights
from laser_lit.lit.trainer import make_trainer
from laser_lit.lit.training_checkpoint import saved_step, saved_weights
from laser_lit.lit.windows import Windows, cut_windows
from laser_lit.models.content import content_hash
from laser_lit.models.finite import refuse_not_finite
from laser_lit.models.load import load_tokenizer, load_weights
from laser_lit.models.unfrozen import Unfrozen, freeze_except
from laser_lit.scoring.inputs import context_length, model_kind
from laser_lit.tasks.language import model_id

CHECKPOINT = "last.ckpt"
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
    folder = _results(config) / config_hash(_content(config, model, unfrozen, windows, lead.world_size))
    name = f"{_name(config)}-finetuned"
    target = (folder / name if config.finetune.path is None else Path(config.finetune.path)).resolve()
    record = _finished(folder, target)
    if record is not None:
        (folder / CHECKPOINT).unlink(missing_ok=True)  # a kill right after the model was written left it
        print_finetuning(record, f"trained before; remove {record['path']} to train again")
        return result_of(record)
    check_new_folder("finetune.path", target)
    training = Finetuning(_settings(config), windows, config.seed, folder / CHECKPOINT)
    if not lead.is_global_zero:
        return result_of(finetune_record(text, windows, unfrozen, training.fit(model, config.trainer), config))
    with _alone(folder):
        _announce(training)
        loggers = _loggers(config)
        curve = training.fit(model, config.trainer, loggers)
        del model
        gc.collect()  # Lightning's objects hold each other, and the model
        record = finetune_record(text, windows, unfrozen, curve, config)
        record |= {"model": model_id(config.model), "hash": folder.name, "path": str(target)}
        _publish(config, target, training.checkpoint, tokenizer, record)
        _finish(config, folder, record, loggers)
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
    about = ("_name_or_path", "transformers_version", "dtype", "architectures")
    return {
        "finetune": {name: config.finetune[name] for name in _DECIDES},
        "model": content_hash(model),
        "architecture": {k: str(v) for k, v in model.config.to_diff_dict().items() if k not in about},
        "dtype": config.model.dtype,
        "unfrozen": list(unfrozen.names),
        "windows": digest.hexdigest(),
        "seed": config.seed,
        "processes": processes,
    }


def _results(config: DictConfig) -> Path:
    """Returns the folder of all trainings of this model on this data."""
    if config.paths.results is not None:
        return Path(config.paths.results)
    return Path("results") / config.task.name / _name(config) / config.data.name


def _name(config: DictConfig) -> str:
    """Returns the model's name as a folder's."""
    return model_id(config.model).replace("/", "--")


def _finished(folder: Path, target: Path) -> dict[str, Any] | None:
    """Returns the record of this training if it has ended and its model is still there."""
    for place in (folder, target):
        if (place / RECORD).is_file():
            record: dict[str, Any] = json.loads((place / RECORD).read_text(encoding="utf-8"))
            if record.get("hash") == folder.name and (Path(record["path"]) / RECORD).is_file():
                return record
    return None


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keeps a second process from the same training; a kill lets go."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / "lock", timeout=0):
            yield
    except Timeout as error:
        raise InputError(f"another process is at this very training, in {folder}; wait for it") from error


def _announce(training: Finetuning) -> None:
    step, folder = saved_step(training.checkpoint), training.checkpoint.parent
    begins = f"goes on after step {step:,} of {training.settings.steps:,}" if step else "begins"
    print(f"training {begins}; its checkpoint is kept in {folder}", flush=True)  # noqa: T201


def _loggers(config: DictConfig) -> list[Logger]:
    name = f"finetune {model_id(config.model)} {config.data.name}"
    loggers = make_loggers(config.logger, Path(config.paths.output), name)
    for logger in loggers:
        logger.log_hyperparams(plain(config))
    return loggers


def _publish(
    config: DictConfig, target: Path, checkpoint: Path, tokenizer: PreTrainedTokenizerBase, record: dict[str, Any]
) -> None:
    """Writes the base's checkpoint with the trained weights in it, in the base's type unless another was asked for."""
    model = config.model
    source = {"revision": model.revision, "trust_remote_code": model.trust_remote_code}
    base = load_weights(model.path, dtype=model.dtype, kind=model.kind, **source)
    take_weights(base, saved_weights(checkpoint))
    save_trained(target, base, tokenizer, Origin.at(model.path, model.revision), record)


def _finish(config: DictConfig, folder: Path, record: dict[str, Any], loggers: Sequence[Logger]) -> None:
    """Writes the record, removes the checkpoint, and prints what came of the training."""
    text = json.dumps(record, indent=2, allow_nan=False)
    for place in (folder, Path(config.paths.output)):
        write_text_atomic(place / RECORD, text)
    (folder / CHECKPOINT).unlink(missing_ok=True)  # the model has its weights
    print_finetuning(record)
    for line in finish_loggers(list(loggers)):
        print(line)  # noqa: T201
