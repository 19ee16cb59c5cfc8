"""Which training of a model it is: what it is called, where it is kept, and what decides it."""

from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from transformers import PreTrainedModel

from laser_lit.models.content import content_hash
from laser_lit.tasks.language import model_id


def trainings_folder(config: DictConfig) -> Path:
    """Returns the folder of all trainings of this model on this data."""
    if config.paths.results is not None:
        return Path(config.paths.results)
    return Path("results") / config.task.name / folder_name(config) / config.data.name


def folder_name(config: DictConfig) -> str:
    """Returns the model's name as a folder's."""
    return model_id(config.model).replace("/", "--")


def training_title(config: DictConfig) -> str:
    """Returns the name of a training in loggers."""
    return f"{config.task.name} {model_id(config.model)} {config.data.name}"


def what_is(model: PreTrainedModel) -> dict[str, Any]:
    """Returns what the base is: its weights, and what is made of them."""
    about = ("_name_or_path", "transformers_version", "dtype", "architectures")
    shape = {name: str(value) for name, value in model.config.to_diff_dict().items() if name not in about}
    return {"model": content_hash(model), "architecture": shape}
