"""Whether a generated text holds the answer, and its F1, strictly and as published."""

import re
import unicodedata
from collections import Counter

_MARKS = "".join(chr(code) for code in range(0x300, 0x10000) if unicodedata.category(chr(code))[0] == "M")
_LETTER = rf"[\w{re.escape(_MARKS)}]"
"""Part of a word: accents and vowel signs too, which `\\w` leaves out."""
_WORD = re.compile(rf"{_LETTER}+(?:(?<=\d)[.,]\d+)*")
_PAPER_WORD = re.compile(
    r"\.\.+|[,;:](?=\D|$)|[?!@#$%&*()\[\]{}<>\"]|--|'(?:s|m|d|ll|re|ve)\b|\w?n't|[^\s,;:?!@#$%&*()\[\]{}<>\"]+"
)


def contains(text: str, answer: str) -> bool:
    """Returns whether the answer stands in the text as whole words, whatever the case and the width of spaces.

    A number counts as one word with its points and commas: 5 stands neither in 5.7 nor in 1,500.

    Args:
        text: the continuation alone.
        answer: the gold answer, not empty.
    """
    answer = _folded(answer)
    words = r"\s+".join(re.escape(word) for word in answer.split())
    before = r"(?<!\d[.,])" if answer[:1].isdecimal() else ""
    after = r"(?![.,]\d)" if answer[-1:].isdecimal() else ""
    return re.search(rf"(?<!{_LETTER}){before}{words}(?!{_LETTER}){after}", _folded(text)) is not None


def f1(text: str, answer: str) -> float:
    """Returns the F1 of the words that text and answer share, counted with their multiplicity, in [0, 1].

    Args:
        text: the continuation alone.
        answer: the gold answer.
    """
    text, answer = _folded(text), _folded(answer)
    given, gold = Counter(_WORD.findall(text)), Counter(_WORD.findall(answer))
    if not given or not gold:
        return float(text == answer)
    shared = sum((given & gold).values())
    precision, recall = shared / given.total(), shared / gold.total()
    return 2 * precision * recall / (precision + recall) if shared else 0.0


def _folded(text: str) -> str:
    """Returns the text in lower case, accents joined to their letters, without outer white space."""
    return unicodedata.normalize("NFC", text.lower()).strip()


def contains_paper(text: str, answer: str) -> bool:
    """Returns whether the answer is a substring of the text, so that "no" is found in "north".

    Source: Metrics.generation_match of the LASER code.
    """
    return answer.strip().lower() in text.strip().lower()


def f1_paper(text: str, answer: str) -> float:
    """Returns 2PR / max(1, P + R) over the sets of words, the published score.

    Its words are NLTK's; here a pattern splits off punctuation, which agrees with NLTK on plain prose.

    Source: Metrics.f1pr_scores of the LASER code.
    """
    given, gold = _paper_words(text), _paper_words(answer)
    shared = len(given & gold)
    precision, recall = shared / max(1, len(given)), shared / max(1, len(gold))
    return 2 * precision * recall / max(1.0, precision + recall)


def _paper_words(text: str) -> set[str]:
    words = _PAPER_WORD.findall(text.strip().lower())
    if words and words[-1].endswith(".") and len(words[-1]) > 1:
        words[-1:] = [words[-1][:-1], "."]  # NLTK keeps the stop of every word but the sentence's last
    return set(words)


def same(text: str, answer: str) -> bool:
    """Returns whether a predicted token is the answer, whatever the case and the spaces around it."""
    return text.lower().strip() == answer.lower().strip()
