"""`task=language`: one evaluation of a language model under one stack."""

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from laser_lit.data.registry import load_data
from laser_lit.errors import InputError
from laser_lit.jobs.evaluate import run_task
from laser_lit.jobs.laser import configured_stack
from laser_lit.lit.facts_training import ensure_facts_model, facts_training
from laser_lit.tasks.language import LanguageTask


def run(config: DictConfig) -> float:
    """Returns the validation objective of the model under the configured stack, after writing the run's record.

    Raises:
        InputError: for anything in the config that does not go together; nothing has been written then.
    """
    _check(config)
    laser = configured_stack(config)
    examples = load_data(config.data)
    if config.model.facts is not None:
        training = facts_training({**config.model.facts, "world": config.data.world})
        config.model.path = str(ensure_facts_model(training, progress=config.trainer.progress_bar))
    return run_task(LanguageTask(config, examples), laser, config)


def _check(config: DictConfig) -> None:
    several = config.trainer.strategy != "auto" or config.trainer.devices not in (1, "auto")
    if several and HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN:
        raise InputError(
            f"-m with trainer.devices={config.trainer.devices} trainer.strategy={config.trainer.strategy}: Lightning's "
            "processes and Hydra's multirun do not mix in one process. Use one device a job, or a launcher that gives "
            "each job its own process: pip install 'laser_lit[launch]' and hydra/launcher=joblib or submitit_local"
        )
    if config.model.path is None and config.model.facts is None:
        raise InputError(
            f"model={config.model.name} needs model.path=DIR, a folder in transformers' format or a hub id"
        )
    if (config.model.facts is None) != (config.data.world is None):
        raise InputError(
            f"model={config.model.name} data={config.data.name}: the built-in model knows the words of the built-in "
            "data and nothing else; use model=facts with data=facts"
        )
