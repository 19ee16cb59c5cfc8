"""What a data set cannot settle without the evaluated model's tokenizer."""

from dataclasses import replace
from typing import TYPE_CHECKING

from laser_lit.data.example import Example, ExampleSet
from laser_lit.data.wording import sentence
from laser_lit.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def limit_answer_tokens(examples: ExampleSet, tokenizer: "PreTrainedTokenizerBase", most: int) -> ExampleSet:
    """Returns the examples whose answer has at most `most` tokens, the special ones that the tokenizer adds included.

    Of an example with a completion, that is counted in the answer's place.

    Source: LASER's HotpotQA loader counts the same way, always with Llama-2's tokenizer (so with its first token).
    """
    answers = [example.answer if example.completion is None else example.completion for example in examples.examples]
    tokens = tokenizer(answers)["input_ids"]
    kept = tuple(e for e, ids in zip(examples.examples, tokens, strict=True) if len(ids) <= most)
    if not kept:
        raise InputError(f"data.max_answer_tokens {most}: no answer of {examples.name} is that short")
    return replace(examples, examples=kept)


def shorten_masked_texts(examples: ExampleSet, tokenizer: "PreTrainedTokenizerBase") -> ExampleSet:
    """Returns the examples with the text in `masked_prompt` cut to its last `masked_tail_tokens` tokens.

    Source: LASER's RoBERTa scripts for Bias in Bios decode the last 50 tokens and put them into the prompt.
    """
    tail = examples.masked_tail_tokens
    if tail is None:
        return examples
    shortened = tuple(_shortened(example, tokenizer, tail) for example in examples.examples)
    return replace(examples, examples=shortened, masked_tail_tokens=None)


def apply_chat_template(examples: ExampleSet, tokenizer: "PreTrainedTokenizerBase") -> ExampleSet:
    """Returns the examples with each prompt as a user's turn and the assistant's turn opened.

    Raises:
        InputError: the tokenizer has no chat template.
    """
    if examples.chat_template:
        return examples
    changed = tuple(replace(one, prompt=chat_turn(one.prompt, tokenizer, "data")) for one in examples.examples)
    return replace(examples, examples=changed, chat_template=True)


def chat_turn(prompt: str, tokenizer: "PreTrainedTokenizerBase", group: str) -> str:
    """Returns a prompt as a user's turn, special tokens written out, and the assistant's turn opened.

    Args:
        prompt: what the user says.
        tokenizer: with its own chat template.
        group: of the config, whose `chat_template` asked for it.

    Raises:
        InputError: the tokenizer has no chat template.
    """
    if not getattr(tokenizer, "chat_template", None):
        name = getattr(tokenizer, "name_or_path", "") or type(tokenizer).__name__
        raise InputError(f"{group}.chat_template=true: the tokenizer {name} has no chat template; leave it false")
    messages = [{"role": "user", "content": prompt}]
    return str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))


def _shortened(example: Example, tokenizer: "PreTrainedTokenizerBase", tail: int) -> Example:
    if example.masked_text is None or example.masked_prompt is None:
        return example
    ids = tokenizer(example.masked_text, add_special_tokens=False)["input_ids"][-tail:]
    text = str(tokenizer.decode(ids, skip_special_tokens=True))
    prompt = example.masked_prompt.replace(sentence(example.masked_text), sentence(text), 1)
    return replace(example, masked_prompt=prompt, masked_text=None)
