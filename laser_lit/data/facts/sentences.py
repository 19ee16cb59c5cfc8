"""Training text of the noisy-facts world."""

from dataclasses import dataclass

import numpy as np
import torch

from laser_lit.data.facts.words import PAD, STOP
from laser_lit.data.facts.world import World

IGNORED = -100
"""Label of positions without loss, as in transformers."""


@dataclass(frozen=True)
class Sentences:
    """Sentences as token ids, padded on the right.

    Attributes:
        input_ids: (n, length) int64.
        labels: (n, length) int64, the ids with IGNORED on padding.
        facts: (n,) index of the fact in `World.facts`.
        noisy: (n,) whether the distractor stands in the object's place.
    """

    input_ids: torch.Tensor
    labels: torch.Tensor
    facts: np.ndarray
    noisy: np.ndarray


def draw_sentences(world: World, size: int, generator: np.random.Generator) -> Sentences:
    """Returns freshly drawn training sentences: a fact by its frequency, any of its paraphrases, noise, a full stop.

    Args:
        world: the world whose facts are told.
        size: number of sentences.
        generator: the source of all randomness.
    """
    prompts, lengths, answers, distractors = _tables(world)
    shares = np.array([fact.frequency for fact in world.facts])
    facts = generator.choice(len(world.facts), size=size, p=shares / shares.sum())
    paraphrases = generator.integers(prompts.shape[1], size=size)
    noisy = generator.random(size) < world.config.noise

    rows, ends = np.arange(size), lengths[facts, paraphrases]
    ids = prompts[facts, paraphrases]  # (size, longest + 2)
    ids[rows, ends] = np.where(noisy, distractors[facts], answers[facts])
    ids[rows, ends + 1] = world.vocabulary.index(STOP)
    labels = np.where(np.arange(ids.shape[1]) <= ends[:, None] + 1, ids, IGNORED)
    return Sentences(torch.from_numpy(ids), torch.from_numpy(labels), facts, noisy)


def count_facts(world: World, sentences: Sentences) -> dict[str, dict[str, int]]:
    """Returns how often each fact was told, by fact id: "true" (with its object) and "noisy" (with the distractor)."""
    n = len(world.facts)
    true = np.bincount(sentences.facts[~sentences.noisy], minlength=n)
    noisy = np.bincount(sentences.facts[sentences.noisy], minlength=n)
    return {
        fact.id: {"true": t, "noisy": d} for fact, t, d in zip(world.facts, true.tolist(), noisy.tolist(), strict=True)
    }


def _tables(world: World) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Returns prompts (facts, 3, longest + 2), their lengths (facts, 3), answers and distractors (facts,) as ids."""
    ids = {word: i for i, word in enumerate(world.vocabulary)}
    words = [[prompt.split() for prompt in fact.prompts] for fact in world.facts]
    lengths = np.array([[len(prompt) for prompt in prompts] for prompts in words])
    table = np.full((*lengths.shape, lengths.max() + 2), ids[PAD], dtype=np.int64)
    for f, prompts in enumerate(words):
        for p, prompt in enumerate(prompts):
            table[f, p, : len(prompt)] = [ids[word] for word in prompt]
    answers = np.array([ids[fact.answer] for fact in world.facts])
    distractors = np.array([ids[fact.distractor] for fact in world.facts])
    return table, lengths, answers, distractors
