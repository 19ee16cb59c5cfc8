"""GLUE's tasks: fields, labels by number and name, and which split a row is of."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from laser_lit.config_data import config_folder
from laser_lit.data.example import Example
from laser_lit.data.glue import TASKS
from laser_lit.data.hub import fetch
from laser_lit.data.registry import named_config
from laser_lit.errors import InputError

Load, Write = Callable[..., Any], Callable[[str, Any], str]


@pytest.fixture
def rows(load: Load, write: Write) -> Load:
    """Loads a task's rows from files of its own: train, and validation."""

    def load_rows(task: str, train: list[Any], validation: list[Any]) -> Any:
        return load("glue", task=task, path=[write("train.json", train), write("validation.json", validation)])

    return load_rows


def test_sentences_with_labels(rows: Load) -> None:
    data = rows("cola", [{"sentence": "He go.", "label": 0, "idx": 7}], [{"sentence": "He goes.", "label": 1}])
    assert data.scoring == "label"
    bad, good = data.examples
    names = ("unacceptable", "acceptable")
    assert bad == Example("train/1", bad.group, "He go.", names[0], names, category="train")
    assert (good.answer, good.category, good.second, good.golds) == ("acceptable", "validation", None, (1,))


@pytest.mark.parametrize("task", TASKS)
def test_every_task_s_fields_and_labels(rows: Load, task: str) -> None:
    fields, labels = TASKS[task].fields, TASKS[task].labels
    made = [dict(zip(fields, ("one", "two"), strict=False)) | {"label": i} for i in range(max(2, len(labels)))]
    examples = rows(task, made, made[:1]).examples
    assert {example.prompt for example in examples} == {"one"}
    assert {example.second for example in examples} == {"two" if len(fields) == 2 else None}
    assert [example.answer for example in examples[:-1]] == list(labels or ("0", "1"))
    assert {example.choices for example in examples} == {labels}
    assert examples[0].group == examples[-1].group


def test_numbers_names_and_scores_are_labels(rows: Load) -> None:
    pair = {"sentence1": "a", "sentence2": "b"}
    given = [pair | {"label": label} for label in (1, "1", 1.0, "not_entailment")]
    assert {example.answer for example in rows("rte", given, given).examples} == {"not_entailment"}
    scored = rows("stsb", [pair | {"label": 3.8}], [pair | {"label": "0.5"}]).examples
    assert [example.answer for example in scored] == ["3.8", "0.5"]


def test_groups_are_of_both_texts(rows: Load) -> None:
    made = [{"premise": "p", "hypothesis": text, "label": 0} for text in ("h", "i", "H ")]
    groups = [example.group for example in rows("mnli", made, made[:1]).examples]
    assert groups[0] == groups[2] == groups[3] != groups[1]


@pytest.mark.parametrize(
    ("task", "label", "problem"),
    [
        ("cola", -1, r"label -1: must be one of 0 \(unacceptable\), 1 \(acceptable\); -1 marks a test split"),
        ("cola", 2, "label 2: must be one of"),
        ("cola", 0.5, "label 0.5: must be one of"),
        ("cola", "good", "label 'good': must be one of"),
        ("stsb", 5.1, "label 5.1: must be a score from 0 to 5"),
        ("stsb", float("nan"), "label nan: must be a score"),
    ],
)
def test_other_labels_are_refused(rows: Load, task: str, label: Any, problem: str) -> None:
    row = {"sentence": "s", "sentence1": "a", "sentence2": "b", "label": label}
    with pytest.raises(InputError, match=rf"train\.json, row 1: {problem}"):
        rows(task, [row], [row])


def test_unknown_tasks_and_splits(load: Load, write: Write) -> None:
    with pytest.raises(InputError, match=r"unknown data\.task of GLUE 'sst'; nearest: sst2"):
        load("glue", task="sst")
    with pytest.raises(InputError, match=r"rows\.json: its name does not say which split it is; begin it with train"):
        load("glue", path=write("rows.json", [{"sentence": "s", "label": 0}]))


def test_a_split_may_be_the_folder_s_name(load: Load, tmp_path: Path) -> None:
    paths = [tmp_path / split / "0000.parquet" for split in ("train", "validation")]
    for path in paths:
        path.parent.mkdir()
        pq.write_table(pa.Table.from_pylist([{"sentence": path.parent.name, "label": 0}]), path)
    examples = load("glue", task="sst2", path=[str(path) for path in paths]).examples
    assert [(example.prompt, example.category) for example in examples] == [("train",) * 2, ("validation",) * 2]
    assert len({example.id for example in examples}) == 2


def test_mnli_is_evaluated_on_the_matched_split(hub: Path, load: Load) -> None:
    assert [example.prompt for example in load("glue", task="mnli").examples] == ["p", "matched"]
    folder = fetch(named_config("glue", config_folder(), files={"all": "*/*.parquet"}), None)  # type: ignore[arg-type]
    assert (folder / "mnli" / "validation_mismatched-00000-of-00001.parquet").is_file()
