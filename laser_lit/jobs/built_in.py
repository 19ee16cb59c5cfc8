"""The built-in model, trained where a job asks for it and it is missing."""

from omegaconf import DictConfig


def ensure_built_in(config: DictConfig) -> None:
    """Names the folder of the built-in model in `config.model.path`, where `model=` asks for it and no folder is named.

    Args:
        config: with `model`, `data.world` and `trainer`; training needs Lightning, which is loaded only then.
    """
    if config.model.facts is None or config.model.path is not None:
        return
    from laser_lit.lit.facts_training import ensure_facts_model, facts_training

    training = facts_training({**config.model.facts, "world": config.data.world})
    config.model.path = str(ensure_facts_model(training, progress=config.trainer.progress_bar))
