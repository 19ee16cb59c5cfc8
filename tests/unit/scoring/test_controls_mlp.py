import pandas as pd
import pytest
import torch
import transformers

from laser_lit.edits.edit import Edit
from laser_lit.edits.stack import Stack
from laser_lit.models.matrices import find_matrices
from laser_lit.scoring.controls import mlp_ablations, mlp_outputs, pruned_twin


@pytest.fixture
def model():
    torch.manual_seed(0)
    config = transformers.GPTJConfig(
        vocab_size=20, n_positions=8, n_embd=16, n_layer=2, n_head=2, rotary_dim=4, bos_token_id=0, eos_token_id=0
    )
    return transformers.GPTJForCausalLM(config).eval()


IDS = torch.tensor([[3, 4, 5, 0], [6, 7, 8, 9]])
MASK = torch.tensor([[1, 1, 1, 0], [1, 1, 1, 1]])


def run(model):
    with torch.no_grad():
        return model(input_ids=IDS, attention_mask=MASK).logits[:, 2]


class Scorer:
    """Scores the layer whose MLP is silenced by a given table, and notes what the model said."""

    def __init__(self, model, accuracies):
        self.model, self.accuracies, self.said = model, accuracies, []

    def __call__(self, split):
        self.said.append((split, run(self.model)))
        right, loss = self.accuracies[len(self.said) - 1]
        return pd.DataFrame({"correct": [right, False], "log_loss": [loss, loss]})


# one validation pass that measures, then for each control: two layers on validation and the best of them on test
SCORES = [(True, 1.0), (False, 1.0), (True, 1.0), (True, 0.5), (True, 3.0), (True, 2.0), (False, 9.0)]


def test_the_best_layer_on_validation_is_the_one_tested(model):
    scorer = Scorer(model, SCORES)
    zeroed, mean = mlp_ablations(model, find_matrices(model), scorer)
    assert [split for split, _ in scorer.said] == ["validation"] * 3 + ["test"] + ["validation"] * 2 + ["test"]
    assert (zeroed.name, zeroed.fitted) == ("zeroed MLP", "layer 1")
    assert (mean.name, mean.fitted) == ("mean-ablated MLP", "layer 1")  # equal accuracy, lower log loss
    assert zeroed.correct.tolist() == [True, False]
    assert mean.log_loss.tolist() == [9.0, 9.0]
    assert zeroed.validation_accuracy == 0.5


def test_zeroing_is_what_zero_weights_do_and_leaves_nothing_behind(model):
    before = run(model)
    scorer = Scorer(model, SCORES)
    mlp_ablations(model, find_matrices(model), scorer)
    assert torch.equal(run(model), before)
    last = model.transformer.h[1].mlp.fc_out
    last.weight.data.zero_()
    last.bias.data.zero_()
    assert torch.allclose(scorer.said[2][1], run(model), atol=1e-6)


def test_means_leave_padding_out(model):
    seen = []
    hook = model.transformer.h[0].mlp.fc_out.register_forward_hook(lambda module, args, output: seen.append(output))
    scorer = Scorer(model, SCORES)
    mlp_ablations(model, find_matrices(model), scorer)
    hook.remove()
    last = model.transformer.h[0].mlp.fc_out
    last.weight.data.zero_()
    last.bias.data.copy_(seen[0][MASK.bool()].mean(0))
    assert torch.allclose(scorer.said[4][1], run(model), atol=1e-5)


def test_hooks_go_away_when_scoring_fails(model):
    before = run(model)
    calls = []

    def score(split):
        run(model)
        calls.append(split)
        if len(calls) == 2:
            raise RuntimeError("out of memory")
        return pd.DataFrame({"correct": [True], "log_loss": [1.0]})

    with pytest.raises(RuntimeError, match="out of memory"):
        mlp_ablations(model, find_matrices(model), score)
    assert torch.equal(run(model), before)
    assert not model._forward_pre_hooks


def test_every_layer_has_an_mlp_output(model):
    assert mlp_outputs(model, find_matrices(model)) == {
        "layer 0": model.transformer.h[0].mlp.fc_out,
        "layer 1": model.transformer.h[1].mlp.fc_out,
    }


def test_the_pruned_twin_keeps_as_many_entries_as_the_factors(model):
    matrices = find_matrices(model)
    twin = pruned_twin(
        Stack([Edit(-1, "fc_in", rank=2), Edit(0, "out_proj", rho=0.25), Edit(0, "fc_in", kind="zero")]), matrices
    )
    assert twin.edits == (
        Edit(0, "out_proj", rank=4, kind="prune"),
        Edit(1, "fc_in", rank=2, kind="prune"),
    ) or twin.edits == (
        Edit(1, "fc_in", rank=2, kind="prune"),
        Edit(0, "out_proj", rank=4, kind="prune"),
    )
    with twin.applied(matrices):
        assert int(model.transformer.h[1].mlp.fc_in.weight.count_nonzero()) == 2 * (64 + 16)
        assert int(model.transformer.h[0].attn.out_proj.weight.count_nonzero()) == 4 * (16 + 16)


def test_there_is_no_twin_where_factors_are_no_smaller(model):
    matrices = find_matrices(model)
    assert pruned_twin(Stack([Edit(0, "out_proj", rank=9)]), matrices) is None
    assert pruned_twin(Stack([Edit(0, "out_proj", kind="zero")]), matrices) is None
    assert pruned_twin(Stack([Edit(0, "out_proj", rank=8)]), matrices) is not None
