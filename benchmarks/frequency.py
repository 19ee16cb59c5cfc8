"""Counting how often a corpus tells facts: one pass of an automaton against looking for every name in every document.

The facts are CounterFact's, the documents paragraphs of WikiText-2, both from the folder LASER_LIT_SHARED (default
../shared). The plain loop asks `name in document` for each subject and, where it is there, for the answer; it knows no
word boundaries. It is timed on a sample of the documents, since it takes the same time for each character.
"""

import argparse
import json
import os
import random
import time
from collections.abc import Sequence
from pathlib import Path

from laser_lit.config_analysis import CorpusConfig
from laser_lit.config_data import config_folder
from laser_lit.data.documents import open_corpus
from laser_lit.data.example import ExampleSet
from laser_lit.data.frequency import Pair, frequencies
from laser_lit.data.registry import load_data, named_config

SHARED = Path(os.environ.get("LASER_LIT_SHARED", Path(__file__).resolve().parent.parent.parent / "shared"))
SAMPLE = 200
REPEATS = 3


def plain_loop(documents: Sequence[str], pairs: Sequence[Pair]) -> int:
    """Returns how many (document, pair) mention both, character by character."""
    lowered = [(subject.lower(), answer.lower()) for subject, answer in pairs]
    found = 0
    for document in documents:
        text = document.lower()
        found += sum(subject in text and answer in text for subject, answer in lowered)
    return found


def seconds(documents: Sequence[str], pairs: Sequence[Pair]) -> tuple[float, float]:
    """Returns what the automaton and the loop take for all documents, the best of REPEATS, side by side."""
    sample = random.Random(0).sample(list(documents), SAMPLE)
    share = sum(map(len, sample)) / sum(map(len, documents))
    ours, loop = [], []
    for _ in range(REPEATS):
        start = time.perf_counter()
        frequencies(documents, pairs)
        middle = time.perf_counter()
        plain_loop(sample, pairs)
        ours.append(middle - start)
        loop.append((time.perf_counter() - middle) / share)
    return min(ours), min(loop)


def main() -> None:
    """Prints documents a second of both for 100, 1,000 and all facts; the last line is JSON."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    facts = load_data(
        named_config("counterfact", config_folder(), path=str(SHARED / "data/counterfact/counterfact_5000.json"))
    )
    if not isinstance(facts, ExampleSet):
        raise TypeError("CounterFact is a set of examples")
    pairs = list(dict.fromkeys((str(example.subject), example.answer) for example in facts.examples))
    documents = list(open_corpus(CorpusConfig(path=str(SHARED / "data/wikitext-2"))).read())
    print(f"{len(documents):,} documents, {sum(map(len, documents)) / 1e6:.1f} million characters")
    figures: dict[str, float] = {}
    for n in (100, 1000, len(pairs)):
        ours, loop = seconds(documents, pairs[:n])
        print(f"{n:,} facts: {len(documents) / ours:,.0f} documents/s, plain loop {len(documents) / loop:,.0f}")
        figures[f"speedup_{n}_facts"] = round(loop / ours, 1)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
