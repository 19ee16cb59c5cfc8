"""Generation: the prompt alone is intervened on, with and without cache, in batches, by beams, at random."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from families import FAMILIES, T5, T5_TOKENS, build
from interventions import hooks_of, strong, tokens
from torch import Tensor, nn

from laser_lit.errors import InputError
from laser_lit.reft.prompt import prompts
from laser_lit.reft.reft import Reft

WAYS = {
    "greedy": {},
    "beams": {"num_beams": 3},
    "beams, all of them": {"num_beams": 3, "num_return_sequences": 3},
    "sampling": {"do_sample": True, "top_k": 0, "num_return_sequences": 2},
}
GENERATORS = ("llama", "gptj", "gpt2", "falcon_7b")


@pytest.fixture(scope="module", params=GENERATORS)
def model(request: pytest.FixtureRequest) -> nn.Module:
    return FAMILIES[request.param]()


@pytest.fixture(scope="module")
def llama() -> nn.Module:
    return FAMILIES["llama"]()


def generated(model: nn.Module, ids: Tensor, mask: Tensor | None = None, **values: object) -> Tensor:
    torch.manual_seed(0)
    mask = torch.ones_like(ids) if mask is None else mask
    made = {"max_new_tokens": 6, "min_new_tokens": 6, "do_sample": False, "pad_token_id": 2, "eos_token_id": 1} | values
    return model.generate(ids, attention_mask=mask, **made)[:, ids.shape[1] :]


def by_hand(model: nn.Module, reft: Reft, ids: Tensor, count: int = 6) -> Tensor:
    """Generates greedily by passes of the whole text; the prompt is said each time."""
    text, prompt = ids, torch.ones_like(ids)
    for step in range(count):
        with reft.attached(model), prompts(prompt), torch.no_grad():
            logits = model(input_ids=text, attention_mask=torch.ones_like(text)).logits[:, -1]
        assert step < count
        logits[:, 1] = -torch.inf  # as long as no end may come
        text = torch.cat([text, logits.argmax(-1, keepdim=True)], 1)
    return text[:, ids.shape[1] :]


@pytest.mark.parametrize("way", WAYS)
def test_the_cache_changes_nothing(model: nn.Module, way: str) -> None:
    reft, ids = strong(model, positions="f1+l2"), tokens()
    with reft.attached(model):
        found = generated(model, ids, **WAYS[way])
        assert torch.equal(generated(model, ids, use_cache=False, **WAYS[way]), found)
    assert not torch.equal(generated(model, ids, **WAYS[way]), found)


def test_what_is_generated_is_no_prompt(model: nn.Module) -> None:
    reft, ids = strong(model, positions="l2"), tokens()
    with reft.attached(model):
        found = generated(model, ids)
    assert torch.equal(found, by_hand(model, reft, ids))


@pytest.mark.parametrize("use_cache", [True, False])
def test_padding_that_generation_finds_by_itself(llama: nn.Module, use_cache: bool) -> None:
    """Without a mask transformers makes one of the padding tokens; the first pass tells it."""
    reft, ids = strong(llama, positions="f2+l2"), tokens(2, 8)
    ids[1, :3] = 2
    with reft.attached(llama):
        expected = generated(llama, ids, (ids != 2).long())
        values = {"max_new_tokens": 6, "min_new_tokens": 6, "pad_token_id": 2, "eos_token_id": 1}
        assert torch.equal(llama.generate(ids, use_cache=use_cache, **values)[:, 8:], expected)


@pytest.mark.parametrize("use_cache", [True, False])
def test_a_batch_with_left_padding_is_as_one_by_one(model: nn.Module, use_cache: bool) -> None:
    reft = strong(model, positions="f2+l2")
    ids = tokens(4, 8)
    mask = torch.arange(8) >= torch.tensor([[0], [3], [5], [7]])
    with reft.attached(model):
        found = generated(model, ids.where(mask, 2), mask.long(), use_cache=use_cache)
        for row in range(4):
            alone = ids[row : row + 1, mask[row]]
            assert torch.equal(generated(model, alone)[0], found[row]), row


def test_a_second_prompt_in_the_same_attachment(llama: nn.Module) -> None:
    reft = strong(llama)
    one, other = tokens(2, 7), tokens(3, 4, seed=8)
    with reft.attached(llama):
        first = generated(llama, one)
    with reft.attached(llama):
        generated(llama, other)
        logits = llama(input_ids=other).logits
        assert torch.equal(generated(llama, one), first)
        assert torch.equal(llama(input_ids=other).logits, logits)


@pytest.mark.parametrize("way", ["greedy", "beams"])
@pytest.mark.parametrize("use_cache", [True, False])
def test_generation_inside_of_prompts(llama: nn.Module, way: str, use_cache: bool) -> None:
    """The first 4 and 6 tokens are the prompts, though generation begins with 7."""
    reft, ids = strong(llama, positions="l1"), tokens()
    prompt = torch.arange(7) < torch.tensor([[4], [6]])
    values = WAYS[way] | {"use_cache": use_cache}
    with reft.attached(llama), prompts(prompt):
        found = generated(llama, ids, **values)
    with reft.attached(llama), prompts(prompt.repeat_interleave(WAYS[way].get("num_beams", 1), 0)):
        assert torch.equal(found, generated(llama, ids, **values))
    with reft.attached(llama):
        assert not torch.equal(found, generated(llama, ids, **values))
    if way == "greedy":
        with fixed(llama, reft, prompt):
            assert torch.equal(found, generated(llama, ids, use_cache=False))


@contextmanager
def fixed(model: nn.Module, reft: Reft, prompt: Tensor) -> Iterator[None]:
    """Intervenes by hand at the last token of each prompt, at every layer."""
    rows, last = torch.arange(len(prompt)), prompt.sum(1) - 1

    def hook_of(edit: nn.Module) -> object:
        def hook(module: nn.Module, args: object, output: Tensor) -> Tensor:
            output = output.clone()
            output[rows, last] = edit(output[rows, last])
            return output

        return hook

    handles = [
        layer.register_forward_hook(hook_of(edit)) for layer, edit in zip(model.model.layers, reft.edits, strict=True)
    ]
    yield
    for handle in handles:
        handle.remove()


def test_two_attached_at_once(llama: nn.Module) -> None:
    ids = tokens()
    one, two = strong(llama, layer=0), strong(llama, layer=1, type="noreft")
    with one.attached(llama), two.attached(llama):
        both = generated(llama, ids)
        assert torch.equal(generated(llama, ids, use_cache=False), both)
    with two.attached(llama), one.attached(llama):
        assert torch.equal(generated(llama, ids), both)
    for alone in (one, two):
        with alone.attached(llama):
            assert not torch.equal(generated(llama, ids), both)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2), (0, 2, 1)])
def test_taken_off_in_any_order(llama: nn.Module, order: tuple[int, ...]) -> None:
    ids, clean, before = tokens(), generated(llama, tokens()), hooks_of(llama)
    refts = [strong(llama, layer=0), strong(llama, layer=1), strong(llama, layer="all", type="noreft")]
    attachments = [reft.attach(llama) for reft in refts]
    for number in order[:2]:
        attachments[number].detach()
        attachments[number].detach()
    found = generated(llama, ids)
    attachments[order[2]].detach()
    with refts[order[2]].attached(llama):
        assert torch.equal(generated(llama, ids), found)
    assert "generate" not in vars(llama)
    assert hooks_of(llama) == before
    assert torch.equal(generated(llama, ids), clean)


def test_the_users_own_generate_comes_back(llama: nn.Module) -> None:
    def mine(*args: object, **values: object) -> str:
        return "mine"

    llama.generate = mine
    try:
        with strong(llama).attached(llama):
            assert llama.generate() == "mine"
        assert vars(llama)["generate"] is mine
    finally:
        del llama.generate


def test_an_error_inside_leaves_nothing_behind(llama: nn.Module) -> None:
    reft, ids, before = strong(llama), tokens(), hooks_of(llama)

    def broken(ids: Tensor, scores: Tensor) -> Tensor:
        raise RuntimeError("broke off")

    with reft.attached(llama):
        expected, logits = generated(llama, ids), llama(input_ids=ids).logits
        with pytest.raises(RuntimeError, match="broke off"):
            generated(llama, tokens(3, 5), logits_processor=[broken])
        assert torch.equal(llama(input_ids=ids).logits, logits)
        assert torch.equal(generated(llama, ids), expected)
    with pytest.raises(RuntimeError, match="broke off"), reft.attached(llama):
        generated(llama, ids, logits_processor=[broken])
    assert hooks_of(llama) == before
    assert "generate" not in vars(llama)


def test_a_cache_of_fixed_size(llama: nn.Module) -> None:
    """Its passes have masks of 4 dimensions, which do not tell padding."""
    reft, ids = strong(llama), tokens(2, 8)
    mask = (torch.arange(8) >= torch.tensor([[0], [3]])).long()
    with reft.attached(llama):
        expected = generated(llama, ids, mask)
        found = generated(llama, ids, mask, cache_implementation="static", disable_compile=True)
    assert torch.equal(found, expected)


def test_a_prompt_in_chunks(llama: nn.Module) -> None:
    reft, ids = strong(llama, positions="f3+l3"), tokens(2, 8)
    mask = (torch.arange(8) >= torch.tensor([[0], [3]])).long()
    with reft.attached(llama):
        assert torch.equal(generated(llama, ids, mask, prefill_chunk_size=3), generated(llama, ids, mask))


def test_candidates_in_the_first_pass_are_no_prompt(llama: nn.Module) -> None:
    """Looked-up tokens follow the prompt at once; where transformers makes the mask, it covers them too."""
    reft, ids = strong(llama, positions="l2"), tokens(1, 4).repeat(1, 3)
    values = {"max_new_tokens": 6, "min_new_tokens": 6, "do_sample": False, "pad_token_id": 2, "eos_token_id": 1}
    with reft.attached(llama):
        expected = generated(llama, ids)
        for inputs in ({"inputs": ids}, {"input_ids": ids}):
            found = llama.generate(**inputs, prompt_lookup_num_tokens=3, **values)
            assert torch.equal(found[:, 12:], expected)


def test_chunks_need_a_mask(llama: nn.Module) -> None:
    """The first chunk alone does not tell which are the last tokens of the prompt."""
    reft, ids = strong(llama), tokens(2, 8)
    with reft.attached(llama):
        with pytest.raises(InputError, match=r"begins with 3 of a prompt's 8 tokens.*give generate an attention_mask"):
            llama.generate(ids, max_new_tokens=2, prefill_chunk_size=3, pad_token_id=2)
        assert torch.equal(generated(llama, ids, prefill_chunk_size=3), generated(llama, ids))


def test_a_further_turn_with_a_cache(llama: nn.Module) -> None:
    """Tokens that follow a cache are intervened on where they are prompts of generation or `prompts` says so."""
    reft, ids = strong(llama, positions="l2"), tokens(2, 9)
    with reft.attached(llama), torch.no_grad():
        cache = llama(input_ids=ids[:, :5], use_cache=True).past_key_values
        plain = llama(input_ids=ids[:, 5:], past_key_values=cache).logits
        with prompts(torch.arange(9).repeat(2, 1) < 5):
            assert torch.equal(plain, llama(input_ids=ids).logits[:, 5:]) or torch.allclose(
                plain, llama(input_ids=ids).logits[:, 5:], atol=1e-5
            )


def test_prompts_of_another_number_of_sequences(llama: nn.Module) -> None:
    with (
        strong(llama).attached(llama),
        prompts(torch.ones(2, 7, dtype=torch.bool)),
        pytest.raises(InputError, match="prompts of 2 sequences were said, and a pass has 3"),
    ):
        llama(input_ids=tokens(3, 7))


def test_a_model_of_two_parts() -> None:
    """The encoder alone is intervened on, before the first token is generated."""
    model = build("T5ForConditionalGeneration", "T5Config", **T5 | T5_TOKENS | {"num_decoder_layers": 2})
    reft, ids = strong(model), tokens(2, 8)
    mask = (torch.arange(8) < torch.tensor([[8], [5]])).long()
    values = {"attention_mask": mask, "max_new_tokens": 5, "min_new_tokens": 5}
    plain = model.generate(ids, **values)
    with reft.attached(model):
        found = model.generate(ids, **values)
        assert torch.equal(model.generate(ids, use_cache=False, **values), found)
        assert torch.equal(model.generate(ids, num_beams=3, **values), model.generate(ids, num_beams=3, **values))
        with torch.no_grad():
            logits = model(input_ids=ids, attention_mask=mask, decoder_input_ids=found[:, :-1]).logits[:, -1]
        assert torch.equal(found[:, -1], logits.index_fill(1, torch.tensor([1]), -torch.inf).argmax(-1))
    assert not torch.equal(found, plain)
    assert torch.equal(model.generate(ids, **values), plain)


def test_a_part_of_the_model_alone(llama: nn.Module) -> None:
    """It knows no prompt, so that it is refused rather than edited at the last pass's places."""
    with strong(llama).attached(llama), torch.no_grad():
        llama(input_ids=tokens())
        with pytest.raises(InputError, match="layer 0 block_output: a part of the model runs alone"):
            llama.model(input_ids=tokens())
