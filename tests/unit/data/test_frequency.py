"""How often documents mention facts: the same counts as by looking for every name in every document."""

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laser_lit.data.documents import Corpus
from laser_lit.data.frequency import frequencies, kept_frequencies, normalized
from laser_lit.errors import InputError

LETTERS = "ab AB _.-é\u0301ßẞ1\n"
NAMES = st.text(LETTERS, min_size=1, max_size=5).filter(normalized)
DOCUMENTS = st.lists(st.text(LETTERS, max_size=25), min_size=1, max_size=6)


def mentions(document: str, name: str) -> bool:
    """Says the rules again, by a regular expression."""
    text, form = (" ".join(unicodedata.normalize("NFC", part).casefold().split()) for part in (document, name))
    return re.search(rf"(?<!\w){re.escape(form)}(?!\w)", text) is not None


@given(DOCUMENTS, st.lists(st.tuples(NAMES, NAMES), max_size=6), st.lists(NAMES, max_size=3))
def test_counts_are_those_of_a_search_for_each_name(
    documents: list[str], pairs: list[tuple[str, str]], names: list[str]
) -> None:
    found = frequencies(iter(documents), pairs, names)
    expected = {(s, a): sum(mentions(text, s) and mentions(text, a) for text in documents) for s, a in pairs}
    assert found.pairs == expected
    sought = {*names, *(name for pair in pairs for name in pair)}
    assert found.names == {name: sum(mentions(text, name) for text in documents) for name in sought}
    assert found.documents == len(documents)


def test_whole_words_of_any_case_count_once_a_document() -> None:
    documents = ["Lima, LIMA; Peru's\ncapital", "the Peruvian town of Lima", "New \n York is not in Peru_2", "Climate"]
    found = frequencies(documents, [("Lima", "peru"), ("new york", "Peru")], ["C"])
    assert found.pairs == {("Lima", "peru"): 1, ("new york", "Peru"): 0}
    assert found.names == {"Lima": 2, "peru": 1, "new york": 1, "Peru": 1, "C": 0}


def test_names_that_overlap_and_names_within_names_are_all_found() -> None:
    found = frequencies(["new york city hall"], [("New York City", "city hall"), ("York", "New York")])
    assert set(found.pairs.values()) == {1}


def test_nothing_sought_is_no_mistake_and_nothing_to_look_in_is_one() -> None:
    assert frequencies(["a"], []).documents == 1
    with pytest.raises(InputError, match="no documents"):
        frequencies([], [("a", "b")])
    with pytest.raises(InputError, match="empty name"):
        frequencies(["a"], [("a", " \n")])


def test_progress_is_told_now_and_at_the_end() -> None:
    told: list[int] = []
    frequencies(("a" for _ in range(2500)), [("a", "b")], tell=told.append)
    assert told == [1000, 2000, 2500]


def test_counts_are_returned_though_the_cache_cannot_keep_them(tmp_path, monkeypatch):
    monkeypatch.setenv("LASER_LIT_CACHE", str(tmp_path))
    (tmp_path / "frequency").touch()
    corpus = Corpus("a text", "its key", lambda: iter(["a cat sat", "a cat"]))
    assert kept_frequencies(corpus, [("cat", "sat")]).pairs == {("cat", "sat"): 1}
