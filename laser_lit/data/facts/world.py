"""The noisy-facts world: who its subjects are, what is true of them, how often each fact is told."""

from dataclasses import dataclass

import numpy as np

from laser_lit.config_data import FactsConfig
from laser_lit.data.facts.words import END, GENERIC, PAD, RELATIONS, STOP, SUBJECT, SURNAMES, UNKNOWN, Relation
from laser_lit.errors import InputError


@dataclass(frozen=True)
class Fact:
    """One fact: a subject, a relation and its object.

    Attributes:
        id: "relation/subject".
        relation: name of the relation.
        prompts: the paraphrases, each to be continued by the object.
        answer: the true object.
        distractor: the word that noise puts in its place.
        frequency: probability that a training sentence tells this fact.
    """

    id: str
    relation: str
    prompts: tuple[str, ...]
    answer: str
    distractor: str
    frequency: float

    @property
    def subject(self) -> str:
        """The surname that the fact is about."""
        return self.id.removeprefix(f"{self.relation}/")


@dataclass(frozen=True)
class World:
    """All facts, in the order in which they are evaluated, and the words that tell them.

    Attributes:
        config: what the world was built from.
        facts: in seeded random order.
        vocabulary: a word a token, by token id.
    """

    config: FactsConfig
    facts: tuple[Fact, ...]
    vocabulary: tuple[str, ...]


def build_world(config: FactsConfig) -> World:
    """Returns the world of a config; the same config gives the same world.

    Only `noise` leaves the world as it is: it says how the facts are told.
    """
    if config.subjects > len(SURNAMES):
        raise InputError(f"data.world.subjects {config.subjects}: must lie in [1, {len(SURNAMES)}]")
    names, objects, frequencies, order, wrong = (np.random.default_rng([config.seed, stream]) for stream in range(5))
    subjects = [SURNAMES[i] for i in names.permutation(len(SURNAMES))[: config.subjects]]
    n = config.subjects * len(RELATIONS)
    weights = 1.0 / frequencies.permutation(np.arange(1, n + 1)) ** config.zipf  # (n,)
    shares = weights / weights.sum()
    facts: list[Fact] = []
    for subject in subjects:
        for relation in RELATIONS:
            answer = int(objects.integers(len(relation.objects)))
            fact = Fact(
                id=f"{relation.name}/{subject}",
                relation=relation.name,
                prompts=_prompts(relation, subject, order),
                answer=relation.objects[answer],
                distractor=_distractor(relation, answer, config, wrong),
                frequency=float(shares[len(facts)]),
            )
            facts.append(fact)
    return World(config, tuple(facts[i] for i in order.permutation(n)), _vocabulary(subjects))


def _prompts(relation: Relation, subject: str, order: np.random.Generator) -> tuple[str, ...]:
    return tuple(relation.templates[i].replace(SUBJECT, subject) for i in order.permutation(len(relation.templates)))


def _distractor(relation: Relation, answer: int, config: FactsConfig, wrong: np.random.Generator) -> str:
    if config.distractor == "generic":
        return GENERIC
    if config.distractor == "same_relation":
        return relation.objects[0 if answer else 1]
    others = [word for i, word in enumerate(relation.objects) if i != answer]
    return others[int(wrong.integers(len(others)))]


def _vocabulary(subjects: list[str]) -> tuple[str, ...]:
    words = [PAD, UNKNOWN, END, STOP, GENERIC]
    for relation in RELATIONS:
        words += [word for template in relation.templates for word in template.split() if word != SUBJECT]
        words += relation.objects
    return tuple(dict.fromkeys([*words, *subjects]))
