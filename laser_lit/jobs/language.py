"""`task=language`: a language model under one stack, configured or searched for, and under an adapter."""

from omegaconf import DictConfig

from laser_lit.data.registry import load_data
from laser_lit.jobs.adapted import configured_adapter
from laser_lit.jobs.built_in import ensure_built_in
from laser_lit.jobs.checks import check_evaluation
from laser_lit.jobs.evaluate import run_task
from laser_lit.jobs.laser import configured_stack
from laser_lit.scoring.requests import refuse_labels
from laser_lit.tasks.language import LanguageTask
from laser_lit.tasks.several import several


def run(config: DictConfig) -> float:
    """Returns the validation objective under the configured stack or the one found, after writing the run's record.

    With an adapter it is that of the model with stack and adapter.

    Raises:
        InputError: for anything in the config that does not go together; nothing has been written then.
    """
    check_evaluation(config)
    adapter = configured_adapter(config)
    laser = configured_stack(config) if config.search.name == "none" else None
    examples = load_data(config.data)
    refuse_labels(examples)
    ensure_built_in(config)
    task = LanguageTask(config, examples)
    return run_task(several(config, task, config.search.also) if config.search.also else task, laser, config, adapter)
