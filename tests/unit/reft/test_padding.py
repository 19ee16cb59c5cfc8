"""Padding, batches and shared parameters change nothing: logits at the real tokens are the same."""

import copy
from collections.abc import Callable

import pytest
import torch
from families import FAMILIES
from hypothesis import given, settings
from hypothesis import strategies as st
from interventions import positions_of, strong, tokens
from torch import Tensor, nn

from laser_lit.errors import InputError
from laser_lit.reft.intervention import Intervention
from laser_lit.reft.prompt import prompts
from laser_lit.reft.reft import Reft

MODELS = ("llama", "gpt2", "gptj", "bloom", "bert", "falcon_7b")
NEAR = {"atol": 2e-5, "rtol": 1e-4}
WITHOUT_POSITIONS = ("bloom",)


@pytest.fixture(scope="module", params=MODELS)
def model(request: pytest.FixtureRequest) -> nn.Module:
    return FAMILIES[request.param]()


@pytest.fixture(scope="module")
def llama() -> nn.Module:
    return FAMILIES["llama"]()


def logits_of(model: nn.Module, ids: Tensor, mask: Tensor) -> Tensor:
    values = {} if model.config.model_type in WITHOUT_POSITIONS else {"position_ids": positions_of(mask)}
    with torch.no_grad():
        return model(input_ids=ids, attention_mask=mask.long(), **values).logits


