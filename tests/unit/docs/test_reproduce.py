"""docs/reproduce.md: a command for each model and data set of Table 3, which does what the row says."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from omegaconf import DictConfig

from laser_lit.jobs.laser import configured_stack

PAGE = Path(__file__).resolve().parents[3] / "docs" / "reproduce.md"
ROW = re.compile(
    r"^\| .* \| layer (\d+) (\w+) rho ([\d.]+) \| .*? \| .*? \| .*? \| `(python evaluate\.py .*?)` \|$", re.MULTILINE
)
ROWS = ROW.findall(PAGE.read_text(encoding="utf-8"))
MODELS = ("gptj", "llama2", "roberta")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: "-".join(re.findall(r"(?:model|data)=(\w+)", row[-1])))
def test_the_command_composes_to_the_edit_of_the_row_and_of_table_3(
    composed: Callable[..., DictConfig], row: tuple[str, ...]
) -> None:
    config = composed(*shlex.split(row[-1])[2:])
    stack = configured_stack(config).stack
    assert stack is not None
    (edit,) = stack.edits
    published = config.model.table3[config.data.name]
    assert (edit.layer, edit.matrix, str(edit.rho)) == (int(row[0]), row[1], row[2])
    assert (published.layer, published.matrix, published.rho) == (edit.layer, edit.matrix, edit.rho)
    assert (config.scoring, config.split, config.laser.name) == ("paper", "paper", "paper")


def test_there_is_a_row_for_every_edit_of_table_3(composed: Callable[..., DictConfig]) -> None:
    published = {(model, data) for model in MODELS for data in composed(f"model={model}").model.table3}
    shown = [tuple(re.findall(r"(?:model|data)=(\w+)", row[-1])) for row in ROWS]
    assert set(shown) == published
    assert len(shown) == len(published) == 24
