"""The documents of a corpus, one after the other: local files or a data set of the hub, never all in memory."""

import gzip
import itertools
import json
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from laser_lit.config_analysis import CorpusConfig
from laser_lit.data.reader import file_hash
from laser_lit.errors import InputError, unknown_name

UNITS = ("line", "paragraph", "file")
TEXT = (".txt", ".text", ".md", ".raw", ".tokens", "")
ROWS = (".jsonl", ".ndjson")
READ_FROM = {
    "unit": ("plain text", {"text"}),
    "field": ("rows", {"rows", "parquet", "saved", "splits", "hub"}),
    "split": ("data sets of the hub and saved ones with splits", {"splits", "hub"}),
    "subset": ("data sets of the hub", {"hub"}),
    "revision": ("data sets of the hub", {"hub"}),
}
"""What each setting is for, in words and as kinds of sources."""
SPLITS = "dataset_dict.json"
SAVED = ("dataset_info.json", SPLITS)
"""Files of a folder that `datasets` saved; the second, of one with splits."""

Reader = Callable[[Path, CorpusConfig], Iterator[str]]


@dataclass(frozen=True)
class Corpus:
    """Documents, to be read as often as is wanted.

    Attributes:
        name: for people.
        key: names the content and how it is cut; None where the content may change, as on a branch of the hub.
        read: yields the documents.
    """

    name: str
    key: str | None
    read: Callable[[], Iterator[str]]


def is_named(config: CorpusConfig) -> bool:
    """Returns whether a config names a corpus."""
    return config.path is not None or config.id is not None


def check_corpus(config: CorpusConfig) -> None:
    """Raises an error where the corpus cannot be meant, or is not there.

    Args:
        config: what was typed.

    Raises:
        InputError: says what was given, what is allowed and what to do.
    """
    if config.unit not in UNITS:
        raise unknown_name("analysis.corpus.unit", config.unit, UNITS)
    if config.limit is not None and config.limit < 1:
        raise InputError(f"analysis.corpus.limit {config.limit}: must be at least 1 document, or null for all")
    if config.path is not None and config.id is not None:
        raise InputError(f"analysis.corpus.path={config.path} with id={config.id}: give one of them")
    if is_named(config):
        _refuse_unused(config)


def _refuse_unused(config: CorpusConfig) -> None:
    """Raises an error for a setting that nothing of the corpus is read by."""
    kinds = {"hub"} if config.path is None else {kind for kind, _ in _places(config)}
    for name, (what, meant) in READ_FROM.items():
        value = getattr(config, name)
        if value != getattr(CorpusConfig, name) and not kinds & meant:
            given = f"id={config.id}" if config.path is None else f"path={config.path}"
            raise InputError(
                f"analysis.corpus.{name}={value} would count for nothing with {given}: it is for {what}; leave it out"
            )


def open_corpus(config: CorpusConfig) -> Corpus:
    """Returns the documents of a corpus that `is_named`; local files are read once for their hash.

    Args:
        config: which corpus, and what a document is.

    Raises:
        InputError: no such file, or one of a kind that is not known.
    """
    check_corpus(config)
    how = [config.field, config.unit, config.limit]
    if config.path is None:
        fixed = re.fullmatch("[0-9a-f]{40}", config.revision or "")
        named = [config.id, config.subset, config.revision, config.split]
        key = json.dumps([*named, *how]) if fixed else None
        return Corpus(str(config.id), key, lambda: _documents(config))
    files = _files(config)
    key = json.dumps([[file_hash(file) for file in files], config.split, *how])
    name = ", ".join(Path(path).name for path in _given(config))
    return Corpus(name, key, lambda: _documents(config))


def check_documents(config: CorpusConfig) -> None:
    """Raises an error where a corpus that `is_named` has no documents, or the first of one of its files cannot be read.

    What is wrong with most corpora shows there; of plain text one line is read, whatever a document is.

    Args:
        config: which corpus, and what a document is.

    Raises:
        InputError: as `open_corpus` and its reading.
    """
    firsts = (first for part in _parts(config, text=_filled) for first in itertools.islice(part, 1))
    if not sum(1 for _ in itertools.islice(firsts, config.limit)):
        raise InputError("analysis.corpus: it has no documents, so that nothing can be counted in it; name another one")


def _documents(config: CorpusConfig) -> Iterator[str]:
    return itertools.islice(itertools.chain.from_iterable(_parts(config)), config.limit)


def _parts(config: CorpusConfig, **readers: Reader) -> Iterator[Iterator[str]]:
    """Yields the documents of each file and saved folder, or of the hub's data set.

    Args:
        config: which corpus.
        readers: others than the usual ones, by kind.
    """
    if config.path is None:
        yield _hub(config)
        return
    for kind, place in _places(config):
        yield {**_READERS, **readers}[kind](place, config)


def _given(config: CorpusConfig) -> list[str]:
    if config.path is None:
        return []
    given = [config.path] if isinstance(config.path, str) else list(config.path)
    if not given or not all(isinstance(path, str) and path for path in given):
        raise InputError(f"analysis.corpus.path {config.path!r}: must be a file, a folder or a list of them")
    return given


