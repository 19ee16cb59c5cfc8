"""Where answers can be read as one row of logits: one token of the vocabulary, or one of the same few choices."""

from collections.abc import Mapping, Sequence

import torch

from laser_lit.data.example import ExampleSet
from laser_lit.scoring.controls import AnswerLogits
from laser_lit.scoring.request import RequestScore
from laser_lit.tasks.part import Part


def answers_at_one_place(parts: Mapping[str, Part], normalized: bool) -> bool:
    """Returns whether every example's answer is one column of the same row: `logits_of` can be asked then.

    Args:
        parts: the splits.
        normalized: choices are weighed by their number of tokens, which shifts of logits know nothing of.
    """
    roles = {request.role for part in parts.values() for request in part.requests}
    if roles == {"token"}:
        return True
    sets = [part.examples for part in parts.values() if isinstance(part.examples, ExampleSet)]
    choices = {example.choices for examples in sets for example in examples.examples}
    alike = len(choices) == 1 and len(next(iter(choices))) > 1
    single = all(len(example.golds) == 1 for examples in sets for example in examples.examples) if alike else False
    return alike and single and all(examples.scoring == "choice" for examples in sets) and not normalized


def has_vocabulary(part: Part) -> bool:
    """Returns whether the logits of the whole vocabulary are what an answer is read off.

    Args:
        part: a split.
    """
    return bool(part.requests) and part.requests[0].role == "token"


def logits_of(part: Part, scores: Sequence[RequestScore]) -> AnswerLogits:
    """Returns the logits of a split's answers, over the vocabulary or over the choices.

    A choice has the sum of its tokens' log probs, by which it is chosen; a shift moves that. They are looked up where
    each example has them: the same words are other tokens behind a space than behind a line break.

    Args:
        part: the split.
        scores: of its requests, with logits where it `has_vocabulary`.
    """
    found = {score.number: score for score in scores}
    by_number = [found[number] for number in range(len(part.requests))]
    examples = part.examples
    if not isinstance(examples, ExampleSet) or examples.scoring != "choice":
        gold = torch.tensor([request.targets[0] for request in part.requests])
        return AnswerLogits(torch.stack([torch.as_tensor(score.logits) for score in by_number]), gold)
    gold = torch.tensor([example.golds[0] for example in examples.examples])
    logits = torch.zeros(len(gold), len(examples.examples[0].choices))
    for request, score in zip(part.requests, by_number, strict=True):
        if request.role == "choices":
            logits[request.index] = torch.tensor(score.log_probs)
        else:
            logits[request.index, int(request.role.removeprefix("choice "))] = sum(score.log_probs)
    return AnswerLogits(logits, gold, choices=True)
