"""Episodes that are taken over are those that would be played."""

import numpy as np
import pytest
from sokoban_settings import untrained

import rl.played
from laser_lit import Edit, Stack
from rl.played import Played
from rl.rollout import rollout
from rl.sokoban.rooms import generate_levels

ASKED = {"target_return": 10.0, "max_steps": 20}


@pytest.fixture(scope="module")
def boards():
    return np.stack([level.board for level in generate_levels(0, 6, 1, 60, "train")])


def same(one, other):
    assert one.actions == other.actions
    assert np.array_equal(one.solved, other.solved)
    assert np.array_equal(one.steps, other.steps)
    np.testing.assert_allclose(one.returns, other.returns)


@pytest.mark.parametrize("layout", ["steps", "triples"])
@pytest.mark.parametrize("rank", [1, 16, 28])
def test_edited_policies_play_what_they_would_play(boards, layout, rank):
    policy = untrained(layout=layout)
    played = Played(policy, boards, **ASKED)
    rows = [5, 0, 17, 59, 3]
    changed = 0
    for matrix in ("q_proj", "out_proj", "fc_in", "fc_out"):
        with Stack([Edit(layer=1, matrix=matrix, rank=rank)]).applied(policy):
            whole, found = rollout(policy, boards, **ASKED), played.now(range(60))
            same(found, whole)
            same(played.now(rows), whole.take(np.array(rows)))
        changed += sum(a != b for a, b in zip(found.actions, played.episodes.actions, strict=True))
    assert 0 < changed < 4 * 60
    same(played.now(range(60)), rollout(policy, boards, **ASKED))


def test_only_what_changes_is_played(boards, monkeypatch):
    policy = untrained()
    played = Played(policy, boards, **ASKED)
    counts = []

    def counted(policy, boards, **asked):
        counts.append(len(boards))
        return rollout(policy, boards, **asked)

    monkeypatch.setattr(rl.played, "rollout", counted)
    played.now(range(60))
    assert counts == []
    with Stack([Edit(layer=0, matrix="fc_out", rank=24)]).applied(policy):
        found = played.now(range(60))
    changed = sum(a != b for a, b in zip(found.actions, played.episodes.actions, strict=True))
    assert counts == [changed]
    assert 0 < changed < 60
