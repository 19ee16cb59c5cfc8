"""What models say to prompts of unlike lengths, against the same asked one by one, and tokens as text."""

from typing import Any

import pytest
import torch

from laser_lit.errors import InputError
from laser_lit.scoring.said import causal_ids, masked_ids, said_by
from laser_lit.scoring.text import common_length, continued, token_text

PROMPTS = [(10, 11, 12, 13, 14), (20,), (30, 31, 32), (40, 41)]


def ask(model: Any, prompts: list[tuple[int, ...]], mask_id: int | None = None, new: int = 4) -> Any:
    return said_by(model, prompts, mask_id=mask_id, max_new_tokens=new, pad_id=0, batch_size=3)


@pytest.mark.parametrize("name", ["gptj", "gpt2", "llama", "mixtral", "bloom", "opt", "falcon", "gemma2"])
def test_a_batch_says_what_each_prompt_alone_is_told(models_by_name: Any, name: str) -> None:
    model = models_by_name(name)
    for ids, said in zip(PROMPTS, ask(model, PROMPTS), strict=True):
        with torch.no_grad():
            logits = model(torch.tensor([ids])).logits[0, -1]
        torch.testing.assert_close(said.logits, logits.float(), rtol=1e-4, atol=1e-4)
        (alone,) = ask(model, [ids])
        assert said.ids == alone.ids
        end = model.config.eos_token_id
        best = said.logits.clone()
        best[end] = -torch.inf  # a continuation has one token at least
        assert said.ids[0] == int(best.argmax())


@pytest.mark.parametrize("name", ["bert", "roberta", "deberta"])
def test_a_masked_model_fills_every_mask(models_by_name: Any, tokenizer: Any, name: str) -> None:
    model = models_by_name(name)
    prompts = [masked_ids(text, tokenizer) for text in ("w1 <mask> w2 w3", "w4", "w5 [MASK] <mask> w6")]
    assert [ids.count(tokenizer.mask_token_id) for ids in prompts] == [1, 1, 2]
    for ids, said in zip(prompts, ask(model, prompts, tokenizer.mask_token_id), strict=True):
        places = [i for i, token in enumerate(ids) if token == tokenizer.mask_token_id]
        with torch.no_grad():
            logits = model(torch.tensor([ids])).logits[0]
        assert said.ids == tuple(logits[places].argmax(-1).tolist())
        torch.testing.assert_close(said.logits, logits[places[0]].float(), rtol=1e-4, atol=1e-4)


def test_spaces_at_the_end_are_the_next_word_s(tokenizer: Any, bos_tokenizer: Any) -> None:
    assert causal_ids("w1 w2  ", tokenizer) == causal_ids("w1 w2", tokenizer)
    assert causal_ids("w1", bos_tokenizer)[0] == bos_tokenizer.bos_token_id
    assert causal_ids("[BOS] w1", bos_tokenizer, turn=True) == causal_ids("w1", bos_tokenizer)


def test_a_tokenizer_without_a_mask(tokenizer: Any) -> None:
    class Without:
        mask_token_id = None

    with pytest.raises(InputError, match=r"no mask token; ask the model as model\.kind=causal"):
        masked_ids("w1", Without())


class Spelling:
    """A tokenizer that writes "▁" for a space and drops the first of a text, as SentencePiece does."""

    pieces = ("▁the", "the", "▁", "<0xE2>", "\n")

    def convert_ids_to_tokens(self, token: int) -> str | None:
        return self.pieces[token] if token < len(self.pieces) else None

    def decode(self, ids: list[int], clean_up_tokenization_spaces: bool) -> str:
        text = "".join(self.pieces[token] for token in ids).replace("<0xE2>", "\ufffd").replace("▁", " ")
        return text.removeprefix(" ")


def test_tokens_keep_the_space_that_they_bring() -> None:
    texts = [token_text(Spelling(), token) for token in range(6)]
    assert texts == [" the", "the", "▁", "<0xE2>", "\n", "[5]"]
    assert continued(Spelling(), (1,), (0, 1)) == " thethe"
    assert continued(Spelling(), (), (0,)) == "the"


def test_the_common_beginning() -> None:
    assert common_length("abcd", "abxd") == 2
    assert common_length((1, 2), (1, 2, 3)) == 2
    assert common_length((), (1,)) == 0
