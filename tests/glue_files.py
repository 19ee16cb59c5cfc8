"""Small parquet files in GLUE's schema, in the words of the small checkpoints; labels depend on the first words."""

import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from checkpoints import WORDS

from laser_lit.data.glue import TASKS


def save_glue(folder: Path, task: str, train: int = 64, validation: int = 24) -> str:
    """Returns what to type as data.path for a task's two files, written to the folder."""
    rng = random.Random(7)
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for split, count in (("train", train), ("validation", validation)):
        file = folder / f"{split}.parquet"
        pq.write_table(pa.Table.from_pylist([_row(task, i, rng) for i in range(count)]), file)
        files.append(str(file))
    return f"[{','.join(files)}]"


def _row(task: str, number: int, rng: random.Random) -> dict[str, Any]:
    fields, labels = TASKS[task].fields, TASKS[task].labels
    kind = number % (len(labels) or 6)
    texts = [f"w{kind} " + " ".join(rng.choices(WORDS[10:], k=2 + number % 5)) for _ in fields]
    return dict(zip(fields, texts, strict=True)) | {"label": kind if labels else float(kind), "idx": number}
