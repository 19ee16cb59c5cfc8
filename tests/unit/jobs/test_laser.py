"""From `laser=` to a stack."""

import pytest

from laser_lit.edits.edit import Edit
from laser_lit.errors import InputError
from laser_lit.jobs.laser import configured_stack

# LASER, arXiv 2312.13558, Table 3: (matrix, layer, rho); U_in is fc_in, U_out fc_out
TABLE3 = {
    "roberta": {
        "counterfact": ("fc_in", 8, 0.8),
        "hotpotqa": ("fc_out", 2, 0.4),
        "fever": ("fc_in", 3, 0.4),
        "bios_gender": ("fc_in", 9, 0.9),
        "bios_profession": ("fc_in", 3, 0.9),
        "truthfulqa": ("fc_in", 0, 0.01),
        "epistemic_reasoning": ("fc_out", 1, 0.4),
        "qa_wikidata": ("fc_in", 7, 0.4),
    },
    "gptj": {
        "counterfact": ("fc_in", 27, 0.01),
        "hotpotqa": ("fc_in", 27, 0.1),
        "fever": ("fc_in", 24, 0.01),
        "bios_gender": ("fc_in", 14, 0.01),
        "bios_profession": ("fc_in", 18, 0.01),
        "truthfulqa": ("fc_in", 7, 0.8),
        "epistemic_reasoning": ("fc_in", 26, 0.01),
        "qa_wikidata": ("fc_in", 27, 0.01),
    },
    "llama2": {
        "counterfact": ("fc_in", 28, 0.05),
        "hotpotqa": ("fc_in", 27, 0.2),
        "fever": ("fc_in", 30, 0.2),
        "bios_gender": ("fc_in", 24, 0.01),
        "bios_profession": ("fc_out", 30, 0.4),
        "truthfulqa": ("fc_in", 30, 0.05),
        "epistemic_reasoning": ("fc_out", 28, 0.01),
        "qa_wikidata": ("fc_in", 27, 0.01),
    },
}
# The same table's accuracy gains: the first three distinct edits of a model, largest gain first, one a matrix
TOP3 = {
    "gptj": [(14, "fc_in", 0.01), (27, "fc_in", 0.01), (18, "fc_in", 0.01)],
    "llama2": [(28, "fc_out", 0.01), (24, "fc_in", 0.01), (30, "fc_in", 0.05)],
    "roberta": [(3, "fc_in", 0.9), (9, "fc_in", 0.9), (1, "fc_out", 0.4)],
}


@pytest.mark.parametrize(("model", "data"), [(model, data) for model in TABLE3 for data in TABLE3[model]])
def test_the_papers_edits(composed, model, data):
    configured = configured_stack(composed(f"model={model}", f"data={data}", "laser=paper"))
    matrix, layer, rho = TABLE3[model][data]
    assert configured.stack.edits == (Edit(layer, matrix, rho=rho),)
    assert "Table 3" in configured.provenance
    assert configured.verified is None


def test_the_models_of_the_paper_take_its_edits_by_default(composed):
    for model in TABLE3:
        assert composed(f"model={model}").laser.name == "paper"
        assert set(composed(f"model={model}").model.table3) == set(TABLE3[model])


@pytest.mark.parametrize("model", TOP3)
def test_unverified_stacks_of_three(composed, model):
    configured = configured_stack(composed(f"model={model}", "laser=stack_top3"))
    assert [(edit.layer, edit.matrix, edit.rho) for edit in configured.stack.edits] == TOP3[model]
    assert configured.verified is False
    assert "Table 3" in configured.provenance


def test_the_built_in_stack_was_searched(composed):
    configured = configured_stack(composed("laser=stack_top3"))
    assert len(configured.stack.edits) == 3
    assert configured.verified is True
    first = configured_stack(composed())
    assert first.stack.edits == configured.stack.edits[:1]
    assert first.verified is True


def test_what_is_typed_wins_over_the_frozen_edit(composed):
    configured = configured_stack(composed("laser.layer=0", "laser.matrix=fc_out", "laser.rank=3"))
    assert configured.stack.edits == (Edit(0, "fc_out", rank=3),)
    assert configured.provenance is None


