"""The higher-order components alone, against scoring each stack by itself and counting by hand."""

import json
from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest
import torch

from laser_lit.analyses.components import (
    AnswerVectors,
    Asked,
    ComponentPlan,
    commonest_errors,
    components,
    valid_answers,
)
from laser_lit.edits.edit import Edit
from laser_lit.edits.stack import Stack
from laser_lit.errors import InputError
from laser_lit.models.matrices import MatrixId
from laser_lit.results.components import Components
from laser_lit.results.record import jsonable

STACK = Stack([Edit(1, "fc_in", rank=3), Edit(2, "out_proj", rho=0.5)])  # 128 × 32 and 32 × 32


def plan_of(task, shares, stack=STACK):
    return ComponentPlan.of(shares, stack, stack.resolve(task.matrices))


def test_shares_are_of_the_smallest_components(make_task):
    task = make_task()
    plan = plan_of(task, [0.5, 0.1, 0.11, 0.001])
    assert plan.shares == (0.001, 0.1, 0.5, None, None)
    assert plan.kept == ((1, 1), (3, 3), (16, 16), (29, 16), (0, 0))
    assert (plan.base, plan.laser) == ((32, 32), (3, 16))
    handle = MatrixId(1, "fc_in")
    W = task.matrices[handle].read().double()
    U, S, Vh = torch.linalg.svd(W, full_matrices=False)
    for stack, (n, _) in zip(plan.stacks, plan.kept, strict=True):
        with stack.applied(task.matrices):
            left = task.matrices[handle].read().double()
        smallest = (U[:, 32 - n :] * S[32 - n :]) @ Vh[32 - n :]
        torch.testing.assert_close(left, smallest, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("edits", "message"),
    [
        ([Edit(0, "fc_in", kind="zero")], "layer 0 fc_in has a zero edit, and only plain low-rank ones"),
        ([Edit(0, "fc_in", rank=2, kind="high_order")], "has a high_order edit"),
        ([Edit(0, "fc_in", rho=0.5, kind="prune")], "has a prune edit"),
        ([Edit(0, "fc_in", rank=2, decomposition="blocks", blocks=2)], "has a blocks decomposition edit"),
        ([Edit(0, "fc_in", rank=32)], "the edit of layer 0 fc_in drops no component"),
    ],
)
def test_other_edits_are_refused_in_words(make_task, edits, message):
    with pytest.raises(InputError, match=message):
        plan_of(make_task(), [0.5], Stack(edits))


def test_a_matrix_that_is_edited_twice_is_refused(make_task):
    with pytest.raises(InputError, match="layer 0 fc_in is edited twice"):
        plan_of(make_task(), [0.5], Stack([Edit(0, "fc_in", rank=5), Edit(0, "fc_in", rank=3)], combine="in_order"))


class Letters:
    """Vectors of answers by hand: a letter a dimension."""

    def __call__(self, answers):
        return np.array([[float(answer == letter) for letter in "abct"] for answer in answers])


def table(predictions, answers="aabbcc", categories=("x", "x", "x", "x", "y", "y")):
    correct = [p == a for p, a in zip(predictions, answers, strict=True)]
    rows = {"id": range(6), "group": [0, 0, 1, 1, 2, 3], "category": categories, "answer": list(answers)}
    return pd.DataFrame({**rows, "prediction": list(predictions), "correct": correct})


def found(plan, base, laser, alone, **changes):
    asked = Asked(np.arange(6), {None: "t"}, valid_answers([base]), Letters())
    asked = Asked(**{**vars(asked), **changes})
    return components(plan, base, laser, [alone] * len(plan.stacks), asked)


def test_shares_are_counted_on_what_the_edit_fixes_and_on_what_is_right_anyway(make_task):
    plan = plan_of(make_task(), [0.5])
    base, laser = table("ttbbtt"), table("aabbct")  # fixed: 0, 1, 4; right anyway: 2, 3
    result = found(plan, base, laser, table("btbtcT"))
    assert (*result.generic, result.n_fixed, result.groups_fixed, result.n_right) == ("t", 3, 2, 2)
    fixed, right = result.alone[0].fixed, result.alone[0].right
    assert [share.value for share in (fixed.accuracy, fixed.generic, fixed.category)] == pytest.approx(
        [1 / 3] * 2 + [2 / 3]
    )
    assert [share.value for share in (right.accuracy, right.generic, right.category)] == [0.5, 0.5, 0.5]
    assert fixed.cosine.value == pytest.approx(1 / 3)
    # right answers a, a, c: b meets none of them, t none, c a third
    assert fixed.closer.value == pytest.approx((0 + 0 + (1 - 1 / 3)) / 3)
    assert [(word.text, word.share) for word in fixed.words] == [("b", 1 / 3), ("t", 1 / 3), ("c", 1 / 3)]
    assert [part.name for part in result.alone] == ["bottom 50 %", "dropped by LASER"]
    assert (result.zeroed.kept, result.zeroed.name) == ((0, 0), "zeroed")
    assert result.base.fixed.generic.value == 1.0
    assert result.generic_added.value == 0.0
    assert result.laser.fixed.accuracy.value == 1.0


