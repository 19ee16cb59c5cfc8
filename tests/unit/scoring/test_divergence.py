"""Token KL and change of log loss of an edited model, against a direct computation."""

import copy

import pytest
import torch

from laser_lit.data.example import TextSet
from laser_lit.edits.edit import Edit
from laser_lit.edits.stack import Stack
from laser_lit.errors import InputError
from laser_lit.models.matrices import find_matrices
from laser_lit.scoring import divergence
from laser_lit.scoring.batches import Batches
from laser_lit.scoring.divergence import Divergence
from laser_lit.scoring.requests import encode

STACK = Stack([Edit(0, "mlp", rank=3), Edit(1, "out_proj", rank=2)])


def text(n=70):
    generator = torch.Generator().manual_seed(1)
    return TextSet("tiny", (" ".join(f"w{i}" for i in torch.randint(120, (n,), generator=generator).tolist()),), "r")


def windows(tokenizer, side="right", size=4):
    return Batches(encode(text(), tokenizer, window=9), 0, size, side=side)


def directly(model, batches, stack):
    """Returns windows, KL, change, log loss and moved of each token from full logits, one window at a time."""
    rows = []
    for number, request in enumerate(batches.requests):
        ids = torch.tensor([request.tokens])
        places = torch.tensor(request.reads)
        with torch.no_grad():
            p = model(ids).logits[0, places].double().log_softmax(-1)
            with stack.applied(model):
                q = model(ids).logits[0, places].double().log_softmax(-1)
        kl = (p.exp() * (p - q)).sum(-1)
        targets = torch.tensor(request.targets)[:, None]
        change = (p - q).gather(1, targets)[:, 0]
        loss, moved = -p.gather(1, targets)[:, 0], p.argmax(-1) != q.argmax(-1)
        rows += [(number, *map(float, token)) for token in zip(kl, change, loss, moved, strict=True)]
    return [torch.tensor(column, dtype=torch.float64) for column in zip(*rows, strict=True)]


# gemma2 caps its logits and cohere scales them, after the head
@pytest.mark.parametrize("name", ["gptj", "gpt2", "neox", "llama", "mixtral", "gemma2", "cohere", "bloom", "opt"])
@pytest.mark.parametrize("side", ["right", "left"])
def test_every_token_is_compared_as_the_definition_says(models_by_name, tokenizer, name, side):
    model, batches = models_by_name(name), windows(tokenizer, side)
    numbers, kl, change, loss, moved = directly(model, batches, STACK)
    found = Divergence(model, find_matrices(model), batches).of(STACK)
    assert found.windows.tolist() == numbers.tolist()
    torch.testing.assert_close(torch.from_numpy(found.kl), kl, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(torch.from_numpy(found.change), change, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(torch.from_numpy(found.log_loss), loss, rtol=1e-4, atol=1e-5)
    assert found.moved.tolist() == moved.tolist()
    assert found.kl.min() >= 0
    assert found.kl.max() > 1e-3


def test_the_base_is_no_distance_from_itself_before_and_after_an_edit(models_by_name, tokenizer):
    model = models_by_name("llama")
    compared = Divergence(model, find_matrices(model), windows(tokenizer))
    first = compared.of(None)
    assert max(first.kl.max(), abs(first.change).max()) < 1e-10
    once = compared.of(STACK)
    assert compared.of(None).kl.max() < 1e-10  # the weights are back
    assert (compared.of(STACK).kl == once.kl).all()


def test_a_text_too_large_to_keep_is_compared_in_pieces(models_by_name, tokenizer, monkeypatch):
    model = models_by_name("gptj")
    matrices = find_matrices(model)
    whole = Divergence(model, matrices, windows(tokenizer)).of(STACK)
    passes = []
    handle = model.register_forward_pre_hook(lambda *_: passes.append(1))
    compared = Divergence(model, matrices, windows(tokenizer), kept_gb=20 * 32 * 4 / 1e9)
    for _ in range(2):
        pieces = compared.of(STACK)
        assert pieces.windows.tolist() == whole.windows.tolist()
        assert pieces.kl == pytest.approx(whole.kl, rel=1e-5, abs=1e-9)
    assert compared._base is None
    assert len(passes) == 2 * 2 * len(windows(tokenizer))  # base and edited, each time
    handle.remove()
    monkeypatch.setattr(divergence, "MAX_LOGITS", 2 * 2 * 8 * 128)
    monkeypatch.setattr(divergence, "CHUNK", 3 * 128)
    small = Divergence(model, matrices, windows(tokenizer)).of(STACK)
    assert small.kl == pytest.approx(whole.kl, rel=1e-4, abs=1e-9)


def test_the_base_is_passed_once_where_it_is_kept(models_by_name, tokenizer):
    model = models_by_name("neox")
    compared = Divergence(model, find_matrices(model), windows(tokenizer))
    passes = []
    handle = model.register_forward_pre_hook(lambda *_: passes.append(1))
    for _ in range(3):
        compared.of(STACK)
    handle.remove()
    assert len(passes) == 4 * len(windows(tokenizer))


def test_half_precision_is_compared_in_double(models_by_name, tokenizer):
    model = models_by_name("llama")
    found = Divergence(model, find_matrices(model), windows(tokenizer)).of(STACK)
    half = type(model)(model.config).eval()
    half.load_state_dict(model.state_dict())
    half = half.bfloat16()
    rough = Divergence(half, find_matrices(half), windows(tokenizer)).of(STACK)
    assert rough.kl.dtype == found.kl.dtype == "float64"
    assert rough.kl.mean() == pytest.approx(found.kl.mean(), rel=0.2)


def test_what_cannot_be_compared_is_refused(models_by_name, tokenizer, sets):
    masked, model = models_by_name("roberta"), models_by_name("gptj")
    with pytest.raises(InputError, match="needs a causal model"):
        Divergence(masked, find_matrices(masked), windows(tokenizer))
    with pytest.raises(InputError, match="windows of text"):
        Divergence(model, find_matrices(model), Batches(encode(sets("token"), tokenizer), 0))
    training = type(model)(model.config).train()
    with pytest.raises(InputError, match="training mode"):
        Divergence(training, find_matrices(training), windows(tokenizer))
    with torch.no_grad():
        training.eval().lm_head.weight[3, 3] = float("nan")
    with pytest.raises(InputError, match="not finite"):
        Divergence(training, find_matrices(training), windows(tokenizer)).of(None)
    with torch.no_grad():
        training.lm_head.weight[3, 3] = 0.0
    training.get_output_embeddings = lambda: torch.nn.Linear(32, 128)
    with pytest.raises(InputError, match="outside its output embeddings"):
        Divergence(training, find_matrices(model), windows(tokenizer)).of(None)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_cuda_device_gives_the_same(models_by_name, tokenizer):
    model = copy.deepcopy(models_by_name("llama"))
    expected = Divergence(model, find_matrices(model), windows(tokenizer)).of(STACK)
    model = model.cuda()
    found = Divergence(model, find_matrices(model), windows(tokenizer)).of(STACK)
    assert found.kl == pytest.approx(expected.kl, rel=1e-2, abs=1e-5)
