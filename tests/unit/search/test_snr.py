"""laserRMT's search over the matrices with the lowest signal-to-noise ratio."""

from collections.abc import Callable
from math import inf

import numpy as np
import pytest
import torch
from families import FAMILIES
from searches import ROWS, FakeScorer

from laser_lit.config_search import SearchConfig
from laser_lit.edits.edit import Edit
from laser_lit.models.matrices import find_matrices
from laser_lit.search import snr
from laser_lit.search.loop import Loop
from laser_lit.search.reductions import snr as ratio
from laser_lit.search.space import Space

MakeLoop = Callable[..., Loop]


def spectrum(*values: float) -> tuple[torch.Tensor, tuple[int, int]]:
    return torch.tensor(values, dtype=torch.float64), (len(values), len(values))


def test_the_ratio_is_what_lies_above_laserrmts_threshold_over_what_lies_below():
    S = spectrum(10.0, 3.0, 2.0, 1.0)  # quartiles 1.75 and 4.75: threshold 3/1.349·2 = 4.45
    assert ratio([S]) == pytest.approx(10 / 6)
    assert ratio([S, spectrum(8.0, 3.0, 2.0, 1.0)]) == pytest.approx(18 / 12)  # quartiles 1.75 and 4.25
    assert ratio([spectrum(2.0, 2.0, 2.0)]) == inf  # no width: all above 0
    assert ratio([spectrum(0.0, 0.0)]) == inf


def test_the_matrices_of_least_ratio_come_first(caplog: pytest.LogCaptureFixture):
    caplog.set_level("INFO")
    matrices = find_matrices(FAMILIES["gptj"]())
    ratios, ranks = {}, {}
    for id, handle in matrices.items():
        values = np.linalg.svd(handle.read().double().numpy(), compute_uv=False)
        low, high = np.quantile(values, [0.25, 0.75])
        above = values > (high - low) / 1.349 * (1 + (min(handle.shape) / max(handle.shape)) ** 0.5)
        if not above.all():
            ratios[id.layer, id.matrix] = values[above].sum() / values[~above].sum()
            ranks[id.layer, id.matrix] = above.sum()
    least = sorted(ratios, key=ratios.__getitem__)[:4]
    space = snr.candidates(matrices, SearchConfig(name="snr", rule="laser_rmt", k=4))
    assert [(edit.layer, edit.matrix) for edit in space.edits] == least
    assert [edit.rank for edit in space.edits] == [ranks[place] for place in least]
    assert f"layer {least[0][0]} {least[0][1]} rank {ranks[least[0]]}: signal-to-noise" in caplog.text


def test_fewer_matrices_than_asked_for_are_all_tried():
    matrices = find_matrices(FAMILIES["gptj"]())
    space = snr.candidates(matrices, SearchConfig(name="snr", rule="energy:0.5", k=100))
    assert len(space) == len(matrices)


def test_what_does_not_help_is_taken_back_and_the_rest_goes_on_without_it(make_loop: MakeLoop):
    A, B, C = Edit(1, "fc_out", rank=3), Edit(1, "q_proj", rank=2), Edit(0, "fc_in", rank=4)
    gains = {A: -1.0, B: 0.5, C: 0.25}
    scorer = FakeScorer(lambda edits: np.full(ROWS, 2.0) - sum(gains[edit] for edit in edits), text=True)
    loop = make_loop(scorer, Space((A, B, C)), "log_loss")
    best = snr.drive(loop, SearchConfig(name="snr", max_mod=1))  # counts for rmt alone
    assert best is not None
    assert best.edits == (B, C)
    assert [cell.edits for cell in loop.cells] == [(A,), (B,), (B, C)]
