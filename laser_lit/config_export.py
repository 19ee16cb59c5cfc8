"""The shape of `export`: the edited model as a checkpoint of its own."""

from dataclasses import dataclass


@dataclass
class ExportConfig:
    """Where and how the edited model is written.

    Attributes:
        path: folder that does not exist yet or is empty; null writes none.
        format: "dense", a plain transformers checkpoint, or "factored", two thin matrices for every edited matrix that
            is smaller so.
        shard_gb: largest weight file, in 1e9 bytes; null takes transformers' own.
    """

    path: str | None = None
    format: str = "dense"
    shard_gb: float | None = None
