"""How often each fact that is asked for was told: counted in a corpus, or by the built-in model's training."""

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import xxhash
from omegaconf import DictConfig
from rich.console import Console
from rich.progress import Progress, TextColumn, TimeElapsedColumn

from laser_lit.data.documents import check_documents, is_named, open_corpus
from laser_lit.data.example import Example, ExampleSet
from laser_lit.data.facts import build_world
from laser_lit.data.frequency import kept_frequencies
from laser_lit.errors import InputError
from laser_lit.lit.facts_folder import COUNTS, RECORD
from laser_lit.results.frequency import Frequency
from laser_lit.tasks.base import Task
from laser_lit.tasks.language import LanguageTask


@dataclass(frozen=True)
class Told:
    """How often facts and words were told.

    Attributes:
        source: for the record.
        examples: by the example's id; examples without a subject are not in it.
        words: by word; words that nothing counted are not in it.
    """

    source: Frequency
    examples: Mapping[str, int]
    words: Mapping[str, int]


def check_told(task: Task, config: DictConfig) -> None:
    """Raises an error where facts cannot be counted: examples that do not say what they are, a corpus without a text.

    Args:
        task: what is scored.
        config: the whole evaluation config.

    Raises:
        InputError: says why, and what does.
    """
    if not is_named(config.analysis.corpus):
        return
    if not any(example.subject for example in _examples(task)):
        raise InputError(
            f"analysis.corpus with data={config.data.name}: its examples do not say what they are about; counterfact "
            "and facts do, and jsonl with data.subject=FIELD"
        )
    check_documents(config.analysis.corpus)


def told(task: Task, words: Sequence[str], config: DictConfig) -> Told | None:
    """Returns how often each example's fact and some words were told; None where no one counted.

    Args:
        task: what is scored.
        words: further words.
        config: the whole evaluation config.

    Raises:
        InputError: a corpus that cannot be read.
    """
    examples = _examples(task)
    if is_named(config.analysis.corpus):
        return _in_corpus(examples, words, config)
    if config.data.world is None or not examples or config.analysis.name == "none":
        return None
    folder = Path(config.model.path)
    return _in_training(folder / COUNTS, examples, words, config) if is_of_world(folder, config.data.world) else None


def with_frequency(tables: Mapping[str, pd.DataFrame], told: Told) -> dict[str, pd.DataFrame]:
    """Returns the tables of each split with the column `frequency`, missing for examples without a subject.

    Args:
        tables: a row an example, with its id.
        told: the counts.
    """
    return {
        split: table.assign(frequency=table["id"].map(told.examples).astype("Int64")) for split, table in tables.items()
    }


def _examples(task: Task) -> tuple[Example, ...]:
    if not isinstance(task, LanguageTask) or not isinstance(task.examples, ExampleSet):
        return ()
    return task.examples.examples


def _in_corpus(examples: Sequence[Example], words: Sequence[str], config: DictConfig) -> Told:
    corpus = open_corpus(config.analysis.corpus)
    pairs = {example.id: (example.subject, example.answer) for example in examples if example.subject}
    sought = [word for word in words if word.strip()]
    with _progress(config.trainer.progress_bar) as tell:
        found = kept_frequencies(corpus, list(pairs.values()), sought, tell)
    key = None if corpus.key is None else xxhash.xxh3_64_hexdigest(corpus.key.encode())
    source = Frequency(corpus.name, "documents", found.documents, key)
    return Told(source, {id: found.pairs[pair] for id, pair in pairs.items()}, found.names)


def is_of_world(folder: Path, world: Any) -> bool:
    """Returns whether a folder has the counts of a training on this very world; those of another tell nothing of it.

    Noise makes no other world: what it said in an object's place is counted apart. A record that lacks a setting of the
    world, or has one that is not known, tells nothing either.

    Args:
        folder: of a model.
        world: the settings of the facts that are asked for.
    """
    if not (folder / COUNTS).is_file() or not (folder / RECORD).is_file():
        return False
    try:
        trained = json.loads((folder / RECORD).read_bytes())["training"]["world"]
        return set(trained) == set(world) and all(trained[name] == world[name] for name in trained if name != "noise")
    except (ValueError, KeyError, TypeError):
        return False


def _in_training(file: Path, examples: Sequence[Example], words: Sequence[str], config: DictConfig) -> Told:
    """Returns the counts of the built-in model's training; of a word, the sentences that say it of a fact."""
    content = file.read_bytes()
    counts = json.loads(content)
    said: Counter[str] = Counter()
    for fact in build_world(config.data.world).facts:
        said[fact.answer] += counts[fact.id]["true"]
        said[fact.distractor] += counts[fact.id]["noisy"]
    source = Frequency("the model's training", "training sentences", said.total(), xxhash.xxh3_64_hexdigest(content))
    by_id = {example.id: counts[example.group]["true"] for example in examples}
    return Told(source, by_id, {word: said[word] for word in words})


@contextmanager
def _progress(shown: bool) -> Iterator[Callable[[int], None] | None]:
    """Yields what is told how many documents were read; nothing where no one watches."""
    if not (shown and sys.stderr.isatty()):
        yield None
        return
    columns = (TextColumn("{task.completed:,} documents of the corpus"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("documents", total=None)
        yield lambda done: bar.update(task, completed=done)
