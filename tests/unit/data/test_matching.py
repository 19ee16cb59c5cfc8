"""What counts as the answer in a generated text: numbers, letters, and what follows a trigger."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laser_lit.data.matching import AfterTrigger, NumberOrLetter, is_number, last_number

TRIGGER = AfterTrigger("the correct answer is ")
MATH = NumberOrLetter()


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("The answer is 4.", 4),
        ("so 3 + 4 = 7", 7),
        ("$1,234.50.", 1234.5),
        ("-$1,234", -1234),
        ("$-5", -5),
        ("(-3)", -3),
        ("−7 degrees", -7),
        ("5 - 3", 3),
        ("10-3", 3),
        ("x-2", 2),
        ("1,2", 2),
        ("12,34", 34),
        ("1,234,567 of them", 1234567),
        ("it is .5", 0.5),
        ("-.5", -0.5),
        ("3.14.", 3.14),
        ("50%", 50),
        ("2,000,", 2000),
        ("10 = 4 + 6 apples\nA: 10.0", 10),
    ],
)
def test_the_last_number(text: str, number: float) -> None:
    assert last_number(text) == number


@pytest.mark.parametrize("text", ["", "none", "-", "$", ".", ",", "١٢", "½", "9" * 400])
def test_no_number(text: str) -> None:
    assert last_number(text) is None
    assert MATH.judge(text, ["0"]) == ("", False)


@given(
    before=st.text("abc $.,\n", max_size=8), number=st.floats(-1e9, 1e9, allow_nan=False), end=st.sampled_from(".,! ")
)
def test_numbers_come_back_as_they_are_written(before: str, number: float, end: str) -> None:
    for written in (f"{number:.3f}", f"{number:,.3f}"):
        text = f"{before} {written}{end}"
        assert last_number(text) == pytest.approx(number, abs=5.1e-4)
        assert MATH.judge(text, [f"{number:.3f}"])[1]
        assert not MATH.judge(text, [f"{number + 0.01:.3f}"])[1]


@given(st.text("0123456789 =+*/.ab\n", max_size=30))
def test_without_signs_and_commas_the_number_is_the_reference_s(text: str) -> None:
    expected = re.findall(r"-?\d+\.?\d*", text)
    if re.search(r"(?:^|[^0-9])\.[0-9]", text) or re.search(r"\.[0-9]+\.", text):
        return  # ".5" is five there
    assert last_number(text) == (float(expected[-1]) if expected else None)


@given(st.text(max_size=40), st.sampled_from(["A", "E", "4.0", "-1,000.5"]))
def test_no_text_is_an_exception(text: str, answer: str) -> None:
    for match in (MATH, TRIGGER):
        prediction, right = match.judge(text, [answer])
        assert isinstance(prediction, str)
        assert right in (True, False)


def test_numbers_within_a_thousandth_are_equal() -> None:
    assert MATH.judge("about 8.0009", ["8.0"]) == ("8.0009", True)
    assert MATH.judge("about 8.0011", ["8.0"]) == ("8.0011", False)
    assert MATH.judge("first 9, then 8", ["9.0"]) == ("8", False)
    assert MATH.judge("it is 1,500", ["7", "1500"]) == ("1500", True)


def test_the_first_capital_from_a_to_e_is_the_letter() -> None:
    assert MATH.judge("the answer is (C), not D", ["C"]) == ("C", True)
    assert MATH.judge("the answer is (C), not D", ["D"]) == ("C", False)
    assert MATH.judge("But it is C", ["B"]) == ("B", True)  # as the reference reads it
    assert MATH.judge("it is 5", ["A"]) == ("", False)


def test_all_that_follows_the_trigger_is_compared() -> None:
    assert TRIGGER.judge("the correct answer is  true\n", ["true"]) == ("true", True)
    assert TRIGGER.judge("Yes, the correct answer is true", ["true"]) == ("true", True)
    assert TRIGGER.judge("the correct answer is true indeed", ["true"]) == ("true indeed", False)
    assert TRIGGER.judge("the correct answer is answer12", ["answer1"]) == ("answer12", False)
    assert TRIGGER.judge("true", ["true"]) == ("", False)
    assert TRIGGER.judge("", ["true"]) == ("", False)


def test_whether_a_text_is_a_number() -> None:
    assert all(map(is_number, ("4.0", "-3", " 1,200 ")))
    assert not any(map(is_number, ("", "A", "3/4", "4 apples", "nan", "inf", "1 2")))
