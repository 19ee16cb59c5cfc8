"""Boards stepped together against as many single environments under gymnasium's own wrappers, and what is refused."""

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import data_equivalence
from gymnasium.vector import AutoresetMode
from hypothesis import given, settings
from hypothesis import strategies as st
from sokoban_boards import small_boards

from laser_lit.errors import InputError
from rl.sokoban.rules import from_text
from rl.sokoban.vector_env import SokobanVectorEnv

RIGHT = 3
ONE_PUSH = from_text("######\n#@$. #\n######")
TWO_PUSHES = from_text("######\n#@$ .#\n######")
IDS = ["laser_lit/Sokoban-small-v0", "laser_lit/Sokoban-v0", "laser_lit/Boxoban-v0"]
MODES = ["NextStep", "SameStep"]


def pair(id, mode, **arguments):
    """Returns ours and gymnasium's vector environment of the same arguments."""
    ours = gymnasium.make_vec(f"rl:{id}", vectorization_mode="vector_entry_point", autoreset_mode=mode, **arguments)
    theirs = gymnasium.make_vec(
        f"rl:{id}", vectorization_mode="sync", vector_kwargs={"autoreset_mode": mode}, **arguments
    )
    return ours, theirs


def assert_same_play(ours, theirs, actions, seed=None, options=None):
    """Plays both; returns how many episodes were solved and how many truncated."""
    assert data_equivalence(
        ours.reset(seed=seed, options=options), theirs.reset(seed=seed, options=options), exact=True
    )
    solved = truncated = 0
    for each in actions:
        step = ours.step(each)
        assert data_equivalence(step, theirs.step(each), exact=True)
        solved, truncated = solved + step[2].sum(), truncated + step[3].sum()
    return solved, truncated


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("id", IDS)
def test_generated_episodes_are_those_of_single_environments(id, mode):
    ours, theirs = pair(id, mode, num_envs=3, max_episode_steps=11)
    actions = np.random.default_rng(0).integers(4, size=(30, 3))
    assert assert_same_play(ours, theirs, actions, seed=7)[1] >= 6
    assert assert_same_play(ours, theirs, actions)[1] >= 6
    assert data_equivalence(ours.np_random_seed, theirs.np_random_seed)


