"""A folder in which documented commands can be typed as they stand: it has the very files that they name."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from checkpoints import save_checkpoint, save_data
from glue_files import save_glue
from lm_eval_tasks import TASKS, save_task, save_tasks

FEVER = [{"id": i, "claim": f"w{i} w{i + 1}", "label": ("SUPPORTS", "REFUTES")[i % 2]} for i in range(40)]
BOOL = [
    {"instruction": f"w{i} w7", "input": "", "output": "", "answer": ("true", "false")[i % 2], "format": "true/false"}
    for i in range(20)
]
SUMS = [{"instruction": f"w{i} w9", "input": "", "output": f"w{i}", "answer": f"{i}.0"} for i in range(20)]
CHECKPOINTS = {"DIR": "gptj", "gptj-28": "gptj_28", "llama-32": "llama_32", "roberta": "roberta"}
COPIES = {"DIR": ("SOURCE", "MODEL", "facts")}
"""What documents call a local model; `facts` is the copy of the built-in model that docs/lm_eval.md makes by hand."""


def fill(here: Path, shared: Path | None) -> None:
    """Makes the files that documented commands name.

    Args:
        here: an empty folder, in which the commands are typed; its `../shared` is the folder of real data.
        shared: that folder; None leaves the real files out.
    """
    for name, kind in CHECKPOINTS.items():
        save_checkpoint(here / name, kind)
    for name, copies in COPIES.items():
        for copy in copies:
            shutil.copytree(here / name, here / copy)
    _data(here)
    _lists(here)
    if shared is not None:
        (here.parent / "shared").symlink_to(shared.resolve())
        (here / "tinystories-260k").symlink_to(shared.resolve() / "checkpoints" / "tinystories-260k")
        (here / "tinyshakespeare.txt").symlink_to(shared.resolve() / "data" / "text" / "tinyshakespeare.txt")
        (here / "known_1000.json").symlink_to(shared.resolve() / "data" / "counterfact" / "known_1000.json")


def _data(here: Path) -> None:
    save_data(here / "made")
    shutil.copy(here / "made" / "token.json", here / "counterfact.json")
    for name in ("book.txt", "FILE"):
        shutil.copy(here / "made" / "text.txt", here / name)
    rows = [json.loads(line) for line in (here / "made" / "generate.jsonl").read_text().splitlines()]
    questions = [{"question": row["question"], "answer": row["label"]} for row in rows]
    for name in ("mine.jsonl", "quiz.jsonl"):
        _write_rows(here / name, questions)
    _write_rows(here / "paper_dev.jsonl", FEVER)
    for name, content in {"boolq": BOOL, "SVAMP": SUMS, "AQuA": SUMS}.items():
        (here / "dataset" / name).mkdir(parents=True)
        (here / "dataset" / name / "test.json").write_text(json.dumps(content))
    save_glue(here, "cola")
    both = pd.read_parquet(here / "train.parquet")
    both.assign(sentence1=both.sentence, sentence2=both.sentence).to_parquet(here / "train.parquet")  # mrpc's too
    save_tasks(here / "tasks")
    for name, kind in {"mine": "choice", "facts_choice": "choice", "facts_word": "last"}.items():
        save_task(here / "tasks", name, **TASKS[kind])


def _lists(here: Path) -> None:
    edits = [{"layer": 1, "matrix": "fc_in", "rank": 3}]
    (here / "stack.yaml").write_text(yaml.safe_dump({"edits": edits}))
    (here / "prompts.txt").write_text("w1 w2 w3\nw4 w5\n")
    unfrozen = {"unfrozen_parameters": ["transformer.h.1.mlp.fc_in"]}
    (here / "unfrozen.yaml").write_text(yaml.safe_dump(unfrozen))


def _write_rows(file: Path, rows: Sequence[dict[str, Any]]) -> None:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