@pytest.mark.parametrize(
    ("model", "data", "words"),
    [
        ("gptj", "web_of_lies", "it has data=counterfact, data=hotpotqa"),
        ("pythia", "counterfact", "pythia is not in the paper"),
    ],
)
def test_no_edit_in_the_paper(composed, model, data, words):
    with pytest.raises(InputError, match=words):
        configured_stack(composed(f"model={model}", f"data={data}", "laser=paper"))


@pytest.mark.parametrize("layer", ["-1", "[-1]", "[0,-1]", "'-1'"])
def test_minus_one_says_what_it_means(composed, layer):
    line = ("model=local", "laser=single", "laser.matrix=mlp", "laser.rho=0.5")
    (note,) = configured_stack(composed(*line, f"laser.layer={layer}")).notes
    assert "layer=all" in note
    assert configured_stack(composed(*line, "laser.layer=[0,-2]")).notes == ()


def test_settings_of_the_factorization_reach_the_stack(composed):
    line = ("model=gptj", "laser.svd.method=randomized", "laser.svd.seed=7", "laser.combine=last")
    stack = configured_stack(composed(*line)).stack
    assert (stack.svd.method, stack.svd.seed, stack.combine) == ("randomized", 7, "last")


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (["laser=none", "laser.rho=0.5"], "laser=none .* laser.rho=0.5 would count for nothing.* laser=single"),
        (["laser=paper", "laser.layer=3"], "laser=paper .* laser.layer=3 .* laser=single"),
        (["laser=stack_top3", "laser.path=a.yaml"], "laser.path=a.yaml .* laser=file"),
        (["laser=stack_top3", "laser.from=x", "laser.combine=last"], "laser.combine=last .* laser=single"),
        (["laser=single", "laser.from=x"], "laser.from=x .* laser=stack_top3"),
        (["laser=file", "laser.edits=[{layer: 1}]"], "laser.edits=.* laser=single"),
    ],
)
def test_nothing_typed_is_left_out_in_silence(composed, typed, words):
    with pytest.raises(InputError, match=words):
        configured_stack(composed("model=gptj", *typed))


def test_an_unknown_name(composed):
    with pytest.raises(InputError, match=r"unknown laser 'singel'; nearest: single"):
        configured_stack(composed("laser.name=singel"))


def test_edits_of_several_kinds(composed):
    edits = (
        "laser.edits=[{layer: 1, matrix: fc_in, rank: 2}, {layer: all, matrix: attn, kind: zero}, "
        "{layer: [0, 2], matrix: [fc_out], kind: prune, rho: 0.3, expert: 1}]"
    )
    stack = configured_stack(composed("laser=single", edits)).stack
    assert stack.edits == (
        Edit(1, "fc_in", rank=2),
        Edit("all", "attn", kind="zero"),
        Edit((0, 2), ("fc_out",), rho=0.3, kind="prune", expert=1),
    )


@pytest.mark.parametrize(
    "other", ["model.facts.steps=20", "data.world.noise=0.45", "data=facts_distractor", "model.path=an-export"]
)
def test_a_searched_stack_is_unverified_under_other_settings(composed, other):
    for choice in ("single", "stack_top3"):
        configured = configured_stack(composed(other, f"laser={choice}"))
        assert configured.verified is False
        assert "other settings of model=facts" in configured.notes[0]
    assert configured_stack(composed("model=facts_distractor")).verified is True


def test_a_manifest_made_for_another_model_says_so(composed, tmp_path):
    file = tmp_path / "stack.yaml"
    file.write_text("model: {id: gpt2-xl}\nedits: [{layer: 0, matrix: fc_in, rank: 1}]\n")
    configured = configured_stack(composed("laser=file", f"laser.path={file}"))
    assert configured.notes == (f"{file} was made for model gpt2-xl, not for facts",)
    file.write_text("model: {id: facts}\nedits: [{layer: 0, matrix: fc_in, rank: 1}]\n")
    assert configured_stack(composed("laser=file", f"laser.path={file}")).notes == ()
