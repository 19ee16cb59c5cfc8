"""laserRMT's search from the last layer to the first, and what its searches have in common."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from families import FAMILIES
from searches import ROWS, FakeScorer

from laser_lit.config_search import SearchConfig
from laser_lit.edits.edit import Edit
from laser_lit.errors import InputError
from laser_lit.models.matrices import MatrixMap, find_matrices
from laser_lit.search import rmt
from laser_lit.search.loop import Loop
from laser_lit.search.space import Edits, Space

A, B, C = Edit(1, "fc_out", rank=3), Edit(1, "q_proj", rank=2), Edit(0, "fc_in", rank=4)
MakeLoop = Callable[..., Loop]


def losses(gains: dict[Edit, float]) -> Callable[[Edits], np.ndarray]:
    """Returns a text on which each edit of the stack changes every loss by so much."""
    return lambda edits: np.full(ROWS, 2.0) - sum(gains.get(edit, 0.0) for edit in edits)


def text_loop(make_loop: MakeLoop, of: Callable[[Edits], np.ndarray], **options: object) -> Loop:
    return make_loop(FakeScorer(of, text=True), Space((A, B, C)), "log_loss", **options)


def planted(rank: int, shape: tuple[int, int], noise: float = 0.01) -> torch.Tensor:
    generator = torch.Generator().manual_seed(rank)
    left, right = torch.randn(shape[0], rank, generator=generator), torch.randn(rank, shape[1], generator=generator)
    return left @ right + noise * torch.randn(shape, generator=generator)


def fields(name: str, **settings: object) -> SearchConfig:
    return SearchConfig(name=name, rule="mp_median", **settings)


def planted_model(family: str, ranks: dict[tuple[int, str], int]) -> MatrixMap:
    """Returns a model in which some matrices are of low rank in noise, and all others zero."""
    matrices = find_matrices(FAMILIES[family]())
    for id, handle in matrices.items():
        rank = ranks.get((id.layer, id.matrix))
        handle.write(torch.zeros(handle.shape) if rank is None else planted(rank, handle.shape))
    return matrices


def test_each_reduction_comes_on_top_of_those_that_were_kept(make_loop: MakeLoop):
    loop = text_loop(make_loop, losses({A: 0.25, B: -0.5, C: 0.125}))
    best = rmt.drive(loop, SearchConfig(name="rmt"))
    assert best is not None
    assert best.edits == (A, C)
    assert [cell.edits for cell in loop.cells] == [(A,), (A, B), (A, C)]
    assert [cell.edits for cell in loop.path] == [(A,), (A, C)]
    assert loop.scorer.held == [(A,), (A, C), ()]


def test_what_changes_nothing_is_left_out(make_loop: MakeLoop):
    loop = text_loop(make_loop, losses({}))
    assert rmt.drive(loop, SearchConfig(name="rmt")) is None
    assert [cell.edits for cell in loop.cells] == [(A,), (B,), (C,)]


def test_it_ends_after_so_many_reductions(make_loop: MakeLoop):
    loop = text_loop(make_loop, losses({A: 0.25, B: 0.25, C: 0.25}))
    best = rmt.drive(loop, SearchConfig(name="rmt", max_mod=2))
    assert best is not None
    assert best.edits == (A, B)
    assert loop.cost == 2


def test_a_reduction_that_cannot_be_scored_is_left_out(make_loop: MakeLoop):
    def of(edits: Edits) -> np.ndarray:
        if A in edits:
            raise InputError("overflows")
        return losses({B: 0.25})(edits)

    best = rmt.drive(text_loop(make_loop, of), SearchConfig(name="rmt"))
    assert best is not None
    assert best.edits == (B,)


def test_a_guard_turns_a_reduction_away(make_loop: MakeLoop, caplog: pytest.LogCaptureFixture):
    class Guard:
        def passes(self, edits: Edits) -> bool:
            return A not in edits

    caplog.set_level("INFO")
    loop = text_loop(make_loop, losses({A: 0.5, B: -0.125, C: 0.25}), guard=Guard())
    best = rmt.drive(loop, SearchConfig(name="rmt"))
    assert best is not None
    assert best.edits == (C,)
    said = [record.getMessage() for record in caplog.records]
    assert said == [
        "1 of 3, layer 1 fc_out rank 3: log loss 2.00000 to 1.50000: turned away by the guard",
        "2 of 3, layer 1 q_proj rank 2: log loss 2.00000 to 2.12500: left out",
        "3 of 3, layer 0 fc_in rank 4: log loss 2.00000 to 1.75000: kept",
    ]


def test_accuracy_decides_where_it_is_the_objective(make_loop: MakeLoop, caplog: pytest.LogCaptureFixture):
    caplog.set_level("INFO")
    loop = make_loop(FakeScorer(lambda edits: np.full(ROWS, 0.5 if A in edits else 1.5)), Space((A,)))
    best = rmt.drive(loop, SearchConfig(name="rmt"))
    assert best is not None
    assert best.edits == (A,)
    assert "accuracy 0.00 % to 100.00 %, log loss 1.50000 to 0.50000: kept" in caplog.text


def test_a_second_run_scores_nothing(make_loop: MakeLoop):
    of = losses({A: 0.25, B: -0.5, C: 0.125})
    first = rmt.drive(text_loop(make_loop, of), SearchConfig(name="rmt"))
    scorer = FakeScorer(of, text=True)
    again = rmt.drive(make_loop(scorer, Space((A, B, C)), "log_loss"), SearchConfig(name="rmt"))
    assert scorer.asked == []
    assert first is not None
    assert again is not None
    assert again.edits == first.edits


def test_an_interrupted_search_lets_go_of_its_stack(make_loop: MakeLoop):
    def of(edits: Edits) -> np.ndarray:
        if edits == (A, B):
            raise KeyboardInterrupt
        return losses({A: 0.25})(edits)

    loop = text_loop(make_loop, of)
    with pytest.raises(KeyboardInterrupt):
        rmt.drive(loop, SearchConfig(name="rmt"))
    assert loop.scorer.held == [(A,), ()]


def test_the_candidates_go_from_the_last_layer_to_the_first_each_at_the_rank_of_the_rule():
    names = ("q_proj", "k_proj", "v_proj", "out_proj", "fc_in", "fc_up", "fc_out")
    ranks = {(layer, name): 1 + place % 3 for layer in (0, 1) for place, name in enumerate(names)}
    space = rmt.candidates(planted_model("llama", ranks), fields("rmt"))
    assert [(edit.layer, edit.matrix) for edit in space.edits] == [
        (layer, name)
        for layer in (1, 0)
        for name in ("fc_out", "fc_up", "fc_in", "q_proj", "k_proj", "v_proj", "out_proj")
    ]
    assert all(edit.rank == ranks[edit.layer, edit.matrix] for edit in space.edits)
    assert space.skipped == ()


def test_a_decoder_comes_before_its_encoder():
    matrices = find_matrices(FAMILIES["t5"]())
    space = rmt.candidates(matrices, SearchConfig(name="rmt", rule="energy:0.5"))
    parts = [edit.part for edit in space.edits]
    assert set(parts) == {"encoder", "decoder", "cross"}
    assert parts.index("encoder") > max(place for place, part in enumerate(parts) if part != "encoder")


def test_a_matrix_of_which_the_rule_keeps_all_or_nothing_is_named():
    matrices = planted_model("gptj", {(1, "fc_in"): 2, (0, "q_proj"): 3})
    space = rmt.candidates(matrices, fields("rmt", layers=[0, 1], matrices=["fc_in", "q_proj"]))
    assert space.edits == (Edit(1, "fc_in", rank=2), Edit(0, "q_proj", rank=3))
    assert space.skipped == ("layer 0 fc_in (0 of 16)", "layer 1 q_proj (0 of 16)")
    with pytest.raises(InputError, match=r"search.rule=mp_median keeps all or nothing of every matrix, as of layer 0"):
        rmt.candidates(matrices, fields("rmt", layers=0, matrices=["fc_in"]))


def test_a_rule_that_keeps_all_of_every_matrix_is_refused():
    with pytest.raises(InputError, match=r"search.rule=energy:1 keeps all or nothing of every matrix"):
        rmt.candidates(find_matrices(FAMILIES["gptj"]()), SearchConfig(name="rmt", rule="energy:1"))


def test_the_experts_of_a_matrix_have_one_rank():
    matrices = find_matrices(FAMILIES["mixtral"]())
    ids = [id for id in matrices if (id.layer, id.matrix) == (0, "fc_in")]
    for place, id in enumerate(ids):
        matrices[id].write(planted(1 + place, matrices[id].shape))
    space = rmt.candidates(matrices, fields("rmt", layers=0, matrices="fc_in"))
    assert len(ids) == 3
    assert space.edits == (Edit(0, "fc_in", rank=2),)
