"""When a generated text is right, where a data set's recipe has a rule of its own."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from laser_lit.data.example import ExampleSet

_NUMBER = re.compile(
    r"(?P<sign>(?<![\w.)])[-−]\$?)?"
    r"(?P<digits>(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)(?:\.[0-9]+)?|(?<!\w)\.[0-9]+)"
)
LETTERS = ("A", "B", "C", "D", "E")
"""The choices of AQuA."""


class Match(Protocol):
    """A rule that judges generated texts; a frozen dataclass, so that its fields are part of the data's fingerprint."""

    def judge(self, text: str, answers: Sequence[str]) -> tuple[str, bool]:
        """Returns what of a text is compared, and whether it is one of the answers.

        Args:
            text: the continuation alone, without special tokens.
            answers: the accepted answers, the gold one first.
        """


@dataclass(frozen=True)
class MatchedSet(ExampleSet):
    """Examples whose generated answers are judged by a rule of their own, not by whether they contain the answer.

    Attributes:
        match: the rule.
    """

    match: Match | None = None


@dataclass(frozen=True)
class AfterTrigger:
    """Right where all that follows the trigger is the answer, without outer white space; a text without it is wrong.

    Source: extract_output and compute_metrics of pyreft (examples/loreft/compute_metrics.py), commonsense.

    Attributes:
        trigger: the words that announce the answer.
    """

    trigger: str

    def judge(self, text: str, answers: Sequence[str]) -> tuple[str, bool]:
        """Returns what follows the first trigger, and whether it is one of the answers."""
        _, found, rest = text.partition(self.trigger)
        prediction = rest.strip()
        return prediction, bool(found) and prediction in [answer.strip() for answer in answers]


@dataclass(frozen=True)
class NumberOrLetter:
    """Right where the last number is near the gold one; where the gold answer is a letter, where the first one is it.

    Source: extract_answer_number and extract_answer_letter of pyreft (examples/loreft/compute_metrics.py), which are
    LLM-Adapters'. The first capital A to E counts wherever it stands, as there. Numbers are read with more care: a
    comma counts only before three digits, and a minus after a digit, letter or bracket is no sign.

    Attributes:
        tolerance: largest difference of two numbers that count as equal.
    """

    tolerance: float = 1e-3

    def judge(self, text: str, answers: Sequence[str]) -> tuple[str, bool]:
        """Returns the number or letter that was found ("" for none), and whether it is right."""
        if answers[0].strip() in LETTERS:
            letter = next((character for character in text if character in LETTERS), "")
            return letter, letter in [answer.strip() for answer in answers]
        number = last_number(text)
        if number is None:
            return "", False
        golds = [gold for answer in answers if (gold := last_number(answer)) is not None]
        return f"{number:.15g}", any(abs(number - gold) <= self.tolerance for gold in golds)


def is_number(text: str) -> bool:
    """Returns whether a text is one number and nothing else but outer white space."""
    return _NUMBER.fullmatch(text.strip()) is not None


def last_number(text: str) -> float | None:
    """Returns the last number that stands in a text, None where there is none.

    Thousands may have commas, a dollar sign may stand before or after the minus: "-$1,234.50." is -1234.5.

    Args:
        text: any.
    """
    *_, last = (None, *_NUMBER.finditer(text))
    if last is None:
        return None
    value = float(last["digits"].replace(",", ""))
    if not math.isfinite(value):  # hundreds of digits
        return None
    return -value if last["sign"] else value
