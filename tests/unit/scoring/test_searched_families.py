"""Scores of a search equal those of whole passes: every matrix of every kind of language model, padded either way."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from families import FAMILIES
from transformers import AlbertConfig, AlbertForMaskedLM

from laser_lit.data.example import ExampleSet
from laser_lit.edits.edit import Edit
from laser_lit.edits.stack import Stack
from laser_lit.models.matrices import find_matrices
from laser_lit.scoring.answers import outcomes
from laser_lit.scoring.batches import Batches, Side
from laser_lit.scoring.inputs import model_kind
from laser_lit.scoring.requests import encode
from laser_lit.scoring.resume import Resume
from laser_lit.scoring.score import score
from laser_lit.scoring.states import States
from laser_lit.tasks.searching import LanguageScorer

BATCH = 9
MODELS = ["gptj", "llama", "neox", "mixtral", "gpt2", "opt", "bloom", "falcon", "mpt", "roberta", "bert", "deberta"]


def scorer_of(model: Any, tokenizer: Any, data: ExampleSet, side: Side) -> LanguageScorer:
    requests = encode(data, tokenizer, model_kind(model))

    def prepare(rows: Sequence[int] | None, max_tokens: int | None) -> tuple[Batches, Callable]:
        assert rows is None
        batches = Batches(requests, 0, BATCH, max_tokens, side)
        return batches, lambda scores: outcomes(data, requests, scores, tokenizer=tokenizer)

    return LanguageScorer(model, find_matrices(model), prepare, lambda rows: iter(()), 1.0)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("name", MODELS)
def test_every_matrix(models_by_name: Callable, tokenizer: Any, sets: Callable, name: str, side: Side) -> None:
    model, data = models_by_name(name), sets("token")
    matrices = find_matrices(model)
    base = score(model, tokenizer, data, batch_size=BATCH, side=side)
    with scorer_of(model, tokenizer, data, side) as scorer:
        for id in [None, *matrices, None]:
            edits = [] if id is None else [Edit(id.layer, id.matrix, rank=3, expert=id.expert)]
            with Stack(edits).applied(matrices):
                whole = score(model, tokenizer, data, batch_size=BATCH, side=side)
            found = scorer.score(Stack(edits))
            assert list(found["correct"]) == list(whole["correct"]), id
            assert found["log_loss"].tolist() == pytest.approx(whole["log_loss"].tolist(), abs=1e-5), id
            assert (id is None) == base["log_loss"].equals(whole["log_loss"])
        assert scorer._resume.works
        assert scorer._resume._checked == {1}


@pytest.mark.parametrize("side", ["left", "right"])
def test_every_matrix_of_t5_with_padding(side: Side) -> None:
    model = FAMILIES["t5"]()
    matrices = find_matrices(model)
    ids = torch.randint(3, 64, (3, 9), generator=torch.Generator().manual_seed(0))
    lengths = torch.tensor([[4], [9], [6]])
    places = torch.arange(9) if side == "right" else torch.arange(9).flip(0)
    mask = (places < lengths).long()

    @torch.no_grad()
    def forward() -> torch.Tensor:
        logits: torch.Tensor = model(input_ids=ids, attention_mask=mask, decoder_input_ids=ids[:, :5]).logits
        return logits

    with States(10**7) as states:
        resume = Resume(model, matrices, states)
        for id in [None, None, None, *matrices, None]:
            edits = [] if id is None else [Edit(id.layer, id.matrix, rank=2, part=id.part)]
            stack = Stack(edits)
            with stack.applied(matrices):
                edited = resume.edited(dict.fromkeys(stack.by_matrix(matrices), 2))
                assert torch.equal(resume.run(forward, "batch", edited), forward()), id
        assert resume.works
        assert resume._checked == {1, 2, 3, 4}


def test_albert_runs_a_group_of_shared_layers_several_times(tmp_path: Path) -> None:
    torch.manual_seed(0)
    shape = {"hidden_size": 16, "embedding_size": 8, "intermediate_size": 24, "num_attention_heads": 4}
    config = AlbertConfig(vocab_size=64, num_hidden_layers=6, num_hidden_groups=2, **shape)
    model = AlbertForMaskedLM(config).eval()
    names = {"q_proj": "attention.query", "out_proj": "attention.dense", "fc_in": "ffn", "fc_out": "ffn_output"}
    tensors = "".join(f"  - {{name: albert_layers.0.{path}.weight, holds: {name}}}\n" for name, path in names.items())
    file = tmp_path / "albert.yaml"
    layers = "encoder.albert_layer_groups.{layer}"
    file.write_text(f"model_types: [albert]\nprefix: albert.\nlayers: {layers}\ntensors:\n{tensors}")
    matrices = find_matrices(model, file)
    ids = torch.randint(3, 64, (3, 9))

    @torch.no_grad()
    def forward() -> torch.Tensor:
        logits: torch.Tensor = model(input_ids=ids).logits
        return logits

    with States(10**7) as states:
        resume = Resume(model, matrices, states)
        for id in [None, *matrices, None]:
            stack = Stack([] if id is None else [Edit(id.layer, id.matrix, rank=2)])
            with stack.applied(matrices):
                edited = resume.edited(dict.fromkeys(stack.by_matrix(matrices), 2))
                assert torch.equal(resume.run(forward, "batch", edited), forward()), id
        assert resume.works
        assert resume._checked == {1}
