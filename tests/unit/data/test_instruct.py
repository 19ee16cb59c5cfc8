"""Instructions with outputs: Alpaca's prompts, UltraFeedback's conversations."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from laser_lit.errors import InputError

Load, Write = Callable[..., Any], Callable[[str, Any], str]
ROW = {"instruction": "Name a colour.", "input": "", "output": " Blue.\n"}
CHOSEN = {"prompt": "Hi?", "chosen": [{"role": "user", "content": "Hi?"}, {"role": "assistant", "content": "Hello."}]}
HEAD = "Below is an instruction that describes a task"


def test_prompts_with_and_without_input(write: Write, load: Load) -> None:
    rows = [ROW, ROW | {"input": "red, blue"}, {"instruction": "Name one.", "output": "One."}]
    data = load("instruct", path=write("rows.json", rows))
    assert (data.scoring, data.max_new_tokens) == ("generate", 32)
    plain, paired, missing = data.examples
    tail = " Write a response that appropriately completes the request.\n\n### Instruction:\nName a colour.\n\n"
    assert plain.prompt == f"{HEAD}.{tail}### Response:\n"
    assert paired.prompt == (
        f"{HEAD}, paired with an input that provides further context.{tail}### Input:\nred, blue\n\n### Response:\n"
    )
    assert "### Input" not in missing.prompt
    assert plain.answer == plain.completion == "Blue."


def test_json_lines_parquet_and_templates(write: Write, load: Load, tmp_path: Path) -> None:
    pq.write_table(pa.Table.from_pylist([ROW | {"input": None}]), tmp_path / "rows.parquet")
    expected = load("instruct", path=write("rows.json", [ROW])).examples
    assert load("instruct", path=str(tmp_path / "rows.parquet")).examples == expected
    assert load("instruct", path=write("rows.jsonl", [ROW])).examples == expected
    assert load("instruct", path=write("rows.json", [ROW]), prompt="Q: {instruction}").examples[0].prompt == (
        "Q: Name a colour."
    )


def test_rows_without_output_are_left_out(write: Write, load: Load) -> None:
    data = load("instruct", path=write("rows.json", [ROW | {"output": " "}, ROW]))
    assert [example.id for example in data.examples] == ["2"]
    with pytest.raises(InputError, match="every output is empty"):
        load("instruct", path=write("rows.json", [ROW | {"output": ""}]))


def test_the_chosen_conversation_s_last_turn_is_the_output(write: Write, load: Load) -> None:
    for name in ("ultrafeedback", "instruct"):
        (example,) = load(name, path=write("rows.json", [CHOSEN])).examples
        assert example.prompt.endswith("### Instruction:\nHi?\n\n### Response:\n")
        assert example.answer == "Hello."
    assert load("ultrafeedback", path=write("rows.json", [CHOSEN | {"chosen": "Yes."}])).examples[0].answer == "Yes."
    assert load("ultrafeedback", path=write("rows.json", [ROW])).examples[0].answer == "Blue."


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({"instruction": "x"}, "no field 'output'"),
        ({"output": "x"}, "no field 'instruction'"),
        (ROW | {"output": 3}, "its output is 3, not a string"),
        (CHOSEN | {"chosen": []}, "ends in None, not in a turn of the assistant"),
        (CHOSEN | {"chosen": [{"role": "user", "content": "x"}]}, "not in a turn of the assistant"),
        (CHOSEN | {"chosen": [{"role": "assistant"}]}, "not in a turn of the assistant"),
    ],
)
def test_rows_at_fault_are_named(write: Write, load: Load, row: dict[str, Any], problem: str) -> None:
    with pytest.raises(InputError, match=rf"rows\.json, row 1: .*{problem}.*; instruct wants the fields"):
        load("instruct", path=write("rows.json", [row]))
