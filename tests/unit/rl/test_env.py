"""The environment of one board: gymnasium's own check, the rules, levels, seeds, and what is refused."""

import copy
import pickle

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env, data_equivalence
from hypothesis import given, settings
from hypothesis import strategies as st
from sokoban_boards import small_boards

import rl
from laser_lit.errors import InputError
from rl.sokoban import rules
from rl.sokoban.env import SokobanEnv
from rl.sokoban.level import Level, write_levels
from rl.sokoban.rules import from_text

RIGHT = 3
ONE_PUSH = from_text("#####\n#@$.#\n#####")
OTHER = from_text("#####\n#.$@#\n#####")
IDS = [id for id, spec in gymnasium.registry.items() if spec.namespace == "laser_lit"]


def test_the_environments_are_registered():
    assert rl.__doc__
    assert IDS == ["laser_lit/Sokoban-small-v0", "laser_lit/Sokoban-v0", "laser_lit/Boxoban-v0"]
    env = gymnasium.make("rl:laser_lit/Sokoban-v0")
    assert env.spec.max_episode_steps == rules.MAX_STEPS


@pytest.mark.parametrize("render_mode", [None, "ansi", "rgb_array"])
@pytest.mark.parametrize("id", IDS)
def test_gymnasium_finds_nothing_to_say(id, render_mode):
    check_env(gymnasium.make(id, render_mode=render_mode).unwrapped)


@pytest.mark.parametrize(("id", "size", "boxes"), list(zip(IDS, (6, 7, 10), (1, 2, 4), strict=True)))
def test_generated_levels_have_the_named_size(id, size, boxes):
    board, info = gymnasium.make(id).reset(seed=1)
    assert board.shape == (size, size)
    assert info == {"moved": False, "pushed": False, "on_target": 0, "boxes": boxes, "solved": False}
    rules.check_board(board)


@given(board=small_boards(), actions=st.lists(st.integers(0, 3), max_size=40))
@settings(max_examples=150, deadline=None)
def test_the_environment_obeys_the_rules(board, actions):
    env = SokobanEnv(levels=[board])
    observed, info = env.reset()
    assert np.array_equal(observed, board)
    for action in actions:
        done = rules.step(board, action)
        board = done.board
        observed, reward, terminated, truncated, info = env.step(np.int64(action))
        assert np.array_equal(observed, board)
        assert observed in env.observation_space
        assert (reward, terminated, truncated) == (done.reward, done.solved, False)
        assert info == {
            "moved": done.moved,
            "pushed": done.pushed,
            "on_target": int((board == rules.BOX_ON_TARGET).sum()),
            "boxes": int(rules.is_box(board).sum()),
            "solved": done.solved,
        }


@pytest.mark.parametrize("id", IDS)
def test_a_seed_gives_the_same_episodes(id):
    def episodes(seed):
        env = gymnasium.make(id, max_episode_steps=9)
        draw = np.random.default_rng(0)
        found = [env.reset(seed=seed)]
        for _ in range(3):
            found += [env.step(draw.integers(4)) for _ in range(9)]
            found.append(env.reset())
        return found

    first = episodes(5)
    assert data_equivalence(first, episodes(5), exact=True)
    assert not np.array_equal(first[0][0], episodes(6)[0][0])
    assert [step[3] for step in first[1:10]] == [False] * 8 + [True]


def test_environments_and_their_copies_share_no_state():
    env, other = SokobanEnv(levels=[ONE_PUSH]), SokobanEnv(levels=[ONE_PUSH])
    observed, _ = env.reset()
    other.reset()
    kept = [copy.deepcopy(env), pickle.loads(pickle.dumps(env)), other]
    env.step(RIGHT)
    observed[:] = 0
    for each in kept:
        board, reward, terminated, _, _ = each.step(RIGHT)
        assert rules.to_text(board) == "#####\n# @*#\n#####"
        assert terminated
        assert reward == pytest.approx(10.9)
    assert np.array_equal(env.reset()[0], ONE_PUSH)


