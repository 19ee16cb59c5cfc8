"""The shape of `analysis=`: what is looked at beside the scores, for the report."""

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING


@dataclass
class CorpusConfig:
    """The text in which the facts that are asked for are counted: local files, or a data set of the hub.

    Attributes:
        path: a file, a folder, or a list of them; .jsonl and plain text, also with .gz behind, .parquet, or a folder
            that `datasets` saved.
        id: the data set's id on the hub; its rows are streamed.
        subset: of the hub's data set.
        revision: commit on the hub; counts of a full commit are kept.
        split: of a hub's or a saved data set.
        field: the field with the text, in rows.
        unit: what a document is in plain text: "line", "paragraph" (between empty lines) or "file".
        limit: read this many documents.
    """

    path: Any = None
    id: str | None = None
    subset: str | None = None
    revision: str | None = None
    split: str = "train"
    field: str = "text"
    unit: str = "line"
    limit: int | None = None


@dataclass
class TextConfig:
    """General text on which the model is compared before and after the edit.

    Attributes:
        data: a choice of `data=`: text, or questions, whose prompts are then the text; null leaves it out.
        path: file of the text, for choices without a source of their own.
        tokens: most tokens that are read, in windows drawn at random.
        window: tokens in a window, the unit of the intervals.
    """

    data: str | None = None
    path: str | None = None
    tokens: int = 16384
    window: int = 128


@dataclass
class AnalysisConfig:
    """Which analyses a run makes of the edits that it applies.

    Attributes:
        name: as typed after `analysis=`.
        mechanism: how much of the edit is a constant added to the logits; null does it where the controls can be had.
        corpus: where to count how often each fact is told; the built-in world knows it without.
        components: shares of components, in (0, 1): each edited matrix is replaced by that share of its components,
            those of the smallest singular values; empty leaves it out.
        spectra: the singular values of the edited matrices, where the edit has computed them.
        path: the scores of the first edit, of the first two, and so on; null does it for stacks of 2 to 5 edits.
        storage: shares of the edited matrices' storage, in (0, 1], at which rank reduction is set against pruning;
            empty leaves it out.
        text: general text before and after the edit.
    """

    name: str = MISSING
    mechanism: bool | None = None
    corpus: CorpusConfig = field(default_factory=CorpusConfig)
    components: list[float] = field(default_factory=list)
    spectra: bool = True
    path: bool | None = None
    storage: list[float] = field(default_factory=list)
    text: TextConfig = field(default_factory=TextConfig)
