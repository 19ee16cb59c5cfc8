"""Every family exported under a stack, dense and factored, and loaded again."""

import re

import pytest
import torch
import transformers
import yaml
from checkpoints import save_checkpoint
from families import FAMILIES, output_of

from laser_lit.edits.edit import Edit
from laser_lit.edits.stack import Stack
from laser_lit.errors import InputError
from laser_lit.export.origin import Origin
from laser_lit.export.plan import thin_of
from laser_lit.export.write import export_model
from laser_lit.linalg.lowrank import LowRankLinear
from laser_lit.models.content import content_hash
from laser_lit.models.load import load_model, load_weights
from laser_lit.models.matrices import find_matrices

EVERYTHING = Stack([Edit("all", "all", rank=2)])


def kind(family):
    return "seq2seq" if family.startswith("t5") else None


def test_dense_is_what_was_applied_bit_for_bit(loaded, family, tmp_path):
    model = loaded(family)
    before = content_hash(model)
    exported = export_model(model, EVERYTHING, tmp_path / "dense")
    assert content_hash(model) == before
    again = load_weights(tmp_path / "dense", kind=kind(family))
    with EVERYTHING.applied(model):
        assert content_hash(again) == content_hash(model)
        assert torch.equal(output_of(again), output_of(model))
    assert exported.parameters == exported.parameters_before == model.num_parameters()


def test_factored_computes_the_same_from_less(loaded, family, tmp_path):
    model = loaded(family)
    before = content_hash(model)
    exported = export_model(model, EVERYTHING, tmp_path / "factored", "factored")
    assert content_hash(model) == before
    again = load_weights(tmp_path / "factored", kind=kind(family))
    assert type(again) is type(model)
    assert again.num_parameters() == exported.parameters < exported.parameters_before
    matrices = find_matrices(again)
    with EVERYTHING.applied(model):
        assert (output_of(again) - output_of(model)).abs().max() < 1e-4
        for id, handle in find_matrices(model).items():
            assert torch.equal(matrices[id].read(), handle.read())
    assert set(exported.factored) | set(exported.dense) == {str(id) for id in matrices}
    layers = [module for module in again.modules() if isinstance(module, LowRankLinear)]
    assert len(layers) == len(exported.factored)


@pytest.mark.parametrize("family", ["vit", "decision_transformer"])
def test_other_models_are_written_too(family, tmp_path):
    model = FAMILIES[family]()
    assert export_model(model, EVERYTHING, tmp_path / "dense").n_edits == len(find_matrices(model))
    again = type(model).from_pretrained(tmp_path / "dense")
    with EVERYTHING.applied(model):
        assert content_hash(again) == content_hash(model)


@pytest.mark.parametrize(
    ("family", "matrix", "reason"),
    [
        ("gpt2", "q_proj", "transformer.h.1.attn.c_attn.weight holds 3 matrices"),
        ("phi3", "fc_up", "model.layers.1.mlp.gate_up_proj.weight holds 2 matrices"),
        ("mixtral", "fc_out", "model.layers.1.mlp.experts.down_proj stacks the experts"),
    ],
)
def test_what_is_no_layer_of_its_own_stays_whole_and_is_named(loaded, tmp_path, family, matrix, reason):
    model = loaded(family)
    stack = Stack([Edit(1, [matrix, "out_proj"], rank=2)])
    exported = export_model(model, stack, tmp_path / "out", "factored")
    assert set(exported.dense.values()) == {reason}
    assert list(exported.factored) == ["layer 1 out_proj"]
    assert reason in (tmp_path / "out" / "README.md").read_text()
    with stack.applied(model):
        assert (output_of(load_weights(tmp_path / "out")) - output_of(model)).abs().max() < 1e-5


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (Edit(1, "fc_in", rank=15), "factors of rank 15 would have 1,200 entries, the matrix has 1,024"),
        (Edit(1, "fc_in", rho=1), "factors of rank 16 would have 1,280 entries, the matrix has 1,024"),
        (Edit(1, "fc_in", rho=0.5, kind="prune"), "prune leaves no low rank"),
        (Edit(1, "fc_in", rank=3, kind="high_order"), "high_order leaves no low rank"),
        (Edit(1, "fc_in", rank=2, decomposition="blocks", blocks=4), "its edit leaves no two factors"),
    ],
)
def test_factors_that_are_not_smaller_are_not_stored(loaded, tmp_path, edit, reason):
    model = loaded("gptj")
    stack = Stack([edit, Edit(0, "fc_in", rank=1)])
    exported = export_model(model, stack, tmp_path / "out", "factored")
    assert exported.dense == {"layer 1 fc_in": reason}
    assert exported.factored == {"layer 0 fc_in": 1}
    with stack.applied(model):
        assert torch.allclose(output_of(load_weights(tmp_path / "out")), output_of(model), atol=1e-5)
    with pytest.raises(InputError, match=f"nothing would be stored as factors .layer 1 fc_in: {re.escape(reason)}"):
        export_model(model, Stack([edit]), tmp_path / "none", "factored")
    assert not (tmp_path / "none").exists()


