"""Batches of episodes, and the losses on them, against loops over single steps."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from sokoban_settings import untrained

from rl import imitation
from rl.imitation import imitation_loss, imitation_losses
from rl.lit import Packs, PolicyData, PolicyModule
from rl.sokoban.rules import ACTIONS, step
from rl.sokoban.symmetry import symmetries
from rl.trajectories.generate import Noise, Rooms, play_rooms
from rl.trajectories.trajectories import NO_TARGET

STEPS = 64


@pytest.fixture(scope="module")
def trajectories():
    """Episodes with holes in what is learned: lost levels, and some targets that are left out."""
    made = play_rooms(Rooms(6, 1, 2, 10), 60, Noise((0.0, 1.0), dead_tail=0), seed=0, max_steps=15)
    targets = np.where(np.random.default_rng(0).random(len(made.targets)) < 0.1, NO_TARGET, made.targets)
    return replace(made, targets=targets.astype(np.int8))


def episodes(source):
    """Yields boards, actions, returns to go and targets of each episode, by the rules of the game."""
    for board, first, length in zip(source.starts, source.first, source.lengths, strict=True):
        places = slice(int(first), int(first + length))
        boards, rewards = [], []
        for action in source.actions[places]:
            boards.append(board)
            done = step(board, int(action))
            board = done.board
            rewards.append(done.reward)
        to_go = [sum(rewards[at:]) for at in range(len(rewards))]
        yield np.stack(boards), source.actions[places], np.array(to_go), source.targets[places]


def known(boards, actions, returns, labels):
    """Returns what an episode says up to its last target, to be counted."""
    last = max([1, *(at + 1 for at, label in enumerate(labels) if label != NO_TARGET)])
    parts = boards[:last].astype(np.int64), actions[:last], labels[:last]
    return (*(part.astype(np.int64).tobytes() for part in parts), np.rint(10 * returns[:last]).astype(int).tobytes())


def seen(batch):
    """Yields each episode of a batch, padding and all."""
    yield from zip(*(batch[name].numpy() for name in ("boards", "actions", "returns", "labels")), strict=True)


def expected(source, maps):
    found = Counter()
    for boards, actions, returns, labels in episodes(source):
        for symmetry in maps:
            mirrored = np.where(labels == NO_TARGET, NO_TARGET, symmetry.actions[labels])
            flat = boards.reshape(len(boards), -1)[:, symmetry.cells]
            found[known(flat, symmetry.actions[actions], returns, mirrored)] += 1
    return found


def test_every_episode_comes_once_under_every_symmetry(trajectories):
    packs = Packs(trajectories, STEPS, seed=3)
    found = Counter(known(*episode) for row in range(len(packs)) for episode in seen(packs.batch([row])))
    assert found == expected(trajectories, symmetries(6, 6))
    assert found.total() == 8 * len(trajectories)


def test_a_generic_target_is_the_same_action_under_every_symmetry():
    alpha, made = 0.4, play_rooms(Rooms(6, 1, 2, 10), 60, Noise((0.0,), generic=0.4, action="D"), seed=0, max_steps=15)
    packs = Packs(made, STEPS, seed=3)
    down, wrong, total = ACTIONS.index("D"), [], 0
    for row in range(len(packs)):
        batch = packs.batch([row])
        learned = batch["labels"] != NO_TARGET
        other = learned & (batch["labels"] != batch["actions"])
        wrong += batch["labels"][other].tolist()
        total += int((learned & (batch["actions"] != down)).sum())
    assert set(wrong) == {down}
    assert len(wrong) / total == pytest.approx(alpha, abs=0.03)


def test_what_is_held_out_is_not_turned(trajectories):
    held_out = PolicyData(trajectories, trajectories, STEPS, 0).rows[1]
    found = Counter(known(*episode) for row in range(len(held_out)) for episode in seen(held_out.batch([row])))
    assert found == expected(trajectories, symmetries(6, 6)[:1])


def test_packs_keep_to_their_steps_and_have_little_padding(trajectories):
    packs = Packs(trajectories, STEPS, seed=3)
    sizes = [tuple(packs.batch([row])["labels"].shape) for row in range(len(packs))]
    longest = int(trajectories.lengths.max())
    learned = [sum(len(known(*episode)[1]) // 8 for episode in seen(packs.batch([row]))) for row in range(len(packs))]
    assert max(learned) < STEPS + longest
    assert np.mean(learned) > STEPS / 2
    assert sum(learned) > 0.8 * sum(rows * steps for rows, steps in sizes)


def test_one_seed_gives_the_same_packs_and_another_others(trajectories):
    one, same, other = (Packs(trajectories, STEPS, seed) for seed in (1, 1, 2))
    batches = [[packs.batch([row]) for row in range(4)] for packs in (one, same, other)]
    equal = [
        all(torch.equal(a[name], b[name]) if a[name].shape == b[name].shape else False for name in a)
        for others in batches[1:]
        for a, b in zip(batches[0], others, strict=True)
    ]
    assert equal == [True] * 4 + [False] * 4


def test_several_packs_are_one_batch(trajectories):
    packs = Packs(trajectories, STEPS, seed=3)
    last = len(packs) - 1
    rows = [0, last, 1]
    apart, together = [packs.batch([row]) for row in rows], packs.batch(rows)
    longest = max(part["labels"].shape[1] for part in apart)
    assert len({part["labels"].shape[1] for part in apart}) > 1
    assert together["labels"].shape == (sum(len(part["labels"]) for part in apart), longest)
    begin = 0
    for part in apart:
        n, steps = part["labels"].shape
        for name, values in part.items():
            assert torch.equal(together[name][begin : begin + n, :steps], values)
        assert (together["labels"][begin : begin + n, steps:] == NO_TARGET).all()
        begin += n


@pytest.mark.parametrize("layout", ["steps", "triples"])
def test_the_loss_is_the_mean_over_steps_with_a_target(trajectories, layout):
    policy = untrained(layout=layout)
    module = PolicyModule(policy, learning_rate=1e-3)
    packs = Packs(trajectories, STEPS, seed=3)
    batch = packs.batch([0, 5])
    losses = []
    for boards, actions, returns, labels in seen(batch):
        logits = policy.logits(*(torch.from_numpy(part)[None] for part in (boards, actions, returns)))[0]
        losses += [-torch.log_softmax(logits[at], -1)[label] for at, label in enumerate(labels) if label != NO_TARGET]
    assert 0 < len(losses) < batch["labels"].numel()
    assert module.count(batch) == len(losses)
    torch.testing.assert_close(module.loss(batch), torch.stack(losses).mean(), rtol=1e-4, atol=1e-5)


@pytest.fixture
def solutions():
    """Solutions of different lengths."""
    return play_rooms(Rooms(6, 1, 2, 10), 12, Noise((0.0,)), seed=1)


def one_by_one(policy, solutions, rows):
    """Returns the mean log loss of each solution's actions, a level at a time."""
    chosen = [list(episodes(solutions))[row] for row in rows]
    for boards, actions, returns, _ in chosen:
        told = torch.from_numpy(returns.astype(np.float32))[None]
        given = torch.from_numpy(boards.reshape(1, len(boards), -1)), torch.from_numpy(actions.astype(np.int64))[None]
        logits = policy.logits(*given, told)[0]
        yield -torch.stack([torch.log_softmax(logits[at], -1)[a] for at, a in enumerate(actions)]).mean()


