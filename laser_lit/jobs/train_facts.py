"""`task=facts`: trains the built-in model into the cache."""

import json
from pathlib import Path

from omegaconf import DictConfig

from laser_lit.config import plain
from laser_lit.errors import InputError
from laser_lit.lit.facts_folder import RECORD, is_complete
from laser_lit.lit.facts_training import ensure_facts_model, facts_checkpoint, facts_training
from laser_lit.lit.loggers import finish_loggers, make_loggers


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
        loggers = make_loggers(config.logger, output, f"train {config.model.name} {config.data.name}")
        for logger in loggers:
            logger.log_hyperparams(plain(config))
        ensure_facts_model(training, progress=config.trainer.progress_bar, logger=loggers)
        for line in finish_loggers(loggers):
            print(line)  # noqa: T201
    record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    print(f"final loss {record['final_loss']:.4f} nats a token, {record['seconds']:.0f} s, in {folder}")  # noqa: T201
    return float(record["final_loss"])
