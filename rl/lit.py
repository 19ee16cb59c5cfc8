"""Training a policy on trajectories: what its batches are, and its loss."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.functional import cross_entropy

from laser_lit.lit.finetune import Batch, CausalLMModule
from laser_lit.lit.windows import Rows
from rl.sokoban.symmetry import symmetries
from rl.trajectories.trajectories import GENERIC, NO_TARGET, Trajectories

SORTED = 2048
"""Trajectories that are sorted by length before they are cut into packs: padding stays little, and packs differ."""


@dataclass(frozen=True)
class PolicyData:
    """What a policy is trained on, and what is held out.

    Attributes:
        train: trajectories.
        held_out: solutions of levels that are not trained on.
        steps: steps a batch, about.
        seed: of the packs.
    """

    train: Trajectories
    held_out: Trajectories
    steps: int
    seed: int

    @property
    def rows(self) -> tuple[Rows, Rows]:
        """What is trained on, and what is held out."""
        return Packs(self.train, self.steps, self.seed), Packs(self.held_out, self.steps, self.seed, symmetric=False)


@dataclass(frozen=True)
class Packs:
    """Trajectories of like length by the pack, as rows of a training: every trajectory once under every symmetry.

    Attributes:
        trajectories: the episodes.
        steps: steps a pack, about.
        seed: of the packs.
        symmetric: whether rotated and reflected boards are rows too.
    """

    trajectories: Trajectories
    steps: int
    seed: int
    symmetric: bool = True

    def __len__(self) -> int:
        return len(self._packs)

    def batch(self, rows: Sequence[int]) -> Batch:
        """Returns some packs as one batch.

        Args:
            rows: their numbers.

        Returns:
            boards (batch, steps, cells), actions, returns and labels (batch, steps); a label is NO_TARGET where a step
            is padding or is not learned from.
        """
        parts = [self.part(*self._packs[row]) for row in rows]
        longest = max(part["actions"].shape[1] for part in parts)
        return {
            name: torch.cat([_padded(part[name], longest, NO_TARGET if name == "labels" else 0) for part in parts])
            for name in parts[0]
        }

    @cached_property
    def _learned(self) -> NDArray[np.int64]:
        """How many steps of each episode there are up to the last that is learned from, at least 1."""
        source = self.trajectories
        place = np.arange(len(source.actions)) - np.repeat(source.first, source.lengths) + 1
        return np.maximum(1, np.maximum.reduceat(np.where(source.targets == NO_TARGET, 0, place), source.first))

    @cached_property
    def _packs(self) -> list[tuple[int, NDArray[np.int64]]]:
        """A symmetry's number and some episodes each."""
        shape = self.trajectories.starts.shape[1:]
        return [
            (number, pack)
            for number in range(len(symmetries(*shape)) if self.symmetric else 1)
            for pack in self.cut(np.random.default_rng([self.seed, number]).permutation(len(self.trajectories)))
        ]

    def cut(self, order: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        """Returns episodes in packs, those of like length together.

        Args:
            order: numbers of the episodes; those that are near each other may come into one pack.
        """
        packs: list[NDArray[np.int64]] = []
        for begin in range(0, len(order), SORTED):
            chunk = order[begin : begin + SORTED]
            chunk = chunk[np.argsort(self._learned[chunk], kind="stable")]
            summed = np.cumsum(self._learned[chunk])
            cuts = np.searchsorted(summed, np.arange(self.steps, summed[-1], self.steps))
            packs += [pack for pack in np.split(chunk, cuts) if len(pack)]
        return packs

    def part(self, number: int, episodes: NDArray[np.int64]) -> Batch:
        """Returns some episodes under a symmetry as a batch.

        Args:
            number: of the symmetry.
            episodes: their numbers.
        """
        source = self.trajectories
        symmetry = symmetries(*source.starts.shape[1:])[number]
        lengths = self._learned[episodes]
        steps = np.arange(lengths.max())
        real = steps < lengths[:, None]  # (batch, steps)
        places = np.where(real, source.first[episodes, None] + steps, source.first[episodes, None])
        targets = source.targets[places]
        turned = np.where(targets < GENERIC, symmetry.actions[targets % GENERIC], targets - GENERIC)  # or not turned
        labels = np.where(real & (targets != NO_TARGET), turned, NO_TARGET)
        return {
            "boards": torch.from_numpy(source.tiles[places][..., symmetry.cells]),
            "actions": torch.from_numpy(symmetry.actions[source.actions[places]].astype(np.int64)),
            "returns": torch.from_numpy(source.returns_to_go[places].astype(np.float32)),
            "labels": torch.from_numpy(labels.astype(np.int64)),
        }


def _padded(part: torch.Tensor, steps: int, value: int) -> torch.Tensor:
    """Returns (batch, steps, …) with steps added at the end."""
    missing = part.new_full((len(part), steps - part.shape[1], *part.shape[2:]), value)
    return torch.cat([part, missing], 1)


class PolicyModule(CausalLMModule):
    """Training of a `Policy` to take the actions that trajectories show, by cross-entropy.

    Arguments as in CausalLMModule; those that are left out are the decision transformer's own (its Atari recipe).
    """

    def __init__(
        self,
        model: nn.Module,
        learning_rate: float,
        weight_decay: float = 0.1,
        betas: tuple[float, float] = (0.9, 0.95),
        warmup: int = 0,
        schedule: str = "cosine",
        floor: float = 0.02,
    ) -> None:
        super().__init__(model, learning_rate, weight_decay, betas, warmup, schedule, floor)

    def loss(self, batch: Batch) -> torch.Tensor:
        """Returns the mean log loss (nats) of the steps with a target."""
        logits = self.model.logits(batch["boards"], batch["actions"], batch["returns"])  # type: ignore[operator]
        return cross_entropy(logits.flatten(0, 1).float(), batch["labels"].flatten(), ignore_index=NO_TARGET)

    def count(self, batch: Batch) -> torch.Tensor:
        """Returns how many losses `loss` is the mean of."""
        return (batch["labels"] != NO_TARGET).sum()