def test_factors_do_not_keep_those_of_full_rank_alive(loaded):
    model = loaded("gptj")
    (write,) = Stack([Edit(0, "fc_in", rank=2)]).writes(model)
    assert [part.untyped_storage().nbytes() for part in thin_of(write)] == [part.numel() * 4 for part in write.thin]


def test_the_last_of_several_edits_counts_and_a_zeroed_matrix_has_no_entries(loaded, tmp_path):
    model = loaded("gptj")
    edits = [Edit(0, "fc_in", rank=4), Edit(0, "fc_in", rank=2), Edit(1, "fc_in", kind="zero")]
    stack = Stack(edits, combine="in_order")
    exported = export_model(model, stack, tmp_path / "out", "factored")
    assert exported.factored == {"layer 0 fc_in": 2, "layer 1 fc_in": 0}
    with stack.applied(model):
        assert torch.allclose(output_of(load_weights(tmp_path / "out")), output_of(model), atol=1e-5)


@pytest.mark.parametrize("format", ["dense", "factored"])
def test_type_ties_and_bias_stay(loaded, tmp_path, format):
    model = loaded("gpt2", torch.bfloat16)
    export_model(model, EVERYTHING, tmp_path / "out", format)
    again = load_weights(tmp_path / "out")
    assert again.dtype == torch.bfloat16
    assert again.lm_head.weight is again.transformer.wte.weight
    assert torch.equal(again.transformer.h[0].mlp.c_fc.bias, model.transformer.h[0].mlp.c_fc.bias)


def test_factors_that_the_type_cannot_hold(loaded, tmp_path):
    model = loaded("gptj", torch.float16)
    with torch.no_grad():
        model.transformer.h[0].mlp.fc_in.weight.fill_(4e4)
    stack = Stack([Edit(0, "fc_in", rank=1)])
    with pytest.raises(InputError, match=r"layer 0 fc_in: its factors overflow torch\.float16"):
        export_model(model, stack, tmp_path / "out", "factored")
    assert export_model(model, stack, tmp_path / "out", "dense").dtype == "float16"


@pytest.mark.parametrize("format", ["dense", "factored"])
def test_files_are_as_many_as_before_or_as_asked(loaded, tmp_path, format):
    model = loaded("llama", size=8000)
    few, many = tmp_path / "few", tmp_path / "many"
    export_model(model, Stack([Edit(0, "fc_in", rank=1)]), few, format)
    export_model(model, Stack([Edit(0, "fc_in", rank=1)]), many, format, shard_gb=5e-6)
    sizes = [file.stat().st_size for file in many.glob("model*.safetensors")]
    assert 1 < len(list(few.glob("model*.safetensors"))) < len(sizes)
    assert content_hash(load_weights(few)) == content_hash(load_weights(many))
    index = next(many.glob("*.index*.json"))
    assert yaml.safe_load(index.read_text())["metadata"]["total_parameters"] == load_weights(many).num_parameters()


