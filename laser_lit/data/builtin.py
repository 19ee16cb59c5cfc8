"""The built-in world of noisy facts as a data set."""

import dataclasses

from laser_lit.config_data import DataConfig, FactsWorldConfig
from laser_lit.data.example import ExampleSet
from laser_lit.data.facts import FactsConfig, facts_examples


def load(config: DataConfig) -> ExampleSet:
    """Returns the clean questions of the world that `data.world` describes."""
    world = FactsConfig(**dataclasses.asdict(config.world or FactsWorldConfig()))
    return dataclasses.replace(facts_examples(world), name=config.name)
