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


def group_of(text: str) -> str:
    """Returns a short name that texts share when they differ only in case and white space."""
    return str(xxhash.xxh3_64_hexdigest(" ".join(text.casefold().split()).encode()))
