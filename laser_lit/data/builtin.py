"""The built-in world of noisy facts as a data set."""

import dataclasses

from laser_lit.config_data import DataConfig, FactsConfig
from laser_lit.data.example import ExampleSet
from laser_lit.data.facts import facts_examples
from laser_lit.errors import InputError


def load(config: DataConfig) -> ExampleSet:
    """Returns the clean questions of the world that `data.world` describes.

    Raises:
        InputError: a file or data set is given, which it does not read.
    """
    if config.path is not None or config.id is not None:
        given = f"data.path={config.path}" if config.path is not None else f"data.id={config.id}"
        raise InputError(
            f"data={config.name} is made up, so {given} would count for nothing; name its data set: data=…"
        )
    return dataclasses.replace(facts_examples(config.world or FactsConfig()), name=config.name)
