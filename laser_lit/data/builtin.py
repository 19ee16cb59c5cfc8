"""The built-in world of noisy facts as a data set."""

import dataclasses

from laser_lit.config_data import DataConfig, FactsConfig
from laser_lit.data.example import ExampleSet
from laser_lit.data.facts import facts_examples


def load(config: DataConfig) -> ExampleSet:
    """Returns the clean questions of the world that `data.world` describes."""
    return dataclasses.replace(facts_examples(config.world or FactsConfig()), name=config.name)