def padded(rows: list[Tensor], side: str, width: int) -> tuple[Tensor, Tensor]:
    """Returns token ids and where they are real; "both" has padding on both sides."""
    ids = torch.full((len(rows), width), 2)
    mask = torch.zeros(len(rows), width, dtype=torch.bool)
    for row, found in enumerate(rows):
        free = width - len(found)
        begin = {"left": free, "right": 0, "both": free // 2}[side]
        ids[row, begin : begin + len(found)] = found
        mask[row, begin : begin + len(found)] = True
    return ids, mask


def rows_of(lengths: list[int], seed: int = 1) -> list[Tensor]:
    return [tokens(1, length, seed + number)[0] for number, length in enumerate(lengths)]


@pytest.mark.parametrize("said", [False, True], ids=["by the mask", "by prompts"])
@pytest.mark.parametrize("side", ["left", "right", "both"])
def test_padding_changes_nothing(model: nn.Module, side: str, said: bool) -> None:
    """Prompts of 1 token, of fewer than asked for, and long ones; those that are said end before the text does."""
    reft = strong(model, positions="f2+l3", share="ends")
    rows = rows_of([9, 1, 2, 4, 5])
    ids, mask = padded(rows, side, 11)
    lengths = [max(len(row) - 3, 1) if said else len(row) for row in rows]
    prompt = mask & (mask.cumsum(1) <= torch.tensor(lengths)[:, None])
    plain = logits_of(model, ids, mask)
    with reft.attached(model):
        with prompts(prompt):
            together = logits_of(model, ids, mask)
        if not said:
            assert torch.equal(logits_of(model, ids, mask), together)
        for row, alone in enumerate(rows):
            whole = torch.ones(1, len(alone), dtype=torch.bool)
            with prompts(whole[:, : lengths[row]]):
                expected = logits_of(model, alone[None], whole)[0]
            torch.testing.assert_close(together[row, mask[row]], expected, **NEAR)
            changed = not torch.allclose(together[row, mask[row]], plain[row, mask[row]], atol=1e-2)
            assert changed == (lengths[row] > 1)


@settings(max_examples=25)
@given(
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    side=st.sampled_from(["left", "right", "both"]),
    extra=st.integers(0, 3),
    positions=st.sampled_from(["f1", "l1", "f7+l7", "f1+l3", "f4"]),
    share=st.sampled_from(["all", "ends", "none"]),
)
def test_any_batch_is_as_its_rows(
    llama: nn.Module, lengths: list[int], side: str, extra: int, positions: str, share: str
) -> None:
    reft = strong(llama, positions=positions, share=share, rank=1)
    rows = rows_of(lengths, seed=sum(lengths))
    ids, mask = padded(rows, side, max(lengths) + extra)
    with reft.attached(llama):
        together = logits_of(llama, ids, mask)
        for row, alone in enumerate(rows):
            expected = logits_of(llama, alone[None], torch.ones(1, len(alone)))[0]
            torch.testing.assert_close(together[row, mask[row]], expected, **NEAR)


@pytest.mark.parametrize("component", ["block_output", "mlp_input", "value_output", "model.layers.0.mlp.output"])
def test_only_chosen_states_change(llama: nn.Module, component: str) -> None:
    """Neither padding nor other tokens are touched, to the last bit, where the states are made."""
    layer = None if "." in component else 0
    reft = strong(llama, layer=layer, component=component, positions="f1+l2")
    ids, mask = padded(rows_of([7, 4, 1]), "both", 9)
    [place], [slot] = reft.places, reft.slots
    chosen = slot.mask(mask)
    assert chosen.sum(1).tolist() == [3, 3, 0]
    plain = seen_at(llama, place.module, place.side, lambda: logits_of(llama, ids, mask))
    with reft.attached(llama):
        edited = seen_at(llama, place.module, place.side, lambda: logits_of(llama, ids, mask))
    assert torch.equal(edited[~chosen], plain[~chosen])
    assert ((edited - plain)[chosen].abs().amax(-1) > 1e-3).all()


def seen_at(model: nn.Module, path: str, side: str, run: Callable[[], Tensor]) -> Tensor:
    """Returns what a module is given or gives while `run` runs."""
    seen = []

    def look(module: nn.Module, args: tuple[Tensor, ...], output: object) -> None:
        seen.append((args[0] if side == "input" else output[0] if isinstance(output, tuple) else output).clone())

    handle = model.get_submodule(path).register_forward_hook(look)
    run()
    handle.remove()
    return seen[0]


def test_equal_parameters_are_as_shared_ones(llama: nn.Module) -> None:
    ids, mask = padded(rows_of([8, 3, 1]), "left", 8)
    tied = strong(llama, positions="f2+l3")
    with tied.attached(llama):
        expected = logits_of(llama, ids, mask)
    for share, sets in (("ends", 2), ("none", 5)):
        untied = strong(llama, positions="f2+l3", share=share)
        assert len(untied.edits) == sets * 2
        with untied.attached(llama):
            assert not torch.allclose(logits_of(llama, ids, mask), expected, atol=1e-2)
        for number, edit in enumerate(untied.edits):
            edit.load_state_dict(copy.deepcopy(tied.edits[number % 2].state_dict()))
        with untied.attached(llama):
            torch.testing.assert_close(logits_of(llama, ids, mask)[mask], expected[mask], **NEAR)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("of_edit", ["float32", "bfloat16"])
def test_no_strength_is_the_model_itself(dtype: torch.dtype, of_edit: str) -> None:
    model = FAMILIES["llama"]().to(dtype)
    ids, mask = padded(rows_of([8, 3]), "left", 8)
    plain = logits_of(model, ids, mask)
    reft = strong(model, dtype=of_edit, dropout=0.5).train()
    with reft.attached(model, strength=0):
        assert torch.equal(logits_of(model, ids, mask), plain)
    with reft.attached(model, strength=0.5):
        half = logits_of(model, ids, mask)
        assert not torch.equal(half, plain)
        assert half.dtype == dtype


def test_no_bos_token_is_needed(llama: nn.Module) -> None:
    """Whatever the first token is, and even where padding looks like text, only the mask counts."""
    reft = strong(llama, positions="f1+l1")
    ids, mask = padded(rows_of([5, 3]), "left", 6)
    with reft.attached(llama):
        expected = logits_of(llama, ids, mask)[mask]
        torch.testing.assert_close(logits_of(llama, ids.where(mask, 9), mask)[mask], expected, **NEAR)
        ids[0, 1], ids[1, 4] = 0, 2  # a first token, and padding, within the text
        expected = logits_of(llama, ids, mask)[mask]
        torch.testing.assert_close(logits_of(llama, ids.where(mask, 0), mask)[mask], expected, **NEAR)


def test_a_mask_given_by_position(llama: nn.Module) -> None:
    ids, mask = padded(rows_of([6, 2]), "left", 6)
    with strong(llama).attached(llama), torch.no_grad():
        by_name = llama(input_ids=ids, attention_mask=mask.long()).logits
        assert torch.equal(llama(ids, mask.long()).logits, by_name)


def test_embeddings_instead_of_tokens(llama: nn.Module) -> None:
    ids, mask = padded(rows_of([6, 2]), "left", 6)
    with strong(llama).attached(llama), torch.no_grad():
        found = llama(inputs_embeds=llama.model.embed_tokens(ids), attention_mask=mask).logits
        assert torch.equal(found, llama(input_ids=ids, attention_mask=mask).logits)
        with pytest.raises(InputError, match="need the model's input_ids or inputs_embeds"):
            llama(attention_mask=mask)


def test_a_mask_that_does_not_tell_padding(llama: nn.Module) -> None:
    ids, mask = padded(rows_of([6, 2]), "left", 6)
    causal = torch.zeros(2, 1, 6, 6)
    with strong(llama).attached(llama), torch.no_grad():
        with pytest.raises(InputError, match=r"of shape \(2, 1, 6, 6\) does not tell .* prompts\(mask\)"):
            llama(input_ids=ids, attention_mask=causal)
        with prompts(mask):
            llama(input_ids=ids, attention_mask=causal)


def test_several_at_one_place_follow_one_another(llama: nn.Module) -> None:
    ids = tokens()
    said = [Intervention(layer=0, rank=2, type=name, positions="l2") for name in ("loreft", "noreft")]
    both = Reft.on(llama, said, seed=3)
    parts = [Reft.on(llama, [entry]) for entry in said]
    for part, edit in zip(parts, both.edits, strict=True):
        part.edits[0].load_state_dict(edit.state_dict())
    with both.attached(llama):
        expected = logits_of(llama, ids, torch.ones_like(ids))
    with parts[0].attached(llama), parts[1].attached(llama):
        assert torch.equal(logits_of(llama, ids, torch.ones_like(ids)), expected)
    with parts[1].attached(llama), parts[0].attached(llama):
        assert not torch.allclose(logits_of(llama, ids, torch.ones_like(ids)), expected, atol=1e-3)
