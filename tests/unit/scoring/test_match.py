"""Answers found in texts, strictly and as published."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laser_lit.scoring.match import contains, contains_paper, f1, f1_paper, same


@pytest.mark.parametrize(
    ("text", "answer", "strict"),
    [
        ("It lies in the north.", "no", False),
        ("No, it does not.", "no", True),
        (" New\n  York City", "new york", True),
        ("C++ and C", "c++", True),
        ("in 1984, say", "1984", True),
        ("in 19845", "1984", False),
        ("the x.y", "x.y", True),
        ("the xzy", "x.y", False),
        ("", "yes", False),
        ("about 1,500 people", "500", False),
        ("about 1,500 people", "1", False),
        ("about 5.7 million", "5", False),
        ("about 5.7 million", "5.7", True),
        ("it was 5.", "5", True),
        ("1, 2, or 3", "2", True),
        ("the year 1984, 7 of them", "1984", True),
        ("Beyonce\u0301 sang", "Beyonc\u00e9", True),
        ("Beyonce\u0301 sang", "Beyonce", False),
        ("\u0930\u093e\u092e\u093e\u092f\u0923", "\u0930\u093e\u092e", False),  # Ramayana does not hold the word Ram
        ("\u0930\u093e\u092e \u0906\u092f\u093e", "\u0930\u093e\u092e", True),
    ],
)
def test_answers_are_found_as_whole_words(text: str, answer: str, strict: bool) -> None:
    assert contains(text, answer) is strict


def test_published_matching_takes_substrings() -> None:
    assert contains_paper("It lies in the north.", " No ")
    assert not contains_paper("It lies in the south.", "no")


def test_f1_is_the_harmonic_mean_of_precision_and_recall() -> None:
    assert f1("the city of Paris", "Paris") == pytest.approx(2 * 0.25 * 1 / 1.25)
    assert f1("Paris, Paris", "Paris") == pytest.approx(2 * 0.5 * 1 / 1.5)
    assert f1("Oslo", "Paris") == 0.0
    assert f1("?!", "?!") == 1.0
    assert f1("about 1,500", "500") == 0.0
    assert f1("Beyonce\u0301", "beyonc\u00e9") == 1.0
    assert f1("", "Paris") == 0.0


def test_published_f1_has_one_for_a_denominator_where_the_sum_is_less() -> None:
    assert f1_paper("the city of Paris Rome", "Paris Oslo Lima") == pytest.approx(2 * (1 / 5) * (1 / 3))
    assert f1_paper("the city of Paris", "Paris") == pytest.approx(2 * 0.25 * 1 / 1.25)
    assert f1_paper("Paris.", "Paris") == pytest.approx(2 * 0.5 * 1 / 1.5)  # the stop is a word of its own


@given(st.text(max_size=30), st.text(min_size=1, max_size=10))
def test_f1_lies_between_0_and_1(text: str, answer: str) -> None:
    assert 0 <= f1_paper(text, answer) <= 1
    assert 0 <= f1(text, answer) <= 1
    assert f1(answer, answer) == 1


@given(st.lists(st.sampled_from(["red", "no", "north", "x"]), min_size=1), st.sampled_from(["red", "no", "north"]))
def test_a_word_is_found_exactly_where_it_stands(words: list[str], answer: str) -> None:
    assert contains(" ".join(words), answer) is (answer in words)


def test_tokens_compare_without_case_and_spaces() -> None:
    assert same(" France", "france ")
    assert not same(" Fran", "France")
