"""A stack built up edit by edit, against scoring each of its beginnings by itself."""

import json
from dataclasses import asdict

import pytest

from laser_lit.analyses.composition import composition
from laser_lit.edits.edit import Edit
from laser_lit.edits.stack import Stack
from laser_lit.jobs.scores import gain_over
from laser_lit.results.composition import Composition
from laser_lit.results.record import jsonable
from laser_lit.tasks.base import SPLITS

EDITS = (Edit(1, "fc_in", rank=2), Edit("all", "out_proj", rho=0.1), Edit(0, "fc_out", kind="zero"))


def built(task, further):
    stack = Stack(EDITS)
    return composition(stack, {split: task.score(stack, split) for split in SPLITS}, further)


@pytest.mark.parametrize("kind", ["token", "text"])
def test_each_step_is_the_stack_of_the_edits_so_far(make_task, further_of, kind):
    task = make_task(kind)
    further = further_of(task)
    steps = built(task, further).steps
    assert [step.added for step in steps] == [
        "layer 1 fc_in rank 2",
        "layer all out_proj rho 0.1",
        "layer 0 fc_out zero",
    ]
    for split in SPLITS:
        tables = [task.score(Stack(EDITS[:count]), split) for count in range(4)]
        for count, step in enumerate(steps, start=1):
            scored, metrics = getattr(step, split), task.metrics(tables[count])
            assert (scored.accuracy, scored.log_loss) == (metrics["accuracy"], pytest.approx(metrics["log_loss"]))
            assert scored.gain.log_loss == pytest.approx(gain_over(tables[0], tables[count], 0).log_loss, abs=1e-6)
            if count == 1:
                assert scored.against is None
            else:
                wanted = gain_over(tables[count - 1], tables[count], 0)
                assert scored.against.log_loss == pytest.approx(wanted.log_loss, abs=1e-6)
                assert scored.against.fixed == wanted.fixed


def test_several_processes_score_with_all_of_them(make_task, further_of, monkeypatch):
    task = make_task()
    further, alone = further_of(task), built(task, further_of(task))
    task.processes = 2
    monkeypatch.setattr(task, "searching", None)
    together = built(task, further)
    assert [step.test.accuracy for step in together.steps] == [step.test.accuracy for step in alone.steps]


def test_it_comes_back_from_json(make_task, further_of):
    task = make_task()
    made = built(task, further_of(task))
    assert Composition.of(json.loads(json.dumps(jsonable(asdict(made))))) == made
