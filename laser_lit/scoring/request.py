"""What is asked of the model: one token sequence, the positions whose logits are read, the tokens looked up there."""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from laser_lit.errors import unknown_name

Protocol = Literal["strict", "paper"]
"""How answers are scored: "strict" (default), or "paper", the published protocol with its faults."""


@dataclass(frozen=True, slots=True)
class Request:
    """One sequence for the model.

    Attributes:
        index: row of the example (of the window, for text).
        role: what the scores are for: "token" (a one-token answer, and CounterFact's false object after it), "choices"
            (all choices, each one token), "choice 3" (the fourth choice), "answer" and "target_new" (teacher forced),
            "greedy" (teacher forced, right where every token is the most probable one), "masks" (a masked model's
            prediction), "generate", "window".
        tokens: ids fed to the model, without padding.
        reads: position in `tokens` whose logits give the log prob of the target beside it; a position may recur.
        targets: token id looked up at each read; empty where only the prediction is wanted.
        max_new_tokens: length of the continuation of a "generate" request, else 0.
        length: what the summed log prob of an answer is divided by to give its log loss.
        dropped: tokens cut off the prompt because it was too long.
        group: group of a window; empty for examples, which carry their own.
    """

    index: int
    role: str
    tokens: tuple[int, ...]
    reads: tuple[int, ...] = ()
    targets: tuple[int, ...] = ()
    max_new_tokens: int = 0
    length: int = 1
    dropped: int = 0
    group: str = ""


@dataclass(frozen=True, slots=True)
class RequestScore:
    """What the model said to one request; plain numbers that can be gathered across processes.

    Attributes:
        number: position of the request in the list that `encode` returned.
        log_probs: log prob of each target (nats).
        best: most probable token at each read.
        top_ids: the ten most probable tokens at the first read, the most probable first; empty for windows.
        top_log_probs: their log probs (nats).
        generated: ids of the greedy continuation, without the end token.
        logits: logits at the first read (vocabulary,) in float32 on the CPU, where they were asked for.
    """

    number: int
    log_probs: tuple[float, ...] = ()
    best: tuple[int, ...] = ()
    top_ids: tuple[int, ...] = ()
    top_log_probs: tuple[float, ...] = ()
    generated: tuple[int, ...] = ()
    logits: Tensor | None = None


def check_protocol(scoring: str) -> None:
    """Returns nothing; raises for a protocol that does not exist.

    Raises:
        UnknownNameError: `scoring` is neither "strict" nor "paper".
    """
    if scoring not in ("strict", "paper"):
        raise unknown_name("scoring", scoring, ("strict", "paper"))
