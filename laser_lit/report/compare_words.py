"""Prompts side by side in words: what terminal, page and W&B share."""

from collections import Counter
from collections.abc import Sequence

from laser_lit.results.side_by_side import Change, Reply, SideBySide, Token

_SIGNS = str.maketrans("\n\r\t", "⏎⏎⇥")


def headline(record: SideBySide) -> str:
    """Returns how much the most edited variant changes, in a sentence."""
    change, n = record.changes[-1], len(record.asked)
    what = "continuations" if record.kind == "causal" else "fillings"
    shift = "" if change.kl is None else f"; mean KL of the next token from the base's {change.kl:.3g} nats"
    return f"{change.variant} changes {round(change.changed * n):,} of {n:,} {what}{shift}."


def changed_share(change: Change) -> str:
    """Returns the share of prompts whose continuation is another, in percent."""
    return percent(change.changed)


def divergence(kl: float | None) -> str:
    """Returns a KL divergence in nats; ∞ where the base's tokens include one that the variant rules out."""
    return "∞" if kl is None else f"{kl:.3f}"


def percent(share: float) -> str:
    """Returns a share in percent."""
    return f"{100 * share:.1f} %"


def parts(reply: Reply) -> tuple[str, str]:
    """Returns what a reply has in common with the base's, and what follows where it departs."""
    return reply.text[: reply.common], reply.text[reply.common :]


def on_one_line(text: str) -> str:
    """Returns a text with signs for its line breaks and tabs."""
    return text.replace("\r\n", "\n").translate(_SIGNS)


def spelled(tokens: Sequence[Token]) -> list[str]:
    """Returns each token on one line without outer spaces; with signs for them where two would look alike.

    Args:
        tokens: those of one list.
    """
    bare = Counter(token.text.strip(" ") for token in tokens)
    return [
        on_one_line(name if (name := token.text.strip(" ")) and bare[name] == 1 else token.text.replace(" ", "␣"))
        for token in tokens
    ]