def _files(config: CorpusConfig) -> list[Path]:
    """Returns the files of a local corpus in the order in which they are read; of a saved data set, all of them."""
    found: list[Path] = []
    for path in (Path(given).expanduser() for given in _given(config)):
        if not path.exists():
            raise InputError(f"analysis.corpus.path {path}: no such file or folder")
        inside = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
        known = inside if path.is_dir() and _is_saved(path) else [file for file in inside if _kind(file) is not None]
        if not known:
            allowed = ", ".join((*ROWS, *filter(None, TEXT), ".parquet"))
            raise InputError(f"analysis.corpus.path {path}: holds no file to be read; allowed are {allowed} (.gz too)")
        found += known
    return found


def _is_saved(folder: Path) -> bool:
    return any((folder / name).is_file() for name in SAVED)


def _kind(file: Path) -> str | None:
    """Returns "rows", "text" or "parquet"; None for a file of another kind, and for hidden ones."""
    suffix = Path(file.name.removesuffix(".gz")).suffix.lower()
    if file.name.startswith("."):
        return None
    return "rows" if suffix in ROWS else "text" if suffix in TEXT else "parquet" if suffix == ".parquet" else None


def _places(config: CorpusConfig) -> list[tuple[str, Path]]:
    """Returns the kind and the path of what is read of a local corpus: saved folders first, then files."""
    saved = [folder for folder in (Path(path).expanduser() for path in _given(config)) if _is_saved(folder)]
    outside = [file for file in _files(config) if not any(folder in file.parents for folder in saved)]
    kinds = ["splits" if (folder / SPLITS).is_file() else "saved" for folder in saved]
    return [*zip(kinds, saved, strict=True), *((str(_kind(file)), file) for file in outside)]


def _lines(file: Path) -> Iterator[str]:
    opened = gzip.open if file.suffix == ".gz" else open
    try:
        with opened(file, "rt", encoding="utf-8-sig") as lines:
            yield from lines
    except UnicodeDecodeError as error:
        raise InputError(f"analysis.corpus.path {file}: not UTF-8 text ({error.reason})") from None
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"analysis.corpus.path {file}: cannot be read: {error}") from None


def _text(file: Path, config: CorpusConfig) -> Iterator[str]:
    if config.unit == "file":
        yield "".join(_lines(file))
    elif config.unit == "line":
        yield from _filled(file, config)
    else:
        for filled, lines in itertools.groupby(_lines(file), key=lambda line: bool(line.strip())):
            if filled:
                yield "".join(lines)


def _filled(file: Path, config: CorpusConfig) -> Iterator[str]:
    yield from (line for line in _lines(file) if line.strip())


def _rows(file: Path, config: CorpusConfig) -> Iterator[str]:
    for number, line in enumerate(_lines(file), start=1):
        if line.strip():
            try:
                row = json.loads(line)
            except json.JSONDecodeError as error:
                raise InputError(f"{file}, row {number}: malformed JSON: {error.msg}") from None
            yield _field(row, config.field, f"{file}, row {number}")


def _parquet(file: Path, config: CorpusConfig) -> Iterator[str]:
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    try:
        opened = ParquetFile(file)
        if config.field not in opened.schema_arrow.names:
            raise _no_field(config.field, opened.schema_arrow.names, str(file))
        batches = opened.iter_batches(columns=[config.field])
        for number, row in enumerate((row for batch in batches for row in batch.to_pylist()), start=1):
            yield _field(row, config.field, f"{file}, row {number}")
    except (ArrowException, OSError) as error:
        raise InputError(f"{file}: cannot be read as Parquet: {str(error).splitlines()[0]}") from None


def _saved(folder: Path, config: CorpusConfig) -> Iterator[str]:
    from datasets import DatasetDict, load_from_disk

    data = load_from_disk(str(folder))
    if isinstance(data, DatasetDict):
        if config.split not in data:
            raise unknown_name(f"analysis.corpus.split of {folder}", config.split, list(data))
        data = data[config.split]
    for number, row in enumerate(data, start=1):
        yield _field(row, config.field, f"{folder}, row {number}")


def _hub(config: CorpusConfig) -> Iterator[str]:
    for number, row in enumerate(_streamed(config), start=1):
        yield _field(row, config.field, f"{config.id}, row {number}")


def _streamed(config: CorpusConfig) -> Iterator[Any]:
    from datasets import load_dataset

    try:
        yield from load_dataset(config.id, config.subset, split=config.split, revision=config.revision, streaming=True)
    except Exception as error:  # the hub's client passes on errors of an HTTP library that changed between versions
        what = next(iter(str(error).splitlines()), type(error).__name__)
        raise InputError(
            f"analysis.corpus.id {config.id}: cannot be read from the hub ({what}); "
            "analysis.corpus.path takes local files"
        ) from None


def _field(row: Any, name: str, where: str) -> str:
    if not isinstance(row, dict) or name not in row:
        raise _no_field(name, list(row) if isinstance(row, dict) else [], where)
    text = row[name]
    if text is None:
        return ""
    if not isinstance(text, str):
        raise InputError(
            f"{where}: field {name!r} is a {type(text).__name__}, not text; name another analysis.corpus.field"
        )
    return text


def _no_field(name: str, there: Sequence[str], where: str) -> InputError:
    named = ", ".join(map(repr, there)) or "none"
    return InputError(f"{where}: no field {name!r}; it has {named}: name one of them as analysis.corpus.field")


_READERS: dict[str, Reader] = {"rows": _rows, "text": _text, "parquet": _parquet, "saved": _saved, "splits": _saved}
