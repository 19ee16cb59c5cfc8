"""What can be said against quantized weights before anything is loaded; light, since a scan is."""

from omegaconf import DictConfig

from laser_lit.errors import InputError, unknown_name
from laser_lit.models.quantized import QUANTIZATIONS


def check_quantization(config: DictConfig) -> None:
    """Raises an error where weights in 4 or 8 bits would have to be edited, read as matrices or trained."""
    typed = config.model.quantization
    if typed is None:
        return
    if typed not in QUANTIZATIONS:
        raise unknown_name("model.quantization", typed, QUANTIZATIONS)
    if config.task.name not in ("language", "compare", "reft"):
        raise InputError(
            f"model.quantization={typed}: task={config.task.name} needs the weights themselves; leave it out "
            "(task=reft trains beside a quantized base, and evaluate.py laser=none reft.path=DIR scores one)"
        )
    edits = config.laser.name != "none" or ("search" in config and config.search.name != "none")
    if config.task.name != "reft" and edits:
        raise InputError(f"model.quantization={typed}: quantized weights cannot be edited; say laser=none search=none")
    if config.task.name == "reft" and (config.reft.type == "lora" or config.data.name == "glue"):
        what = "reft=lora" if config.reft.type == "lora" else "a classifier (data=glue)"
        raise InputError(f"model.quantization={typed} with {what}: needs the whole weights; leave it out")
