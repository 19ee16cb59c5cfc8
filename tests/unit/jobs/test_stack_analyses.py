"""Which analyses of a stack a run makes, and what stops it before anything is scored."""

import pytest
from families import FAMILIES

from laser_lit.edits.edit import Edit
from laser_lit.edits.stack import Stack
from laser_lit.errors import InputError
from laser_lit.jobs.check_analysis import check_analysis
from laser_lit.jobs.stack_analyses import stack_plan
from laser_lit.models.matrices import find_matrices

EDITS = [Edit(layer, matrix, rank=2) for layer in (0, 1) for matrix in ("fc_in", "fc_out", "q_proj")]


class NoText:
    """A task whose model predicts no next token."""

    id = "policy"
    matrices = find_matrices(FAMILIES["gptj"]())


def plan_of(config, count, *, edited=True):
    return stack_plan(NoText(), config, Stack(EDITS[:count]) if count else None, edited=edited)


@pytest.mark.parametrize(
    ("typed", "count", "path"),
    [
        ("analysis.path=null", 1, False),
        ("analysis.path=null", 2, True),
        ("analysis.path=null", 5, True),
        ("analysis.path=null", 6, False),
        ("analysis.path=true", 6, True),
        ("analysis.path=false", 2, False),
    ],
)
def test_stacks_of_a_few_edits_are_built_up(composed, typed, count, path):
    assert plan_of(composed(typed), count).path is path


def test_what_each_choice_looks_at(composed):
    default, none, storage = (plan_of(composed(f"analysis={name}"), 2) for name in ("default", "none", "storage"))
    assert (default.spectra, default.path, default.storage, default.text) == (True, True, None, None)
    assert (none.spectra, none.path, none.storage, none.text) == (False, False, None, None)
    assert (storage.spectra, storage.path) == (True, True)
    assert storage.storage.shares == (0.02, 0.25, 0.5, 0.75)  # up to 0.1 these small matrices have rank 1


def test_one_edit_is_no_path_unless_a_search_chose_it(composed):
    with pytest.raises(InputError, match=r"analysis\.path=true: the stack has 1 edit"):
        plan_of(composed("analysis.path=true"), 1)
    assert not plan_of(composed("analysis.path=true", "search=greedy"), 1).path


@pytest.mark.parametrize("name", ["path=true", "storage=[0.1]", "text.data=facts"])
def test_without_edits_there_is_nothing_to_look_at(composed, name):
    config = composed(f"analysis.{name}")
    with pytest.raises(InputError, match=f"analysis.{name.split('=')[0].split('.')[0]}: there are no edits"):
        plan_of(config, 0, edited=False)


def test_text_is_refused_before_a_search_begins(composed):
    config = composed("analysis.text.data=facts", "search=greedy")
    with pytest.raises(InputError, match="policy makes no next-token predictions"):
        plan_of(config, 0, edited=None)


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("analysis.storage=[0.5,1.5]", r"analysis.storage 1.5: each must lie in \(0, 1\]"),
        ("analysis.storage=[0]", r"analysis.storage 0.0: each must lie in \(0, 1\]"),
        ("analysis.text.window=1", "analysis.text.window 1: must be at least 1 and 2"),
        (
            "analysis.text.path=book.txt",
            "analysis.text.path=book.txt would count for nothing: say",
        ),
        ("analysis.corpus.unit=file", "analysis.corpus.unit=file would count for nothing: say what text it is"),
        ("analysis.corpus.limit=5", "analysis.corpus.limit=5 would count for nothing"),
        ("analysis=components search=grid search.kinds=[zero]", r"search.kinds=\['zero'\]: only plain low-rank edits"),
        ("analysis=all search=grid search.decomposition=blocks", "components with search.decomposition=blocks: only"),
        ("analysis.text.tokens=100", "analysis.text.tokens=100 would count for nothing"),
    ],
)
def test_settings_that_cannot_be_meant(composed, typed, words):
    with pytest.raises(InputError, match=words):
        check_analysis(composed(*typed.split()))
    check_analysis(composed("analysis=all", "search=grid"))
