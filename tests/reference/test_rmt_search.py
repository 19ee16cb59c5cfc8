"""laserRMT's accept-and-revert searches on tinystories-260k, replayed by our drivers on its very tokens.

Its perplexity, the mean over windows of 64 tokens that share nothing, is that of scoring=paper with a weight of 1 a
window. Two things differ. It searches down, up, q, k, v and o, and leaves the gate out: so does the replay. And its
revert looks a layer up as a substring of parameter names, which with five layers and no experts finds the right one.
"""

import json
import re
from collections.abc import Iterator, Sequence
from math import exp
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from laser_lit.config_search import SearchConfig
from laser_lit.data.example import TextSet
from laser_lit.edits.stack import Stack
from laser_lit.models.load import load_model
from laser_lit.models.matrices import MatrixMap, find_matrices
from laser_lit.results.store import ResultsStore
from laser_lit.scoring.score import score
from laser_lit.search.drivers import DRIVERS, candidates
from laser_lit.search.loop import Loop
from laser_lit.search.objective import Objective
from laser_lit.search.reductions import reductions
from laser_lit.search.rows import Rows

pytestmark = pytest.mark.reference

WINDOW = 64
MODULES = {
    "self_attn.q_proj": "q_proj",
    "self_attn.k_proj": "k_proj",
    "self_attn.v_proj": "v_proj",
    "self_attn.o_proj": "out_proj",
    "mlp.gate": "fc_in",
    "mlp.gate_proj": "fc_in",
    "mlp.up_proj": "fc_up",
    "mlp.down_proj": "fc_out",
}
MATRICES = ["fc_out", "fc_up", "q_proj", "k_proj", "v_proj", "out_proj"]


class Tokens:
    """A tokenizer of texts that are numbers."""

    bos_token_id = eos_token_id = pad_token_id = 1

    def __call__(self, text: str, **_: Any) -> dict[str, list[int]]:
        return {"input_ids": [int(word) for word in text.split()]}


class Replay:
    """Scores stacks on the reference's tokens."""

    together = False

    def __init__(self, model: torch.nn.Module, matrices: MatrixMap, texts: Sequence[TextSet]) -> None:
        self.model, self.matrices, self.texts = model, matrices, texts

    def score(self, stack: Stack | None, rows: Sequence[int] | None = None) -> pd.DataFrame:
        with (stack or Stack([])).applied(self.matrices):
            tables = [score(self.model, Tokens(), text, "paper", window=WINDOW) for text in self.texts]
        table = pd.concat(
            [each.assign(group=each["group"] + text.name) for each, text in zip(tables, self.texts, strict=True)]
        )
        return table.reset_index(drop=True).iloc[list(range(len(table)) if rows is None else rows)]

    def score_many(self, stacks: Sequence[Stack], rows: Sequence[int] | None = None) -> list[pd.DataFrame]:
        return [self.score(stack, rows) for stack in stacks]

    def hold(self, stack: Stack | None) -> None:
        """Keeps nothing."""

    def losses(self, rows: Sequence[int]) -> Iterator[Tensor]:
        raise NotImplementedError


@pytest.fixture(scope="module")
def loops(shared: Path) -> dict[str, Any]:
    return json.loads((shared / "reference" / "rmt" / "loops.json").read_text())


@pytest.fixture(scope="module", params=["float32", "bfloat16"])
def model(request: pytest.FixtureRequest, shared: Path) -> torch.nn.Module:
    return load_model(str(shared / "checkpoints" / "tinystories-260k"), dtype=request.param)[0]


@pytest.fixture
def replayed(model: torch.nn.Module, shared: Path, tmp_path: Path):
    """Returns a function from a search's settings to its loop after the search."""
    tokens = np.load(shared / "reference" / "rmt" / "loop_tokens.npz")
    texts = [TextSet(name, (" ".join(map(str, tokens[name][0])),), "reference", window=WINDOW) for name in tokens]
    matrices = find_matrices(model)

    def run(settings: SearchConfig) -> tuple[Loop, Any]:
        scorer = Replay(model, matrices, texts)
        table = scorer.score(None)
        rows = Rows.of(table, np.ones(len(table)), 0)
        space, store = candidates(matrices, settings), ResultsStore(tmp_path)
        loop = Loop(scorer, space, Objective("log_loss", rows.weights), rows, matrices, store, {"model": "m"})
        return loop, DRIVERS[settings.name](loop, settings)

    return run


def perplexity(loop: Loop, cell: Any) -> float:
    return exp(-loop.objective.merit(cell)[0])


def named(module: str, layer: str) -> tuple[int, str]:
    return int(layer.strip(".")), MODULES[module]


def test_the_search_by_signal_to_noise_ratio(loops: dict[str, Any], model: torch.nn.Module, replayed: Any) -> None:
    short = {torch.float32: "fp32", torch.bfloat16: "bf16"}[model.dtype]
    reference = loops[f"rmt_laser_snr_{short}"]
    ranks = [
        int(rank) for rank in re.findall(r"Reduced from torch.Size\(\[\d+\]\) to (\d+)", " ".join(reference["log"]))
    ]
    tested = re.findall(r"Perplexity after modifying (\S+): ([\d.]+)", " ".join(reference["log"]))
    (base,) = re.findall(r"Initial Model Perplexity: ([\d.]+)", " ".join(reference["log"]))
    near = {"rel": 1e-5 if short == "fp32" else 5e-3}  # bfloat16 rounds by the order of sums, which kernels choose
    loop, chosen = replayed(SearchConfig(name="snr", rule="laser_rmt"))
    assert perplexity(loop, loop.base) == pytest.approx(float(base), **near)
    assert [(edit.layer, edit.matrix) for edit in loop.space.edits] == [named(*name.split("+")) for name, _ in tested]
    assert [edit.rank for edit in loop.space.edits] == ranks
    assert [perplexity(loop, cell) for cell in loop.cells] == pytest.approx([float(ppl) for _, ppl in tested], **near)
    assert reference["kept"] == []
    assert chosen is None


def test_signal_to_noise_ratios(loops: dict[str, Any], model: torch.nn.Module) -> None:
    short = {torch.float32: "fp32", torch.bfloat16: "bf16"}[model.dtype]
    expected = {named(*name.split("+")): snr for name, snr in loops[f"rmt_laser_snr_{short}"]["layer_snr"].items()}
    found, skipped = reductions(find_matrices(model), "all", "all", "laser_rmt")
    assert skipped == ()
    assert {(each.edit.layer, each.edit.matrix): each.snr for each in found} == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("model", ["float32"], indirect=True)
def test_the_search_from_the_last_layer_to_the_first(
    loops: dict[str, Any], model: torch.nn.Module, replayed: Any
) -> None:
    reference = loops["rmt_laser_fp32"]
    log = " ".join(reference["log"])
    order = re.findall(r"Reconstructing layer: model\.layers\.(\d)\.(\S+)", log)
    ranks = [int(rank) for rank in re.findall(r"Reduced from torch.Size\(\[\d+\]\) to (\d+)", log)]
    loop, chosen = replayed(SearchConfig(name="rmt", rule="laser_rmt", matrices=MATRICES))
    assert perplexity(loop, loop.base) == pytest.approx(reference["returned"][1], rel=1e-6)
    assert [(cell.edits[0].layer, cell.edits[0].matrix) for cell in loop.cells] == [
        (int(layer), MODULES[module]) for layer, module in order
    ]
    assert [cell.edits[0].rank for cell in loop.cells] == ranks
    assert all(len(cell.edits) == 1 for cell in loop.cells)
    assert len(reference["failed"]) == len(loop.cells) == 30
    assert chosen is None
