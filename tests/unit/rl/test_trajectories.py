"""Episodes that a policy learns from: what they hold, how an expert and its noise make them, and their files."""

from dataclasses import replace
from itertools import groupby

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sokoban_boards import random_board

from laser_lit.errors import InputError
from rl.sokoban import rules
from rl.sokoban.level import Level, room_key, room_split
from rl.sokoban.rules import ACTIONS, from_text, step
from rl.sokoban.table import SolutionTable
from rl.trajectories.generate import STARTS_A_ROOM, Noise, Rooms, play_levels, play_rooms
from rl.trajectories.trajectories import GENERIC, NO_TARGET, Trajectories

ROOMS = Rooms(6, 1, 3, 30)
PERFECT = Noise(rates=(0.0,))
LEVEL = Level.of(from_text("#######\n#@$ . #\n# $.  #\n#     #\n#######"), "small#0")


def episodes(trajectories):
    """Yields start, actions, targets, and the places of its steps, of each episode."""
    for start, first, length in zip(trajectories.starts, trajectories.first, trajectories.lengths, strict=True):
        places = slice(int(first), int(first + length))
        yield start, trajectories.actions[places].tolist(), trajectories.targets[places].tolist(), places


def same(one, other):
    """Returns whether two sets of episodes are the same bit for bit."""
    names = ("starts", "lengths", "actions", "targets")
    pairs = [(getattr(one, name), getattr(other, name)) for name in names]
    return all(a.dtype == b.dtype and np.array_equal(a, b) for a, b in pairs) and one.about == other.about


