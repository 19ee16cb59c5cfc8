"""How prompts are worded: full stops, masks and names of groups."""

import xxhash

from laser_lit.data.example import MASK


def sentence(text: str) -> str:
    """Returns the text without outer white space, with a full stop unless it ends in "." or "?".

    Source: LASER's evaluation scripts (arXiv 2312.13558), written "[.]" in docs/data.md.
    """
    text = text.strip()
    return text if text.endswith((".", "?")) else text + "."


def masked(prompt: str, masks: int = 1, end: str = "") -> str:
    """Returns the prompt continued by masks with a space before each.

    Args:
        prompt: the text of the causal prompt.
        masks: how many, at least 1.
        end: what follows the last mask.
    """
    space = "" if prompt.endswith(" ") else " "
    return f"{prompt}{space}{' '.join([MASK] * masks)}{end}"


def alpaca(instruction: str, more: str = "") -> str:
    """Returns Alpaca's prompt; what follows it is the response.

    Source: stanford_alpaca's train.py; pyreft's alpaca_prompt_template and alpaca_prompt_no_input_template.

    Args:
        instruction: what is to be done.
        more: what it is to be done with; "" leaves the section out.
    """
    paired = ", paired with an input that provides further context" if more else ""
    section = f"### Input:\n{more}\n\n" if more else ""
    return (
        f"Below is an instruction that describes a task{paired}. Write a response that appropriately completes the "
        f"request.\n\n### Instruction:\n{instruction}\n\n{section}### Response:\n"
    )


def group_of(text: str) -> str:
    """Returns a short name that texts share when they differ only in case and white space."""
    return str(xxhash.xxh3_64_hexdigest(" ".join(text.casefold().split()).encode()))