@pytest.mark.parametrize("mode", MODES)
@given(board=small_boards(), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_given_levels_are_played_as_by_single_environments(mode, board, seed):
    levels = [board, board[::-1].copy(), board[:, ::-1].copy()]
    ours, theirs = pair("laser_lit/Boxoban-v0", mode, num_envs=4, levels=levels, max_episode_steps=7)
    actions = np.random.default_rng(seed).integers(4, size=(40, 4))
    assert_same_play(ours, theirs, actions, seed=[seed, 1, 2, seed])
    assert_same_play(ours, theirs, actions, options={"level": 2})


@pytest.mark.parametrize("mode", MODES)
def test_solved_and_truncated_episodes_begin_anew(mode):
    ours, theirs = pair("laser_lit/Boxoban-v0", mode, num_envs=6, levels=[ONE_PUSH, TWO_PUSHES], max_episode_steps=2)
    actions = np.random.default_rng(1).choice([RIGHT, RIGHT, 0], size=(60, 6))
    solved, truncated = assert_same_play(ours, theirs, actions, seed=0)
    assert solved > 20
    assert truncated > 20


def test_the_next_step_is_the_reset():
    env = SokobanVectorEnv(2, levels=[ONE_PUSH, TWO_PUSHES], autoreset_mode=AutoresetMode.NEXT_STEP)
    env.reset(options={"level": ONE_PUSH})
    _, reward, terminated, truncated, infos = env.step([RIGHT, 0])
    assert reward.tolist() == pytest.approx([10.9, -0.1])
    assert (terminated.tolist(), truncated.tolist()) == ([True, False], [False, False])
    assert infos["pushed"].tolist() == infos["solved"].tolist() == [True, False]
    boards, reward, terminated, _, infos = env.step([RIGHT, 0])
    assert boards[0].tobytes() in (ONE_PUSH.tobytes(), TWO_PUSHES.tobytes())
    assert reward.tolist() == pytest.approx([0, -0.1])
    assert not terminated.any()
    assert not infos["moved"].any()


def test_a_same_step_reset_gives_the_end_beside_the_beginning():
    env = SokobanVectorEnv(2, levels=[ONE_PUSH], autoreset_mode="SameStep")
    env.reset()
    boards, _, terminated, _, infos = env.step(np.array([RIGHT, 0], np.int8))
    assert terminated.tolist() == [True, False]
    assert np.array_equal(boards[0], ONE_PUSH)
    assert np.array_equal(infos["final_obs"][0], from_text("######\n# @* #\n######"))
    assert infos["final_obs"][1] is None
    assert infos["final_info"]["solved"].tolist() == infos["_final_info"].tolist() == [True, False]
    assert not infos["solved"].any()


def test_without_a_limit_an_episode_goes_on():
    env = SokobanVectorEnv(1, levels=[ONE_PUSH], max_episode_steps=None)
    env.reset()
    assert not any(env.step([0])[3].any() for _ in range(200))


@pytest.mark.parametrize("id", IDS[:2])
def test_hundreds_of_boards(id):
    def played():
        env = gymnasium.make_vec(f"rl:{id}", num_envs=256, vectorization_mode="vector_entry_point")
        assert env.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
        actions = np.random.default_rng(0).integers(4, size=(5, 256))
        found = [env.reset(seed=1), *(env.step(each) for each in actions)]
        assert all(step[0] in env.observation_space for step in found)
        assert actions[0] in env.action_space
        return found

    assert data_equivalence(played(), played(), exact=True)


def test_what_was_returned_does_not_change():
    env = SokobanVectorEnv(2, levels=[ONE_PUSH], max_episode_steps=2)
    draw = np.random.default_rng(0)
    steps = [env.step(draw.integers(4, size=2)) for _ in range(9) if env._boards or env.reset()]
    arrays = [array for step in steps for array in (*step[:4], *step[4].values())]
    assert not any(np.shares_memory(a, b) for n, a in enumerate(arrays) for b in arrays[:n])


def test_pictures_are_one_a_board_and_closing_twice_is_no_error():
    env = SokobanVectorEnv(2, levels=[ONE_PUSH], render_mode="ansi")
    env.reset()
    assert env.render() == ("######\n#@$. #\n######",) * 2
    env.close()
    env.close()
    assert env.closed
    assert SokobanVectorEnv(1).render() is None


@pytest.mark.parametrize(
    ("actions", "said"),
    [
        ([0, 4], "action 4 of board 1: must be one of 0 up"),
        ([-1, 0], "action -1 of board 0"),
        ([0], r"shape \(1,\) and type int64: give 2 integers"),
        ([0.0, 1.0], "type float64"),
        (None, "give 2 integers"),
        (np.array([True, False]), "type bool"),
    ],
)
def test_other_actions_are_refused_and_change_nothing(actions, said):
    env = SokobanVectorEnv(2, levels=[ONE_PUSH])
    boards, _ = env.reset()
    with pytest.raises(InputError, match=said):
        env.step(actions)
    assert np.array_equal(env._boards.tiles, boards)


def test_a_step_or_picture_before_reset_is_refused():
    env = SokobanVectorEnv(2, levels=[ONE_PUSH], render_mode="ansi")
    for early in (lambda: env.step([0, 0]), env.render):
        with pytest.raises(InputError, match="reset"):
            early()


@pytest.mark.parametrize(
    ("reset", "said"),
    [
        ({"options": {"levels": [0, 0]}}, "unknown option of reset 'levels'; nearest: level"),
        ({"options": {"level": 1}}, "the environment has levels 0 to 0"),
        ({"options": {"level": from_text("#####\n#@$.#\n#####")}}, "3 × 5 tiles"),
        ({"seed": [1, 2, 3]}, "3 seeds for 2 boards"),
    ],
)
def test_other_resets_are_refused(reset, said):
    with pytest.raises(InputError, match=said):
        SokobanVectorEnv(2, levels=[ONE_PUSH]).reset(**reset)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"num_envs": 0}, "num_envs 0: must be at least 1"),
        ({"max_episode_steps": 0}, "max_episode_steps 0: must be at least 1"),
        ({"autoreset_mode": "Disabled"}, "unknown autoreset_mode 'Disabled'; allowed: NextStep, SameStep"),
        ({"render_mode": "human"}, "unknown render_mode"),
        ({"levels": [ONE_PUSH, ONE_PUSH[:, 1:]]}, "a hole in its outer wall"),
    ],
)
def test_environments_that_cannot_be_made_are_refused(arguments, said):
    with pytest.raises(InputError, match=said):
        SokobanVectorEnv(**arguments)
