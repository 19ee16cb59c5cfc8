"""Sokoban as a task: what `laser_lit.tasks.base` asks of one, on an untrained policy."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from sokoban_settings import sokoban_config, untrained
from weight_bits import bits, differing

from laser_lit import Edit, Stack
from laser_lit.analyses.composition import composition
from laser_lit.analyses.further import Further
from laser_lit.analyses.storage import StoragePlan, storage
from laser_lit.errors import InputError
from laser_lit.jobs.scores import gain_over
from laser_lit.tasks.base import SPLITS
from rl.rollout import rollout
from rl.sokoban.level import write_levels
from rl.sokoban.rooms import generate_levels
from rl.sokoban.rules import ACTIONS, from_text, is_solved, step
from rl.task import SokobanTask

COLUMNS = ("id", "group", "correct", "log_loss", "prompt", "answer", "prediction", "return", "steps", "optimal_steps")
STACK = Stack([Edit(layer=1, matrix="fc_in", rank=1), Edit(layer=0, matrix="out_proj", kind="zero")])
EASY = ("data.levels.max_moves=3", "data.levels.validation=40")


def task_of(*overrides, policy=None):
    return SokobanTask(sokoban_config(*EASY, *overrides), untrained(seed=6) if policy is None else policy, "policy")


@pytest.fixture
def task():
    return task_of()


def replayed(row, letters):
    """Returns whether actions solve a row's board, the rewards' sum, and their number."""
    board, rewards = from_text(row.prompt), []
    for letter in letters:
        done = step(board, ACTIONS.index(letter))
        board = done.board
        rewards.append(done.reward)
    return is_solved(board), sum(rewards), len(letters)


def test_a_row_says_what_became_of_a_level(task):
    table = task.score(None, "validation")
    assert tuple(table.columns) == COLUMNS
    assert len(table) == 40
    assert 0 < table["correct"].sum() < 40
    for row in table.itertuples():
        solved, total, steps = replayed(row, row.prediction)
        assert (row.correct, row.steps) == (solved, steps)
        assert table.loc[row.Index, "return"] == pytest.approx(total)
        assert replayed(row, row.answer)[0]
        assert len(row.answer) == row.optimal_steps <= 3
        assert row.id.endswith(row.group)
    assert (table["log_loss"] > 0).all()
    assert not table["group"].duplicated().any()
    assert set(table["group"]).isdisjoint(task.score(None, "test")["group"])


def test_its_edits_are_analysed_as_any_others(task):
    further = Further(task, {split: task.score(None, split) for split in SPLITS}, partial(gain_over, seed=0), 0.1)
    plan = StoragePlan.of([0.1, 0.5], STACK, task.matrices)
    for point, (low, pruned) in zip(
        storage(plan, STACK.resolve(task.matrices), further).points, plan.stacks, strict=True
    ):
        for split in SPLITS:
            assert point.low_rank[split].accuracy == task.score(low, split)["correct"].mean()
            assert point.pruned[split].accuracy == task.score(pruned, split)["correct"].mean()
    built = composition(STACK, {split: task.score(STACK, split) for split in SPLITS}, further)
    assert built.steps[0].test.accuracy == task.score(STACK.first(1), "test")["correct"].mean()


def test_metrics_come_from_the_table(task):
    table = task.score(None, "validation")
    metrics = task.metrics(table)
    low, high = metrics.pop("accuracy_low"), metrics.pop("accuracy_high")
    assert 0 <= low <= metrics["accuracy"] <= high <= 1
    assert low < high
    solved = table[table["correct"]]
    assert metrics == {
        "accuracy": len(solved) / 40,
        "log_loss": pytest.approx(table["log_loss"].mean()),
        "return": pytest.approx(table["return"].mean()),
        "steps_over_optimal": pytest.approx((solved["steps"] - solved["optimal_steps"]).mean()),
        "n": 40,
        "n_groups": 40,
    }
    assert task.objective(table) == metrics["accuracy"]
    none = task.metrics(table.assign(correct=False))
    assert (none["accuracy_low"], none["accuracy_high"]) == (0, pytest.approx(1 - 0.025 ** (1 / 40)))
    every = task.metrics(table.assign(correct=True))
    assert (every["accuracy_low"], every["accuracy_high"]) == (pytest.approx(0.025 ** (1 / 40)), 1)
    assert task.metrics(table[~table["correct"]])["steps_over_optimal"] is None
    unknown = table.assign(optimal_steps=pd.array([None] * len(table), dtype="Int64"))
    assert task.metrics(unknown)["steps_over_optimal"] is None


def test_the_weights_are_edited_and_come_back_bit_for_bit(task):
    before, base = bits(task.model), task.score(None, "validation")
    edited = task.score(STACK, "validation")
    assert not np.allclose(edited["log_loss"], base["log_loss"])
    assert differing(before, task.model) == set()
    pd.testing.assert_frame_equal(task.score(None, "validation"), base)


def test_the_weights_come_back_after_an_error(task, monkeypatch):
    before = bits(task.model)
    monkeypatch.setattr("rl.task.imitation_losses", lambda *_: 1 / 0)
    with task.searching("validation", 0.1) as scorer, pytest.raises(ZeroDivisionError):
        scorer.score(STACK)
    assert differing(before, task.model) == set()


def test_a_scorer_scores_what_the_task_scores_in_the_order_of_the_rows(task):
    rows = [7, 0, 31, 12]
    with task.searching("validation", 0.1) as scorer:
        for stack in (None, STACK):
            whole = task.score(stack, "validation")
            pd.testing.assert_frame_equal(scorer.score(stack), whole)
            some = scorer.score(stack, rows)
            assert some["id"].tolist() == whole["id"].iloc[rows].tolist()
            pd.testing.assert_frame_equal(some, whole.iloc[rows].reset_index(drop=True), rtol=1e-4)
        scorer.hold(STACK)
        tables = scorer.score_many([STACK, Stack([])], rows)
    assert not scorer.together
    pd.testing.assert_frame_equal(tables[0], some)
    pd.testing.assert_frame_equal(
        tables[1], task.score(None, "validation").iloc[rows].reset_index(drop=True), rtol=1e-4
    )


def test_the_losses_are_the_mean_log_loss_and_have_its_slope(task):
    weight, rows = task.model.encoder.h[1].mlp.c_fc.weight, [3, 11, 20, 5]
    with task.searching("validation", 0.1) as scorer:
        total = sum(scorer.losses(rows))
        (gradient,) = torch.autograd.grad(total, weight)

        def mean():
            return scorer.score(None, rows)["log_loss"].mean()

        assert total.item() == pytest.approx(mean(), rel=1e-5)
        along = gradient / gradient.norm()
        found = []
        for size in (0.01, -0.01):
            with torch.no_grad():
                weight.add_(size * along)
                found.append(mean())
                weight.sub_(size * along)
    assert (found[0] - found[1]) / 0.02 == pytest.approx(gradient.norm().item(), rel=0.02)


def contents(*overrides, policy=None):
    return task_of(*overrides, policy=policy).content()


def test_the_content_is_all_that_decides_the_scores_and_nothing_else(task, tmp_path):
    base = task.content()
    assert base.keys() == {"task", "model", "levels", "target_return", "max_steps"}
    same = (
        "paths.results=elsewhere",
        "policy.path=elsewhere",
        "model.path=elsewhere",
        "policy.steps=9",
        "batch_size=2",
    )
    assert contents(*same) == base
    assert contents("policy.target_return=10") == base  # what the policy was tuned to
    changed = {
        "model": contents(policy=untrained(seed=7)),
        "levels": contents("data.levels.seed=5"),
        "target_return": contents("policy.target_return=9.5"),
        "max_steps": contents("data.levels.max_steps=19"),
    }
    for name, other in changed.items():
        assert {key for key in base if base[key] != other[key]} == {name}


def test_levels_of_a_file_are_known_by_what_they_are(tmp_path):
    found = []
    for name, numbers in (("one", (0, 12)), ("two", (0, 12)), ("three", (1, 13))):
        levels = [level for split in ("validation", "test") for level in generate_levels(0, 6, 1, 13, split, 1, 3)]
        write_levels([*levels[slice(*numbers)], *levels[13:]], tmp_path / f"{name}.txt")
        few = ("data.levels.validation=12", "data.levels.test=9", "data.levels.max_steps=20")
        found.append(contents("data=boxoban", "data.levels.size=null", f"data.path={tmp_path / name}.txt", *few))
    assert found[0] == found[1] != found[2]


def test_the_target_return_is_told_to_the_policy(task):
    boards = task.levels["validation"].solutions.starts
    for target in (None, -5.0):
        typed = [] if target is None else [f"policy.target_return={target}"]
        episodes = rollout(task.model, boards, target_return=10.0 if target is None else target)
        assert task_of(*typed).score(None, "validation")["prediction"].tolist() == list(episodes.actions)
    assert task.score(None, "validation")["prediction"].tolist() != list(episodes.actions)


def test_a_record_names_policy_and_levels(task):
    described = task.describe()
    assert (
        described["model"]
        | {
            "id": "policy",
            "dtype": "float32",
            "architecture": "decision_transformer",
            "layout": "steps",
            "conditioned": True,
            "target_return": 10.0,
            "parameters": task.model.num_parameters(),
            "content": task.content()["model"],
        }
        == described["model"]
    )
    assert described["data"] == {
        "name": "rooms",
        "revision": None,
        "split": "room",
        "scoring": "solved",
        "n_validation": 40,
        "n_test": 9,
        "groups_validation": 40,
        "groups_test": 9,
    }
    assert (task.processes, task.writes, task.device) == (1, True, "cpu")


def test_there_are_no_controls(task):
    assert "many actions" in task.no_controls
    for ask in (lambda: task.answer_logits("test"), lambda: task.answer_name(0)):
        with pytest.raises(InputError, match="many actions, not one answer"):
            ask()


def test_what_does_not_go_together_is_refused(task):
    with pytest.raises(InputError, match=r"plays boards of 6 × 6, and data has 7 × 7; .* data.levels.size=6"):
        task_of("data.levels.size=7")
    with pytest.raises(InputError, match="max_steps 21: the policy was trained on episodes of at most 20 steps"):
        task_of("data.levels.max_steps=21")
    nameless = untrained()
    del nameless.config.target_return
    with pytest.raises(InputError, match=r"names no target_return, .* set policy.target_return=10"):
        task_of(policy=nameless)
    assert task_of("policy.target_return=7", policy=nameless).target_return == 7
    with pytest.raises(InputError, match=r"reft\.path: interventions are on token positions"):
        task.score(None, "test", object())
    broken = untrained()
    with torch.no_grad():
        broken.encoder.h[0].mlp.c_fc.weight[0, 0] = torch.nan
    with pytest.raises(InputError, match="NaN"):
        task_of(policy=broken)
