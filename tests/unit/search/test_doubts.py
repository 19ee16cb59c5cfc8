"""What is said before a search that can show little."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
from searches import ROWS, FakeScorer

from laser_lit.results.multiple import max_t
from laser_lit.search.cell import Cell
from laser_lit.search.doubts import doubts
from laser_lit.search.loop import Loop

HALF = np.where(np.arange(ROWS) % 2, 0.5, 1.5)


@pytest.fixture
def doubted(make_loop: Callable[..., Loop]) -> Callable[..., tuple[str, ...]]:
    def said(loss: np.ndarray = HALF, groups: int = 12, **options: object) -> tuple[str, ...]:
        loop = make_loop(FakeScorer(lambda _: HALF), **options)
        loop.base = Cell((), loss < 1.0, loss)
        loop.rows = dataclasses.replace(loop.rows, groups=np.array([f"group {row % groups}" for row in range(ROWS)]))
        return doubts(loop)

    return said


def test_nothing_is_said_of_a_search_that_can_show_something(doubted):
    assert doubted() == ()


def test_a_single_group_has_no_interval_and_no_p(doubted):
    (said,) = doubted(groups=1)
    assert said.startswith("All 24 validation examples are one group: no interval, and no p below 1")
    assert "data.group" in said


@pytest.mark.parametrize(("groups", "p"), [(2, "0.5"), (5, "0.0625")])
def test_few_groups_have_no_small_p(doubted, groups, p):
    (said,) = doubted(groups=groups)
    assert said.startswith(f"The 24 validation examples are {groups} groups: no p below {p}")
    assert doubted(groups=6) == ()


@pytest.mark.parametrize("groups", [1, 2, 5, 6])
def test_the_smallest_p_is_that_of_the_test(doubted, groups):
    names = [f"group {row % groups}" for row in range(ROWS)]
    p = max_t(np.ones((1, ROWS)), names)[0][0]
    assert p == 2.0 ** (1 - groups)
    assert bool(doubted(groups=groups)) is bool(p > 0.05)


def test_a_model_that_answers_nothing_or_all_cannot_gain_accuracy(doubted):
    (nothing,) = doubted(HALF + 1.0)
    assert nothing.startswith("The model answers none of the 24 validation examples")
    assert "search.objective=log_loss" in nothing
    (everything,) = doubted(HALF - 0.6)
    assert everything.startswith("The model answers all of the 24 validation examples")
    assert "search.objective=log_loss" in everything
    assert doubted(HALF + 1.0, objective="log_loss") == ()


def test_of_text_nothing_is_said_about_answers(make_loop):
    loop = make_loop(FakeScorer(lambda _: HALF + 1.0, text=True), objective="log_loss")
    assert doubts(loop) == ()
