"""The noisy-facts world as a data set of prompts and answers."""

import hashlib
import json

from laser_lit.data.example import Example, ExampleSet
from laser_lit.data.facts.world import FactsConfig, World, build_world


def facts_examples(config: FactsConfig) -> ExampleSet:
    """Returns the clean questions of a world: every paraphrase of every fact, a group a fact, a category a relation.

    Args:
        config: the world; its noise, zipf and distractor change what a model is trained on, not what is asked.
    """
    examples = world_examples(build_world(config))
    content = json.dumps([(e.id, e.prompt, e.answer) for e in examples])
    revision = hashlib.sha256(content.encode()).hexdigest()[:16]
    return ExampleSet(name="facts", scoring="token", examples=examples, revision=revision)


def world_examples(world: World) -> tuple[Example, ...]:
    """Returns the examples of a world in its own order, the paraphrases of a fact side by side."""
    return tuple(
        Example(f"{fact.id}/{i}", fact.id, prompt, fact.answer, category=fact.relation, subject=fact.subject)
        for fact in world.facts
        for i, prompt in enumerate(fact.prompts)
    )