def test_only_rows_that_are_looked_at_count(make_task):
    plan = plan_of(make_task(), [0.5])
    result = found(plan, table("ttbbtt"), table("aabbct"), table("tttttt"), rows=np.array([0, 4]))
    assert (result.n_fixed, result.n_right, result.left_out, result.alone[0].right) == (2, 0, 4, None)


def test_without_categories_errors_or_anything_fixed(make_task):
    plan = plan_of(make_task(), [0.5])
    none = table("ttbbtt", categories=[None] * 6)
    result = found(plan, none, table("aabbct", categories=[None] * 6), none, generic={})
    assert (result.base.fixed.category, result.base.fixed.generic) == (None, None)
    assert found(plan, table("ttbbtt"), table("ttbbtt"), table("tttttt")) is None


def test_the_generic_word_is_the_commonest_error():
    assert commonest_errors(table("ttbbtc")) == {"x": "t", "y": "t"}
    assert commonest_errors(table("ttbbtc", categories=["x"] * 5 + [None])) == {None: "t"}
    assert commonest_errors(table("aabbcc")) == {}


def test_generic_words_are_those_of_the_category(make_task):
    plan = plan_of(make_task(), [0.5])
    result = found(plan, table("ttbbtt"), table("aabbct"), table("bbbbtb"), generic={"x": "b", "y": "c"})
    assert result.generic == ("b", "c")
    assert (result.alone[0].fixed.generic.value, result.alone[0].right.generic.value) == (pytest.approx(2 / 3), 1.0)


def test_the_record_reads_what_it_writes_and_words_are_counted(make_task):
    result = found(plan_of(make_task(), [0.5]), table("ttbbtt"), table("aabbct"), table("btbtcT"))
    assert Components.of(json.loads(json.dumps(jsonable(asdict(result))))) == result
    assert set(result.words) == set("abct")
    counted = result.counted({"t": 7})
    assert [word.told for word in counted.base.fixed.words] == [7]
    assert [word.told for word in counted.alone[0].fixed.words] == [None, 7, None]


def test_vectors_of_answers_are_means_of_input_embeddings(make_task):
    task = make_task()
    weight = task.model.get_input_embeddings().weight.detach()
    one, same, two, none = AnswerVectors(weight, task.tokenizer)(["w3", "w3", "w3 w4", ""])
    ids = task.tokenizer.convert_tokens_to_ids(["w3", "w4"])
    for vector, expected in ((one, weight[ids[0]]), (same, weight[ids[0]]), (two, weight[ids].mean(0))):
        np.testing.assert_allclose(vector, (expected / expected.norm()).double(), atol=1e-6)
    assert not none.any()


def test_the_tables_are_those_of_each_stack_by_itself(make_task, further_of):
    task = make_task()
    plan = plan_of(task, [0.5])
    for stack, scored in zip(plan.stacks, further_of(task).tables(plan.stacks, "test"), strict=True):
        alone = task.score(stack, "test")
        assert scored["prediction"].tolist() == alone["prediction"].tolist()
        np.testing.assert_allclose(scored["log_loss"], alone["log_loss"], atol=1e-4)


def test_what_the_components_add_to_the_generic_word_is_paired(make_task):
    plan = plan_of(make_task(), [0.5])
    asked = Asked(np.arange(6), {None: "t"}, valid_answers([table("ttbbtt")]), Letters())
    tables = [table("tttttt"), table("tabbtt"), table("aabbtt")]  # bottom 50 %, dropped, zeroed
    result = components(plan, table("ttbbtt"), table("aabbct"), tables, asked)
    assert result.generic_added.value == pytest.approx(1 / 3)
    assert result.generic_added_right.value == 0.0
