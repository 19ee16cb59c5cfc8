"""The tokenizer of the noisy-facts world: one word, one token."""

from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Split
from transformers import PreTrainedTokenizerFast

from laser_lit.data.facts.words import END, PAD, UNKNOWN
from laser_lit.data.facts.world import World


def world_tokenizer(world: World) -> PreTrainedTokenizerFast:
    """Returns a tokenizer that cuts at spaces; its ids are the places in `World.vocabulary`.

    A prompt's tokens are always the first tokens of prompt + " " + answer. Saved folders load with AutoTokenizer.
    """
    words = {word: i for i, word in enumerate(world.vocabulary)}
    tokenizer = Tokenizer(WordLevel(words, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = Split(" ", behavior="removed")
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token=UNKNOWN,
        pad_token=PAD,
        eos_token=END,
        padding_side="right",
        clean_up_tokenization_spaces=False,
    )