@pytest.mark.parametrize("layout", ["steps", "triples"])
@pytest.mark.parametrize("budget", [10, 10_000])
def test_imitation_is_the_mean_loss_of_each_solution_in_the_order_of_rows(solutions, layout, budget, monkeypatch):
    monkeypatch.setattr(imitation, "STEPS", budget)
    policy, rows = untrained(layout=layout), [7, 0, 11, 3]
    assert len({int(solutions.lengths[row]) for row in rows}) > 1
    losses = imitation_losses(policy, solutions, rows)
    plain = torch.stack(list(one_by_one(policy, solutions, rows))).detach().numpy()
    np.testing.assert_allclose(losses, plain, rtol=1e-4)
    assert np.array_equal(np.argsort(losses), np.argsort(plain))
    assert len(imitation_losses(policy, solutions, range(12))) == 12


@pytest.mark.parametrize("budget", [40, 40_000])
def test_the_parts_of_the_loss_sum_to_the_mean_and_to_its_gradient(solutions, budget, monkeypatch):
    monkeypatch.setattr(imitation, "STEPS", budget)
    policy, rows = untrained(), list(range(1, 11))
    weight = policy.encoder.h[1].mlp.c_fc.weight
    parts = list(imitation_loss(policy, solutions, rows))
    assert (len(parts) > 1) is (budget == 40)
    total = sum(parts)
    (gradient,) = torch.autograd.grad(total, weight)
    mean = torch.stack(list(one_by_one(policy, solutions, rows))).mean()
    (plain,) = torch.autograd.grad(mean, weight)
    assert total.item() == pytest.approx(mean.item(), rel=1e-4)
    assert total.item() == pytest.approx(imitation_losses(policy, solutions, rows).mean(), rel=1e-4)
    torch.testing.assert_close(gradient, plain, rtol=1e-3, atol=1e-5)
    assert gradient.abs().max() > 1e-3
