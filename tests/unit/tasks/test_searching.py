"""What a search scores with: the same numbers as a task's own scoring, whatever is kept."""

import pandas as pd
import pytest
import torch
from checkpoints import data_arguments, save_checkpoint, save_data
from weight_bits import bits, differing

from laser_lit.data.registry import load_data
from laser_lit.edits.edit import Edit
from laser_lit.edits.stack import Stack
from laser_lit.scoring.forward import score_batch
from laser_lit.scoring.together import copied
from laser_lit.tasks import searching
from laser_lit.tasks.language import LanguageTask

KINDS = ("token", "choice", "generate", "text")
BUDGETS = (1.0, 1e-4, 1e-9)  # all in memory; some in files; a pass of one sequence takes more
HELD = Edit(1, "fc_in", rank=1)
STACKS = [
    Stack([]),
    Stack([Edit(2, "fc_out", rank=3)]),
    Stack([Edit(0, "q_proj", rank=2)]),
    Stack([Edit(1, "all", rank=4), Edit(2, "out_proj", kind="zero")]),
    Stack([HELD, Edit(2, "mlp", rho=0.2)]),
    Stack([HELD, Edit(1, "fc_out", rank=1)]),
]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return {kind: save_checkpoint(tmp_path_factory.mktemp(kind) / "model", kind) for kind in ("gptj", "bert")}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return data_arguments(save_data(tmp_path_factory.mktemp("data")))


@pytest.fixture
def task(composed, folders, files):
    """Returns a maker of tasks: kind of data, kind of model, overrides."""

    def make(kind="token", model="gptj", *overrides):
        line = ["model=local", f"model.path={folders[model]}", *files[kind], "trainer=cpu"]
        config = composed(*line, "trainer.progress_bar=false", "batch_size=8", *overrides)
        return LanguageTask(config, load_data(config.data))

    return make


def assert_alike(found, expected):
    assert list(found["id"]) == list(expected["id"])
    assert list(found["group"]) == list(expected["group"])
    assert list(found["correct"]) == list(expected["correct"])
    assert found["log_loss"].tolist() == pytest.approx(expected["log_loss"].tolist(), abs=1e-5)


@pytest.mark.parametrize(
    ("kind", "model", "side", "cache_gb"),
    [
        *((kind, "gptj", "left", BUDGETS[0]) for kind in KINDS),
        *(("choice", "gptj", "right", cache_gb) for cache_gb in BUDGETS),
        ("token", "bert", "right", BUDGETS[0]),
    ],
)
def test_a_scorer_gives_what_the_task_gives(task, kind, model, side, cache_gb):
    made = task(kind, model, f"padding={side}")
    base = made.score(None, "validation")
    with made.searching("validation", cache_gb) as scorer:
        assert_alike(scorer.score(None), base)
        for stack in STACKS:
            assert_alike(scorer.score(stack), made.score(stack, "validation"))
        scorer.hold(Stack([HELD]))
        for stack in STACKS:
            assert_alike(scorer.score(stack), made.score(stack, "validation"))
    assert_alike(made.score(None, "validation"), base)


def test_rows_come_in_the_order_in_which_they_are_asked_for(task):
    made = task()
    table = made.score(STACKS[1], "validation")
    with made.searching("validation", 1.0) as scorer:
        for rows in ([3, 0, 5], [1], range(len(table))):
            assert_alike(scorer.score(STACKS[1], rows), table.iloc[list(rows)])
        whole = scorer.score(STACKS[1])
    assert isinstance(whole, pd.DataFrame)
    assert_alike(whole, table)


def test_the_losses_are_those_of_the_table(task):
    made = task()
    rows = [4, 1, 2]
    with made.searching("validation", 1.0) as scorer:
        loss = torch.stack(list(scorer.losses(rows))).sum()
        assert float(loss.detach()) == pytest.approx(scorer.score(None, rows)["log_loss"].mean(), abs=1e-5)
    assert loss.requires_grad


@pytest.mark.parametrize(
    ("matrix", "shared"),
    [("fc_in", True), ("out_proj", True), ("mlp", False)],  # two matrices in one edit are not one matrix
)
@pytest.mark.parametrize("kind", ["choice", "token", "generate"])
def test_ranks_of_a_matrix_share_their_passes(task, kind, matrix, shared, monkeypatch):
    made = task(kind)
    held = Edit(0, "fc_out", rank=2)
    stacks = [Stack([held, Edit(2, matrix, rank=rank)]) for rank in (1, 3, 7, 20)]
    expected = [made.score(stack, "validation") for stack in stacks]
    before = bits(made.model)
    copies = []
    monkeypatch.setattr(searching, "copied", lambda batch, n: copies.append(n) or copied(batch, n))
    with made.searching("validation", 1.0) as scorer:
        assert scorer.together is False  # on a CPU
        scorer.score_many(stacks)
        assert copies == []
        scorer.together = True
        for table, own in zip(scorer.score_many(stacks), expected, strict=True):
            assert_alike(table, own)
        assert set(copies) == ({3} if shared and kind != "generate" else set())
        rows = [3, 1, 2]
        for table, own in zip(scorer.score_many(stacks, rows), expected, strict=True):
            assert_alike(table, own.iloc[rows])
    assert differing(before, made.model) == set()
    assert not any("forward" in module.__dict__ for module in made.model.modules())


def test_ranks_of_a_matrix_come_one_by_one_where_memory_runs_out(task, monkeypatch):
    made = task()
    stacks = [Stack([Edit(1, "q_proj", rank=rank)]) for rank in (1, 2, 3)]

    def fail(batch, copies):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(searching, "copied", fail)
    with made.searching("validation", 1.0) as scorer:
        scorer.together = True
        for table, stack in zip(scorer.score_many(stacks), stacks, strict=True):
            assert_alike(table, made.score(stack, "validation"))


def test_states_make_room_for_a_pass_that_runs_out_of_memory(task, monkeypatch):
    made = task("choice")
    stack = Stack([Edit(1, "q_proj", rank=2)])
    expected = made.score(stack, "validation")
    passes = []

    def fail_once(model, batch, run):
        passes.append(len(scorer._states))
        if len(passes) == 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return score_batch(model, batch, run=run)

    with made.searching("validation", 1.0) as scorer:
        monkeypatch.setattr(searching, "score_batch", fail_once)
        assert_alike(scorer.score(stack), expected)
        assert passes[1] > passes[2] == 0
        assert scorer._states.in_memory == 0 < scorer._states.in_files  # from here on
        assert_alike(scorer.score(stack), expected)
        passes[:] = [0]
        with pytest.raises(torch.OutOfMemoryError):
            scorer.score(stack)
