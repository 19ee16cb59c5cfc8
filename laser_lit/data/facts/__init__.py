"""A world of noisy facts in which LASER is known to work; see docs/facts.md."""

from laser_lit.data.facts.examples import facts_examples, world_examples
from laser_lit.data.facts.sentences import IGNORED, Sentences, count_facts, draw_sentences
from laser_lit.data.facts.tokenizer import world_tokenizer
from laser_lit.data.facts.world import Fact, FactsConfig, World, build_world

__all__ = [
    "IGNORED",
    "Fact",
    "FactsConfig",
    "Sentences",
    "World",
    "build_world",
    "count_facts",
    "draw_sentences",
    "facts_examples",
    "world_examples",
    "world_tokenizer",
]