@pytest.mark.parametrize("format", ["dense", "factored"])
def test_the_files_beside_the_weights_come_along_as_they_are(tmp_path, format):
    source = save_checkpoint(tmp_path / "source")
    (source / "generation_config.json").write_text('{"max_new_tokens": 7}')
    (source / "LICENSE.txt").write_text("mine")
    (source / "README.md").write_text("---\nlicense: mit\nlibrary_name: other\n---\nold words")
    (source / "pytorch_model.bin").write_text("weights of another format")
    model, tokenizer = load_model(source)
    origin = Origin.at(source, command="python evaluate.py", provenance="found by hand")
    out = tmp_path / "out"
    export_model(model, Stack([Edit(1, "fc_in", rank=2)]), out, format, origin=origin)
    for name in ("tokenizer.json", "tokenizer_config.json", "generation_config.json", "LICENSE.txt"):
        assert (out / name).read_bytes() == (source / name).read_bytes()
    assert not (out / "pytorch_model.bin").exists()
    card = (out / "README.md").read_text()
    front = yaml.safe_load(card.split("---")[1])
    assert (front["license"], front["library_name"]) == (
        "mit",
        {"dense": "transformers", "factored": "laser_lit"}[format],
    )
    assert "base_model" not in front
    assert "old words" not in card
    for words in ("layer 1 fc_in", "rank 2 of 32", "python evaluate.py", "Edits: found by hand.", "source, edited"):
        assert words in card
    _, again = load_model(out)
    assert again("w1 w2").input_ids == tokenizer("w1 w2").input_ids


def test_the_stack_beside_the_weights_does_the_same_again(loaded, tmp_path):
    model = loaded("llama")
    export_model(model, Stack([Edit("all", "mlp", rho=0.2)]), tmp_path / "out")
    with Stack.load(tmp_path / "out" / "stack.yaml").applied(model):
        assert content_hash(load_weights(tmp_path / "out")) == content_hash(model)


def test_a_model_made_in_memory_takes_its_tokenizer_from_the_caller(tmp_path):
    _, tokenizer = load_model(save_checkpoint(tmp_path / "source"))
    export_model(FAMILIES["gptj"](), EVERYTHING, tmp_path / "out", tokenizer=tokenizer)
    assert load_model(tmp_path / "out")[1]("w1 w2").input_ids == tokenizer("w1 w2").input_ids


def test_transformers_alone_loads_the_dense_one_and_fails_on_the_factored(loaded, tmp_path):
    model = loaded("llama")
    export_model(model, EVERYTHING, tmp_path / "dense")
    export_model(model, EVERYTHING, tmp_path / "factored", "factored")
    with EVERYTHING.applied(model):
        again = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "dense")
        assert torch.equal(output_of(again), output_of(model))
    with pytest.raises(ValueError, match="model type `laser_lit_factored`"):
        transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "factored")
    with pytest.raises(OSError, match=r"no file named model\.safetensors"):
        type(model).from_pretrained(tmp_path / "factored", config=model.config)


@pytest.mark.parametrize("format", ["dense", "factored"])
def test_an_export_that_fails_leaves_nothing_and_the_model_as_it_was(loaded, tmp_path, format):
    model = loaded("gptj")
    before, there = content_hash(model), set(tmp_path.iterdir())
    stack = Stack([Edit(0, "fc_in", rank=2), Edit(1, "fc_out", rho=0.9), Edit(1, "fc_in", rank=99)])
    with pytest.raises(InputError, match="rank 99"):
        export_model(model, stack, tmp_path / "out", format)
    assert content_hash(model) == before
    assert set(tmp_path.iterdir()) == there


def test_what_cannot_be_exported_is_said(loaded, tmp_path):
    model = loaded("gptj")
    with pytest.raises(InputError, match=r"unknown export.format 'thin'.*dense, factored"):
        export_model(model, EVERYTHING, tmp_path / "out", "thin")
    with pytest.raises(InputError, match="Linear is no transformers model"):
        export_model(torch.nn.Linear(2, 2), EVERYTHING, tmp_path / "out")
    with pytest.raises(InputError, match=r"export.shard_gb 0: must be more than 0"):
        export_model(model, EVERYTHING, tmp_path / "out", shard_gb=0)
    with pytest.raises(InputError, match="the folder is not empty, and nothing is written over"):
        export_model(model, EVERYTHING, tmp_path / "source")
    export_model(model, EVERYTHING, tmp_path / "out", "factored")
    with pytest.raises(InputError, match="already holds factors"):
        export_model(load_weights(tmp_path / "out"), EVERYTHING, tmp_path / "twice")