def test_levels_come_from_files_boards_and_levels(tmp_path):
    levels = [Level.of(board, "made") for board in (ONE_PUSH, OTHER)]
    write_levels(levels, tmp_path / "two.txt")
    for given_levels in (tmp_path / "two.txt", str(tmp_path), levels, [ONE_PUSH, OTHER], np.stack([ONE_PUSH, OTHER])):
        env = gymnasium.make("laser_lit/Boxoban-v0", levels=given_levels)
        drawn = {env.reset(seed=seed)[0].tobytes() for seed in range(20)}
        assert drawn == {ONE_PUSH.tobytes(), OTHER.tobytes()}
        assert np.array_equal(env.reset(options={"level": np.int64(1)})[0], OTHER)
        assert np.array_equal(env.reset(options={"level": levels[1]})[0], OTHER)
    check_env(env.unwrapped)


def test_a_named_level_leaves_the_generator_as_it_is():
    env, plain = gymnasium.make("laser_lit/Sokoban-small-v0"), gymnasium.make("laser_lit/Sokoban-small-v0")
    level, _ = plain.reset(seed=3)
    env.reset(seed=3)
    assert np.array_equal(env.reset(options={"level": level.tolist()})[0], level)
    assert np.array_equal(env.reset()[0], plain.reset()[0])


@pytest.mark.parametrize("action", [4, -1, 1.0, "up", None, np.array([1])])
def test_another_action_is_refused(action):
    env = SokobanEnv(levels=[ONE_PUSH])
    env.reset()
    with pytest.raises(InputError, match="must be one of 0 up, 1 down, 2 left, 3 right"):
        env.step(action)


def test_a_step_or_picture_before_reset_is_refused():
    env = SokobanEnv(levels=[ONE_PUSH], render_mode="ansi")
    for early in (lambda: env.step(0), env.render):
        with pytest.raises(InputError, match="reset"):
            early()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"levle": 0}, "unknown option of reset 'levle'; nearest: level"),
        ({"level": 2}, "level 2: the environment has levels 0 to 1"),
        ({"level": -1}, "levels 0 to 1"),
        ({"level": from_text("######\n#@$. #\n######")}, "3 × 6 tiles: this environment's boards have 3 × 5"),
        ({"level": np.zeros((3, 5), np.int8)}, "level: a level has one player"),
        ({"level": "hard"}, "a table of tile numbers; given str"),
        ({"level": [[0, 1], [0]]}, "a table of tile numbers; given list"),
        ({"level": np.full((3, 5), 300)}, "numbers 0 to 6"),
        ({"level": ONE_PUSH / 1}, "a table of tile numbers; given ndarray"),
    ],
)
def test_other_options_are_refused_and_change_nothing(options, said):
    env = SokobanEnv(levels=[ONE_PUSH, OTHER])
    board, _ = env.reset(seed=1)
    state = env.np_random.bit_generator.state
    with pytest.raises(InputError, match=said):
        env.reset(seed=2, options=options)
    assert env.np_random.bit_generator.state == state
    assert np.array_equal(env._board(), board)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"levels": []}, "given no levels"),
        ({"levels": [ONE_PUSH, from_text("######\n#@$. #\n######")]}, "given 3 × 5, 3 × 6"),
        ({"levels": [ONE_PUSH, np.zeros((3, 5), np.int8)]}, r"levels\[1\]: a level has one player"),
        ({"levels": "nowhere.txt"}, "nowhere.txt"),
        ({"levels": 3}, "a file, a folder, or a list of levels; given int"),
        ({"size": 4}, "size 4: levels are generated with size 5 to 10"),
        ({"size": 7.0}, r"size 7\.0: levels are generated with size 5 to 10"),
        ({"size": "7"}, "size '7': levels are generated with size 5 to 10"),
        ({"boxes": 0}, "boxes 0: levels are generated with boxes 1 to 4"),
        ({"render_mode": "human"}, "unknown render_mode 'human'; allowed: ansi, rgb_array"),
        ({"tile_size": 3}, "tile_size 3: at least 6"),
    ],
)
def test_environments_that_cannot_be_made_are_refused(arguments, said):
    with pytest.raises(InputError, match=said):
        SokobanEnv(**arguments)


def test_generated_levels_have_no_numbers():
    with pytest.raises(InputError, match="generated levels have no numbers"):
        SokobanEnv().reset(options={"level": 0})
