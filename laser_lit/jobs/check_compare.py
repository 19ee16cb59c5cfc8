"""What can be said against `task=compare` before anything is loaded."""

from omegaconf import DictConfig

from laser_lit.config import EvaluateConfig
from laser_lit.errors import InputError
from laser_lit.jobs.check_adapter import check_adapter
from laser_lit.jobs.check_analysis import refuse_analyses
from laser_lit.jobs.checks import check_job, check_model
from laser_lit.jobs.typed import typed_overrides
from laser_lit.lit.trainer import make_trainer

SCORED = {
    "scoring": "nothing is scored",
    "split": "there are no splits",
    "padding": "prompts that are continued are padded on the left",
    "max_length": "a prompt is never cut",
    "normalize_choices": "nothing is scored",
    "controls": "nothing is scored",
}
"""Fields of an evaluation that scores, and why they would count for nothing here."""


def check_compare(config: DictConfig) -> None:
    """Raises an error where the values of a comparison on prompts cannot be meant or do not go together.

    Args:
        config: the whole evaluation config.

    Raises:
        InputError: says what was given, what is allowed and what to do.
    """
    settings = config.compare
    for name in ("max_new_tokens", "top"):
        if settings[name] is not None and settings[name] < 1:
            raise InputError(f"compare.{name} {settings[name]}: must be at least 1")
    _refuse_others(config)
    check_model(config)
    check_adapter(config)
    check_job(config)
    if config.laser.name == "none" and config.reft.path is None:
        raise InputError(
            "task=compare with laser=none and without reft.path: nothing stands beside the base; name edits "
            "(laser=single, laser=file …), or trained interventions with reft.path=DIR"
        )
    if make_trainer(config.trainer).world_size > 1:
        raise InputError(
            f"task=compare trainer.devices={config.trainer.devices}: one process asks all prompts; "
            "model.device_map=auto spreads a large model over several GPUs"
        )


def _refuse_others(config: DictConfig) -> None:
    if config.search.name != "none":
        raise InputError(
            f"task=compare search={config.search.name}: a search needs answers that can be scored. Search with "
            "task=language, then show what was found: laser=file laser.path=…/stack.yaml, or laser=stack_top3 "
            "laser.from=DIR"
        )
    if config.export.path is not None:
        raise InputError(
            f"task=compare export.path={config.export.path}: export with task=language, then ask the export"
        )
    for name, why in SCORED.items():
        if config[name] != getattr(EvaluateConfig, name):
            raise InputError(f"{name}={config[name]} counts for nothing with task=compare: {why}; leave it out")
    refuse_analyses(config)
    typed = [text for text in typed_overrides("data.") if not text.startswith("data.world.")]
    if typed:
        raise InputError(
            f"{', '.join(typed)} with task=compare: it asks the prompts of compare.prompts=[…] or compare.file=FILE "
            "and reads no data set; leave it out"
        )
