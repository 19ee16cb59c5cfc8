"""One format made into the other, by function and by command."""

import pytest
import torch
import transformers
import yaml
from checkpoints import save_checkpoint
from families import output_of

from laser_lit.edits.edit import Edit
from laser_lit.edits.stack import Stack
from laser_lit.errors import InputError
from laser_lit.export.__main__ import main
from laser_lit.export.convert import convert
from laser_lit.export.write import export_model
from laser_lit.models.content import content_hash
from laser_lit.models.load import load_model, load_weights

STACK = Stack([Edit("all", "mlp", rank=2), Edit(0, ["q_proj", "out_proj"], rank=3)])


@pytest.mark.parametrize("family", ["gpt2", "gptj", "llama", "mixtral", "qwen3_moe", "falcon_7b", "bert", "t5"])
def test_factored_made_dense_is_what_was_applied(loaded, family, tmp_path):
    model, seq2seq = loaded(family), "seq2seq" if family == "t5" else None
    export_model(model, STACK, tmp_path / "factored", "factored")
    convert(tmp_path / "factored", tmp_path / "dense", "dense")
    again = load_weights(tmp_path / "dense", kind=seq2seq)
    with STACK.applied(model):
        assert content_hash(again) == content_hash(model)
    assert [type(module) for module in again.modules()] == [type(module) for module in model.modules()]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("family", ["gpt2", "gptj", "mixtral", "falcon_7b"])
def test_dense_made_factored_has_the_ranks_of_its_stack(loaded, family, dtype, tmp_path):
    model = loaded(family, dtype)
    wanted = export_model(model, STACK, tmp_path / "at once", "factored")
    export_model(model, STACK, tmp_path / "dense")
    made = convert(tmp_path / "dense", tmp_path / "factored", "factored")
    assert (made.factored, made.dense, made.parameters) == (wanted.factored, wanted.dense, wanted.parameters)
    assert made.n_edits == wanted.n_edits
    near, exact = output_of(load_weights(tmp_path / "factored")), output_of(load_weights(tmp_path / "dense"))
    assert (near - exact).abs().max() < (1e-4 if dtype == torch.float32 else 0.1)
    manifest = (tmp_path / "factored" / "stack.yaml").read_bytes()
    assert manifest == (tmp_path / "dense" / "stack.yaml").read_bytes()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_matrices_of_a_real_width_have_their_ranks_again(dtype, tmp_path):
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=64, hidden_size=384, intermediate_size=1024, num_hidden_layers=1, num_attention_heads=4
    )
    model = transformers.LlamaForCausalLM(config).to(dtype)
    export_model(model, Stack([Edit("all", "mlp", rank=40)]), tmp_path / "dense")
    made = convert(tmp_path / "dense", tmp_path / "factored", "factored")
    assert made.dense == {}
    assert set(made.factored.values()) == {40}


def test_weights_that_have_changed_since_stay_whole(loaded, tensors, tmp_path):
    model = loaded("gptj")
    export_model(model, STACK, tmp_path / "dense")
    again = load_weights(tmp_path / "dense")
    with torch.no_grad():
        again.transformer.h[1].mlp.fc_out.weight[0, 0] += 1e-3
    again.save_pretrained(tmp_path / "dense")
    made = convert(tmp_path / "dense", tmp_path / "factored", "factored")
    assert set(made.dense) == {"layer 1 fc_out"}
    name = "transformer.h.1.mlp.fc_out.weight"
    assert torch.equal(tensors(tmp_path / "factored")[name], tensors(tmp_path / "dense")[name])


def test_the_card_keeps_what_components_were(loaded, tmp_path):
    edits = [Edit(0, "fc_in", rank=2), Edit(1, "fc_in", rank=2, decomposition="blocks", blocks=1)]
    export_model(loaded("gptj"), Stack(edits), tmp_path / "dense")
    convert(tmp_path / "dense", tmp_path / "factored", "factored")
    cards = [(tmp_path / name / "README.md").read_text() for name in ("dense", "factored")]
    assert all(card.count("| low_rank, blocks |") == 1 for card in cards)


def test_what_has_no_low_rank_stays_bit_for_bit(loaded, tensors, tmp_path):
    edits = [
        Edit(0, "fc_in", rank=2),
        Edit(1, "fc_in", rho=0.3, kind="prune"),
        Edit(1, "fc_out", rank=2, decomposition="blocks", blocks=4),
        Edit(0, "fc_out", kind="zero"),
        Edit(1, "q_proj", rank=15),
    ]
    export_model(loaded("gptj"), Stack(edits), tmp_path / "dense")
    made = convert(tmp_path / "dense", tmp_path / "factored", "factored")
    assert made.factored == {"layer 0 fc_in": 2, "layer 0 fc_out": 0}
    assert set(made.dense) == {"layer 1 fc_in", "layer 1 fc_out", "layer 1 q_proj"}
    assert "would be lost" in made.dense["layer 1 fc_out"]
    dense, factored = tensors(tmp_path / "dense"), tensors(tmp_path / "factored")
    shared = dense.keys() & factored.keys()
    assert len(dense) - len(shared) == 2
    assert all(torch.equal(dense[name], factored[name]) for name in shared)


def test_files_and_card_come_along(tmp_path):
    source = save_checkpoint(tmp_path / "source")
    (source / "README.md").write_text("---\nlicense: mit\n---\n")
    model, tokenizer = load_model(source)
    export_model(model, STACK, tmp_path / "dense")
    convert(tmp_path / "dense", tmp_path / "factored", "factored", command="typed")
    _, again = load_model(tmp_path / "factored")
    assert again("w1 w2").input_ids == tokenizer("w1 w2").input_ids
    card = (tmp_path / "factored" / "README.md").read_text()
    assert yaml.safe_load(card.split("---")[1])["license"] == "mit"
    for words in ("source, edited", "layer 0 out_proj", "typed", "those of dense"):
        assert words in card


def test_what_cannot_be_converted_is_said(loaded, tmp_path):
    model = loaded("gptj")
    export_model(model, STACK, tmp_path / "dense")
    with pytest.raises(InputError, match="dense is dense already"):
        convert(tmp_path / "dense", tmp_path / "out", "dense")
    with pytest.raises(InputError, match=r"no file .*stack\.yaml"):
        convert(tmp_path / "source", tmp_path / "out", "factored")
    with pytest.raises(InputError, match="not empty"):
        convert(tmp_path / "dense", tmp_path / "source", "factored")
    manifest = tmp_path / "dense" / "stack.yaml"
    manifest.write_text("edits: [{layer: 0, matrix: fc_in, rank: 2}]")
    with pytest.raises(InputError, match=r"does not say what was done to layer 0 fc_in"):
        convert(tmp_path / "dense", tmp_path / "out", "factored")
    assert not (tmp_path / "out").exists()


def test_the_command(loaded, tmp_path, capsys):
    export_model(loaded("gptj"), STACK, tmp_path / "dense")
    assert main([str(tmp_path / "dense"), str(tmp_path / "factored"), "--format", "factored"]) == 0
    said = capsys.readouterr().out
    assert "6 of 6 edited matrices as two thin factors" in said
    card = (tmp_path / "factored" / "README.md").read_text()
    assert f"python -m laser_lit.export {tmp_path / 'dense'}" in card
    assert main([str(tmp_path / "dense"), str(tmp_path / "factored"), "--format", "factored"]) == 1
    assert "error: folder=" in capsys.readouterr().err
    assert main([str(tmp_path / "nowhere"), str(tmp_path / "new"), "--format", "dense"]) == 1
    assert "nowhere" in capsys.readouterr().err
