"""`task=facts`: trains the built-in model into the cache."""

import json
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from laser_lit.config import plain
from laser_lit.config_logger import MODEL
from laser_lit.errors import InputError
from laser_lit.lit.facts_folder import RECORD, is_complete
from laser_lit.lit.facts_training import ensure_facts_model, facts_checkpoint, facts_training
from laser_lit.lit.loggers import finish_loggers, make_loggers
from laser_lit.report.wandb_training import log_training


def run(config: DictConfig) -> float:
    """Returns the last training loss (nats a token); a model that is in the cache already is not trained again.

    Raises:
        InputError: the model is not the built-in one.
    """
    if config.model.facts is None or config.data.world is None:
        raise InputError(
            f"task=facts trains the built-in model, not model={config.model.name} data={config.data.name}; "
            "use model=facts with data=facts or data=facts_distractor"
        )
    training = facts_training({**config.model.facts, "world": config.data.world})
    folder = facts_checkpoint(training)
    if is_complete(folder):
        print(f"already trained: {folder} (remove the folder to train it again)")  # noqa: T201
    else:
        output = Path(config.paths.output)
        name = f"train {config.model.name} {config.data.name}"
        loggers = make_loggers(config.logger, output, name, f"{config.task.name}-training")
        for logger in loggers:
            logger.log_hyperparams(plain(config))
        ensure_facts_model(training, progress=config.trainer.progress_bar, logger=loggers)
        record = {**_record(folder), "hash": folder.name.rpartition("-")[2]}
        log_training(loggers, record, folder, MODEL, str(config.model.name), config.logger.artifacts)
        for line in finish_loggers(loggers):
            print(line)  # noqa: T201
    record = _record(folder)
    print(f"final loss {record['final_loss']:.4f} nats a token, {record['seconds']:.0f} s, in {folder}")  # noqa: T201
    return float(record["final_loss"])


def _record(folder: Path) -> dict[str, Any]:
    """Returns the record of the training that wrote a folder."""
    found: dict[str, Any] = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    return found
