"""The shape of `compare`: prompts that are put to a model with and without its edits."""

from dataclasses import dataclass
from typing import Any


@dataclass
class CompareConfig:
    """What `task=compare` asks and shows.

    Attributes:
        prompts: a text or a list of texts; null takes those of `file`, or questions of the built-in model's world.
        file: a prompt a line, or rows (.jsonl, .csv, .parquet …) with the field `prompt` and, if known, `answer`.
        max_new_tokens: tokens of the greedy continuation; null is 20 (the built-in model: 2, answer and full stop), or
            fewer where the model's context has no room for them behind the longest prompt. A masked model fills its
            masks instead.
        top: how many of the most probable next tokens are listed.
        chat_template: put each prompt as a user's turn in the tokenizer's own template.
    """

    prompts: Any = None
    file: str | None = None
    max_new_tokens: int | None = None
    top: int = 5
    chat_template: bool = False
