"""How often a corpus tells facts: documents that mention subject and answer, for many thousand facts in one pass.

Rules: a name occurs where its characters do, upper and lower case alike, white space of any length counting as one
space, with no letter, digit or underscore just before or after it. A document counts once, however often it says it.

Source: Sharma, Ash, Misra 2023 (arXiv 2312.13558), section 5.1 and Figure 3.
"""

import json
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import ahocorasick
import xxhash

from laser_lit.data.documents import Corpus
from laser_lit.errors import InputError
from laser_lit.files import cache_folder, write_text_atomic

VERSION = 1
"""Of the rules; counts of another version are not used again."""
TOLD_EVERY = 1000
"""Documents between two words of progress."""

Pair = tuple[str, str]


@dataclass(frozen=True)
class Frequencies:
    """Documents that mention names, alone and in pairs; 0 for what none mentions.

    Attributes:
        documents: how many were read.
        pairs: documents that mention both names of a pair.
        names: documents that mention a name.
    """

    documents: int
    pairs: dict[Pair, int] = field(default_factory=dict)
    names: dict[str, int] = field(default_factory=dict)


def normalized(text: str) -> str:
    """Returns a text as it is compared: composed characters, folded case, single spaces, none at the ends.

    Args:
        text: a document or a name.
    """
    return " ".join(unicodedata.normalize("NFC", text).casefold().split())


def frequencies(
    documents: Iterable[str],
    pairs: Sequence[Pair],
    names: Sequence[str] = (),
    tell: Callable[[int], None] | None = None,
) -> Frequencies:
    """Returns how many documents mention each pair and each name, by one pass of an Aho–Corasick automaton.

    Memory holds the names and one document.

    Args:
        documents: read once, one after the other.
        pairs: (subject, answer); the answers and subjects are counted too.
        names: further names to count.
        tell: is told now and then how many documents were read.

    Raises:
        InputError: no document, or an empty name.
    """
    sought = _Sought(pairs, names)
    read = 0
    for read, document in enumerate(documents, start=1):
        sought.count(normalized(document))
        if tell is not None and read % TOLD_EVERY == 0:
            tell(read)
    if not read:
        raise InputError("the corpus has no documents, so that nothing can be counted in it; name another one")
    if tell is not None:
        tell(read)
    return sought.found(read)


class _Sought:
    """Names that are looked for, by number, and the counts so far."""

    def __init__(self, pairs: Sequence[Pair], names: Sequence[str]) -> None:
        self._pairs = dict.fromkeys((str(subject), str(answer)) for subject, answer in pairs)
        written = dict.fromkeys([*names, *(name for pair in self._pairs for name in pair)])
        self._forms = {name: normalized(name) for name in written}
        if not all(self._forms.values()):
            raise InputError("an empty name occurs everywhere: give every example a subject and an answer with letters")
        self._numbers = {form: number for number, form in enumerate(dict.fromkeys(self._forms.values()))}
        self._answers: dict[int, set[int]] = defaultdict(set)
        for pair in self._pairs:
            subject, answer = self._places(pair)
            self._answers[subject].add(answer)
        self._automaton = _automaton(self._numbers)
        self._names: Counter[int] = Counter()
        self._both: Counter[tuple[int, int]] = Counter()

    def count(self, text: str) -> None:
        """Counts one document, as `normalized`."""
        if not self._numbers:
            return
        here = set(_whole_words(self._automaton, text))
        self._names.update(here)
        for subject in here & self._answers.keys():
            self._both.update((subject, answer) for answer in self._answers[subject] & here)

    def found(self, documents: int) -> Frequencies:
        """Returns the counts by the names as they were written."""
        pairs = {pair: self._both[self._places(pair)] for pair in self._pairs}
        names = {name: self._names[self._numbers[form]] for name, form in self._forms.items()}
        return Frequencies(documents, pairs, names)

    def _places(self, pair: Pair) -> tuple[int, int]:
        subject, answer = (self._numbers[self._forms[name]] for name in pair)
        return subject, answer


def _automaton(numbers: dict[str, int]) -> ahocorasick.Automaton:
    automaton = ahocorasick.Automaton()
    for name, number in numbers.items():
        automaton.add_word(name, (number, len(name)))
    automaton.make_automaton()
    return automaton


def _whole_words(automaton: ahocorasick.Automaton, text: str) -> Iterator[int]:
    """Yields the number of each name where it stands as whole words."""
    last = len(text) - 1
    for end, (number, length) in automaton.iter(text):
        start = end - length + 1
        if (end == last or not _is_word(text[end + 1])) and (start == 0 or not _is_word(text[start - 1])):
            yield number


def _is_word(character: str) -> bool:
    return character.isalnum() or character == "_"


def kept_frequencies(
    corpus: Corpus, pairs: Sequence[Pair], names: Sequence[str] = (), tell: Callable[[int], None] | None = None
) -> Frequencies:
    """Returns what `frequencies` returns, from the cache folder where the same was counted in the same text before.

    Args:
        corpus: one without a key is read anew each time.
        pairs: as in `frequencies`.
        names: as in `frequencies`.
        tell: as in `frequencies`.

    Raises:
        InputError: as `frequencies`, or a file that cannot be read.
    """
    if corpus.key is None:
        return frequencies(corpus.read(), pairs, names, tell)
    sought = json.dumps([VERSION, corpus.key, sorted(set(pairs)), sorted(set(names))])
    file = cache_folder() / "frequency" / f"{xxhash.xxh3_128_hexdigest(sought.encode())}.json"
    if file.is_file():
        kept = json.loads(file.read_bytes())
        return Frequencies(kept["documents"], {(s, a): n for s, a, n in kept["pairs"]}, kept["names"])
    found = frequencies(corpus.read(), pairs, names, tell)
    listed = [[subject, answer, n] for (subject, answer), n in found.pairs.items()]
    with suppress(OSError):  # what has been counted is not lost with its place in the cache
        write_text_atomic(file, json.dumps({"documents": found.documents, "pairs": listed, "names": found.names}))
    return found
