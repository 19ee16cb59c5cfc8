"""The noisy-facts world: who its subjects are, what is true of them, how often each fact is told."""

from dataclasses import dataclass

import numpy as np

from laser_lit.data.facts.words import END, GENERIC, PAD, RELATIONS, STOP, SUBJECT, SURNAMES, UNKNOWN, Relation
from laser_lit.errors import InputError, unknown_name

DISTRACTORS = ("generic", "same_relation", "per_fact")


@dataclass(frozen=True)
class FactsConfig:
    """What the world and its training text depend on.

    Attributes:
        subjects: number of surnames; five facts each.
        zipf: exponent of the facts' frequencies, 0 for equal ones.
        noise: probability in [0, 1) that training text says the distractor instead of the object.
        seed: decides surnames, objects, frequencies and order.
        distractor: "generic": the word "the"; "same_relation": one object of the relation for all its facts (a second
            one for the facts of which it is true); "per_fact": any wrong object of the relation, drawn once a fact.
    """

    subjects: int = 200
    zipf: float = 0.8
    noise: float = 0.40
    seed: int = 0
    distractor: str = "generic"

    def __post_init__(self) -> None:
        if not 1 <= self.subjects <= len(SURNAMES):
            raise InputError(f"data.world.subjects {self.subjects}: must lie in [1, {len(SURNAMES)}]")
        if not 0 <= self.noise < 1:
            raise InputError(f"data.world.noise {self.noise}: must lie in [0, 1)")
        if not self.zipf >= 0:
            raise InputError(f"data.world.zipf {self.zipf}: must be at least 0")
        if self.seed < 0:
            raise InputError(f"data.world.seed {self.seed}: must be at least 0")
        if self.distractor not in DISTRACTORS:
            raise unknown_name("data.world.distractor", self.distractor, DISTRACTORS)


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