@st.composite
def any_episodes(draw):
    """Episodes of actions by chance on boards of one size, solvable or not."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    lengths = np.array(draw(st.lists(st.integers(1, 12), min_size=1, max_size=5)), np.int32)
    starts = np.stack([random_board(rng, 5, 6, 2) for _ in lengths])
    actions = rng.integers(4, size=lengths.sum()).astype(np.int8)
    return Trajectories(starts, lengths, actions, actions, {})


@given(trajectories=any_episodes())
@settings(max_examples=50)
def test_boards_and_rewards_follow_by_the_rules(trajectories):
    for number, (board, actions, _, places) in enumerate(episodes(trajectories)):
        rewards = []
        for action, tiles in zip(actions, trajectories.tiles[places], strict=True):
            assert np.array_equal(tiles, board.ravel())
            done = step(board, action)
            board = done.board
            rewards.append(done.reward)
        assert np.array_equal(trajectories.rewards[places], rewards)
        assert trajectories.solved[number] == done.solved
        to_go = [sum(rewards[at:]) for at in range(len(rewards))]
        assert trajectories.returns_to_go[places] == pytest.approx(to_go, abs=1e-9)


def test_without_noise_every_episode_is_a_shortest_solution():
    trajectories = play_rooms(ROOMS, 50, PERFECT, seed=0)
    assert len(trajectories) == 50
    assert trajectories.solved.all()
    assert np.array_equal(trajectories.targets, trajectories.actions)
    for start, actions, _, _ in episodes(trajectories):
        table = SolutionTable.of(start)
        assert ROOMS.min_moves <= table.distance[table.state(start)] == len(actions) <= ROOMS.max_moves
        assert not (start == rules.BOX_ON_TARGET).any()
        assert room_split(room_key(start)) == "train"


@given(rate=st.floats(0, 1), seed=st.integers(0, 99))
@settings(max_examples=20)
def test_targets_are_the_actions_and_end_with_what_is_lost(rate, seed):
    noise = Noise((rate,), dead_tail=2)
    for start, actions, targets, _ in episodes(play_rooms(ROOMS, 8, noise, seed=seed, max_steps=40)):
        table = SolutionTable.of(start)
        state, lost = table.state(start), len(actions)
        for at, action in enumerate(actions):
            assert table.distance[state] != 0
            if table.distance[state] < 0:
                lost = min(lost, at)
            state = table.next[state, action]
        learned = min(len(actions), lost + noise.dead_tail)
        assert targets == actions[:learned] + [NO_TARGET] * (len(actions) - learned)
        assert len(actions) == 40 or table.distance[state] == 0


def test_all_noise_is_a_random_policy():
    trajectories = play_rooms(ROOMS, 200, Noise((1.0,)), seed=0)
    counts = np.bincount(trajectories.actions, minlength=4)
    assert abs(counts / counts.sum() - 0.25).max() < 0.01
    assert 0 < trajectories.solved.mean() < 1


def test_each_episode_draws_one_of_the_rates():
    trajectories = play_rooms(ROOMS, 300, Noise((0.0, 1.0)), seed=0)
    shortest = 0
    for start, actions, _, _ in episodes(trajectories):
        table = SolutionTable.of(start)
        shortest += table.distance[table.state(start)] == len(actions)
    assert 130 <= shortest <= 170


def test_generic_noise_changes_targets_alone_and_to_one_action():
    alpha = 0.4
    plain, noisy = (play_rooms(ROOMS, 200, Noise(generic=generic, action="D"), seed=5) for generic in (0.0, alpha))
    assert same(replace(noisy, targets=plain.targets, about=plain.about), plain)
    assert np.array_equal(noisy.targets == NO_TARGET, plain.targets == NO_TARGET)
    changed = noisy.targets != plain.targets
    assert set(noisy.targets[changed]) == {GENERIC + ACTIONS.index("D")}
    assert set(noisy.labels[changed]) == {ACTIONS.index("D")}
    assert np.array_equal(noisy.labels[~changed], plain.labels[~changed])
    assert changed[plain.targets != NO_TARGET].mean() == pytest.approx(alpha, abs=0.03)


def test_no_dead_tail_leaves_nothing_to_learn_of_lost_levels():
    kept, cut = (play_rooms(ROOMS, 100, Noise((1.0,), dead_tail=tail), seed=2) for tail in (10_000, 0))
    assert np.array_equal(kept.actions, cut.actions)
    assert (kept.targets != NO_TARGET).all()
    assert 0 < (cut.targets == NO_TARGET).sum() < len(cut.targets)


@pytest.mark.parametrize("max_steps", [1, 7])
def test_episodes_are_no_longer_than_they_may_be(max_steps):
    trajectories = play_rooms(ROOMS, 50, Noise((1.0,)), seed=0, max_steps=max_steps)
    assert trajectories.lengths.max() == max_steps
    assert trajectories.about["max_steps"] == max_steps


def test_the_same_seed_gives_the_same_episodes():
    for play in (
        lambda seed: play_rooms(ROOMS, 40, Noise(generic=0.2), seed=seed),
        lambda seed: play_levels([LEVEL], 10, Noise(generic=0.2), seed=seed),
    ):
        assert same(play(3), play(3))
        assert not np.array_equal(play(3).actions, play(4).actions)


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=15)
def test_the_solver_plays_as_the_table_says(seed):
    rng = np.random.default_rng(seed)
    boards = [random_board(rng, 5, 5, 2) for _ in range(4)]
    levels = [Level.of(board, f"#{number}") for number, board in enumerate(boards) if not rules.is_solved(board)]
    tables = [SolutionTable.of(level.board) for level in levels]
    perfect = play_levels(levels, len(levels), PERFECT, seed=seed)
    starts = [table.distance[table.state(level.board)] > 0 for table, level in zip(tables, levels, strict=True)]
    assert perfect.solved[starts].all()
    noisy = play_levels(levels, 2 * len(levels), Noise((0.3,), dead_tail=0), seed=seed, max_steps=30)
    for number, (start, actions, targets, _) in enumerate(episodes(noisy)):
        assert np.array_equal(start, levels[number % len(levels)].board)
        table = tables[number % len(levels)]
        state = table.state(start)
        for action, target in zip(actions, targets, strict=True):
            assert (target == NO_TARGET) == (table.distance[state] < 0)
            state = table.next[state, action]


def test_a_room_is_begun_from_several_starts_and_its_turn_comes_again():
    trajectories = play_rooms(Rooms(7, 2), 64, PERFECT, seed=1)
    turns = [(key, list(starts)) for key, starts in groupby(trajectories.starts, room_key)]
    assert len({key for key, _ in turns}) == 64 / STARTS_A_ROOM < len(turns)
    for _, starts in turns:
        assert len(np.unique(starts, axis=0)) == len(starts) <= STARTS_A_ROOM


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"rates": ()}, r"noise rates \[\]: one or more"),
        ({"rates": (0.1, 1.5)}, r"noise rates \[0.1, 1.5\]: one or more probabilities, each in \[0, 1\]"),
        ({"rates": (float("nan"),)}, "noise rates"),
        ({"generic": 1.0}, r"generic noise 1.0: must lie in \[0, 1\)"),
        ({"generic": -0.1}, "generic noise -0.1"),
        ({"generic": float("nan")}, "generic noise nan"),
        ({"action": "X"}, "generic action 'X': must be one of U, D, L, R"),
        ({"action": "UD"}, "generic action 'UD'"),
        ({"dead_tail": -1}, "dead_tail -1: must be at least 0"),
    ],
)
def test_wrong_noise_is_refused(wrong, said):
    with pytest.raises(InputError, match=said):
        Noise(**wrong)


def test_what_cannot_be_played_is_refused():
    solved = Level.of(from_text("#####\n#@ *#\n#####"), "done#3")
    for count, max_steps in ((0, 10), (10, 0)):
        with pytest.raises(InputError, match=f"{count} trajectories of at most {max_steps} steps"):
            play_rooms(ROOMS, count, PERFECT, seed=0, max_steps=max_steps)
        with pytest.raises(InputError, match=f"{count} trajectories of at most {max_steps} steps"):
            play_levels([LEVEL], count, PERFECT, seed=0, max_steps=max_steps)
    with pytest.raises(InputError, match="seed -1: must be at least 0"):
        play_rooms(ROOMS, 1, PERFECT, seed=-1)
    with pytest.raises(InputError, match="seed -1: must be at least 0"):
        play_levels([LEVEL], 1, PERFECT, seed=-1)
    with pytest.raises(InputError, match="given none"):
        play_levels([], 1, PERFECT, seed=0)
    with pytest.raises(InputError, match="have one size; given 3 × 5, 5 × 7"):
        play_levels([LEVEL, solved], 2, PERFECT, seed=0)
    with pytest.raises(InputError, match="level done#3 is solved as it begins; leave it out"):
        play_levels([solved], 1, PERFECT, seed=0)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"starts": np.zeros((2, 5), np.int8)}, r"starts \(2, 5\)"),
        ({"lengths": np.array([1, 1])}, r"lengths \(2,\) that sum to 2"),
        ({"lengths": np.array([[2]])}, r"lengths \(1, 1\)"),
        ({"actions": np.zeros(3, np.int8)}, r"actions \(3,\)"),
        ({"targets": np.zeros((2, 1), np.int8)}, r"targets \(2, 1\)"),
        ({"actions": np.array([0, 4], np.int8)}, "actions from 0 to 4: must lie in 0 to 3"),
        ({"actions": np.zeros(2)}, "actions of type float64"),
        ({"targets": np.array([-2, 0], np.int8)}, "targets from -2 to 0: must lie in -1 to 7"),
        (
            {"starts": np.stack([LEVEL.board] * 2), "lengths": np.array([2, 0])},
            "2 episodes, some without a step: there must be at least 1",
        ),
        (
            {"starts": np.zeros((0, 5, 7), np.int8), "lengths": np.zeros(0, int)}
            | {name: np.zeros(0, np.int8) for name in ("actions", "targets")},
            "0 episodes",
        ),
    ],
)
def test_episodes_that_do_not_fit_together_are_refused(changed, said):
    good = Trajectories(LEVEL.board[None], *(np.array(v, np.int8) for v in ([2], [0, 1], [0, NO_TARGET])), about={})
    with pytest.raises(InputError, match=said):
        replace(good, **changed)


def test_rooms_too_large_for_a_table_are_played_by_the_solver():
    large = play_rooms(Rooms(10, 4, 3, 60), 12, Noise((0.0, 0.1)), seed=1)
    assert len(large) == 12
    assert large.solved.mean() > 0.5
