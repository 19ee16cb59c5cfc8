"""Scores to outcomes: one table row an example."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from laser_lit.data.example import Example, ExampleSet, TextSet
from laser_lit.data.matching import Match, MatchedSet
from laser_lit.data.pairs import PairExample
from laser_lit.errors import InputError
from laser_lit.scoring.match import contains, contains_paper, f1, f1_paper, same
from laser_lit.scoring.perplexity import window_rows
from laser_lit.scoring.request import Protocol, Request, RequestScore, check_protocol

COLUMNS = (
    "id",
    "group",
    "category",
    "prompt",
    "answer",
    "prediction",
    "correct",
    "log_loss",
    "n_tokens",
    "top5",
    "top10",
    "f1",
    "choices",
    "choice_log_probs",
    "confidence",
    "target_new_log_loss",
    "target_new_tokens",
    "top1_tokens",
    "truncated",
)
"""Columns of the table; where one does not apply to a data set, it holds None."""

_SAME = 1e-2
"""Largest difference of log probs (nats, and relative) between two scores of one request: half-precision batching."""

_Part = tuple[Request, RequestScore]


def outcomes(
    examples: ExampleSet | TextSet,
    requests: Sequence[Request],
    scores: Iterable[RequestScore],
    scoring: Protocol = "strict",
    *,
    tokenizer: Any,
    length_normalize: bool = False,
    stop: Sequence[str] = (),
) -> pd.DataFrame:
    """Returns the table of outcomes, a row an example (a window, for text), in the data set's order.

    Columns (`COLUMNS`): `log_loss` is the answer's negative log prob divided by its number of tokens (nats),
    `n_tokens` that number; `prediction` the most probable token, the chosen choice or the continuation ("paper": with
    the prompt); `top5` and `top10` whether the answer is among the most probable tokens; `choice_log_probs` the summed
    log prob of each of `choices`; `confidence` the probability of a one-token prediction, or of the chosen choice among
    the choices; `top1_tokens` how many of a window's tokens were predicted; `truncated` how many the prompt lost.

    Args:
        examples: the data set.
        requests: what `encode` returned for it.
        scores: of every request, in any order; gathered from all processes.
        scoring: as given to `encode`.
        tokenizer: decodes predictions.
        length_normalize: choose by the mean log prob of a choice's tokens rather than their sum; of lm-eval tasks by
            the sum over the choice's number of characters (their acc_norm).
        stop: texts that end a continuation ("strict" only).

    Raises:
        InputError: a request without a score, or two scores of one request that differ.
    """
    check_protocol(scoring)
    by_number = _complete(requests, scores)
    if isinstance(examples, TextSet):
        return _table(window_rows(requests, by_number))
    judge = _Judge(tokenizer, scoring == "paper", length_normalize, stop, examples)
    parts: list[dict[str, _Part]] = [{} for _ in examples.examples]
    for number, request in enumerate(requests):
        parts[request.index][request.role] = (request, by_number[number])
    return _table([judge(example, part) for example, part in zip(examples.examples, parts, strict=True)])


def _table(rows: list[dict[str, object]]) -> pd.DataFrame:
    return pd.DataFrame([{name: row.get(name) for name in COLUMNS} for row in rows], columns=list(COLUMNS))


def _complete(requests: Sequence[Request], scores: Iterable[RequestScore]) -> Mapping[int, RequestScore]:
    """Returns one score a request by number; a request scored twice alike counts once."""
    found: dict[int, RequestScore] = {}
    for score in scores:
        if not 0 <= score.number < len(requests):
            raise InputError(f"a score of request {score.number}, but there are {len(requests)} requests")
        if not _alike(found.setdefault(score.number, score), score):
            raise InputError(
                f"request {score.number} was scored twice with different results; "
                "score each batch once, with the same weights throughout"
            )
    missing = [number for number in range(len(requests)) if number not in found]
    if missing:
        raise InputError(f"{len(missing)} of {len(requests)} requests have no score, the first is {missing[0]}")
    return found


def _alike(a: RequestScore, b: RequestScore) -> bool:
    close = all(abs(x - y) <= _SAME * (1 + abs(x)) for x, y in zip(a.log_probs, b.log_probs, strict=False))
    return a is b or (a.generated == b.generated and len(a.log_probs) == len(b.log_probs) and close)


def _share(log_probs: Sequence[float], place: int) -> float | None:
    """Returns the probability of one of several choices among them; None where all are impossible."""
    best = log_probs[place]
    return None if best == -math.inf else 1.0 / sum(math.exp(other - best) for other in log_probs)


class _Judge:
    """Makes an example's row from its scores."""

    def __init__(
        self, tokenizer: Any, paper: bool, length_normalize: bool, stop: Sequence[str], examples: ExampleSet
    ) -> None:
        self.tokenizer = tokenizer
        self.paper = paper
        self.length_normalize = length_normalize
        self.stop = stop
        self.match = examples.match if isinstance(examples, MatchedSet) else None

    def __call__(self, example: Example, parts: dict[str, _Part]) -> dict[str, object]:
        row: dict[str, object] = {
            "id": example.id,
            "group": example.group,
            "category": example.category,
            "prompt": example.prompt,
            "answer": example.answer,
            "truncated": max(request.dropped for request, _ in parts.values()),
        }
        if "target_new" in parts:
            request, score = parts["target_new"]
            row |= {"target_new_log_loss": -sum(score.log_probs) / request.length, "target_new_tokens": request.length}
        if "token" in parts:
            return row | self._token(example, parts["token"][1])
        if "greedy" in parts:
            return row | self._greedy(parts["greedy"])
        if "answer" in parts:
            return row | (
                self._text(example, parts) if self.match is None else self._matched(example, parts, self.match)
            )
        return row | self._choice(example, parts)

    def _decode(self, ids: Sequence[int], skip_special: bool = False) -> str:
        text = self.tokenizer.decode(list(ids), skip_special_tokens=skip_special, clean_up_tokenization_spaces=False)
        return str(text)

    def _tops(self, example: Example, score: RequestScore) -> dict[str, object]:
        hits = [self._hits(self._decode([token]), example) for token in score.top_ids]
        return {"top5": any(hits[:5]), "top10": any(hits)}

    def _hits(self, text: str, example: Example) -> bool:
        return any(same(text, answer) for answer in (example.answer, *example.aliases))

    def _token(self, example: Example, score: RequestScore) -> dict[str, object]:
        prediction = self._decode(score.best[:1])
        row = {"prediction": prediction.strip(), "correct": self._hits(prediction, example), "n_tokens": 1}
        row |= {"log_loss": -score.log_probs[0], **self._tops(example, score)}
        row["confidence"] = math.exp(score.top_log_probs[0]) if score.top_log_probs else None
        if len(score.log_probs) > 1:
            row |= {"target_new_log_loss": -score.log_probs[1], "target_new_tokens": 1}
        return row

    def _choice(self, example: Example, parts: dict[str, _Part]) -> dict[str, object]:
        gold = example.golds[0]
        if "choices" in parts:
            log_probs = list(parts["choices"][1].log_probs)
            lengths = counts = [1] * len(log_probs)
            tops = self._tops(example, parts["choices"][1])
        else:
            each = [parts[f"choice {i}"] for i in range(len(example.choices))]
            log_probs = [sum(score.log_probs) for _, score in each]
            lengths = [request.length for request, _ in each]
            counts = [len(request.targets) for request, _ in each]
            tops = {}
        if isinstance(example, PairExample):
            counts = list(example.lengths)
        ranks = [p / n for p, n in zip(log_probs, counts, strict=True)] if self.length_normalize else log_probs
        best = ranks.index(max(ranks))
        return {
            "prediction": example.choices[best],
            "correct": best in example.golds,
            "log_loss": -log_probs[gold] / lengths[gold],
            "n_tokens": lengths[gold],
            "choices": list(example.choices),
            "choice_log_probs": log_probs,
            "confidence": _share(ranks, best),
            **tops,
        }

    def _text(self, example: Example, parts: dict[str, _Part]) -> dict[str, object]:
        request, score = parts["answer"]
        text = self._continuation(parts)
        answers = (example.answer,) if self.paper else (example.answer, *example.aliases)
        found, overlap = (contains_paper, f1_paper) if self.paper else (contains, f1)
        return {
            "prediction": text,
            "correct": any(found(text, answer) for answer in answers),
            "f1": max(overlap(text, answer) for answer in answers),
            "log_loss": -sum(score.log_probs) / request.length,
            "n_tokens": request.length,
        }

    def _greedy(self, part: _Part) -> dict[str, object]:
        request, score = part
        return {
            "prediction": self._decode(score.best).strip(),
            "correct": score.best == request.targets,
            "log_loss": -sum(score.log_probs) / request.length,
            "n_tokens": request.length,
        }

    def _matched(self, example: Example, parts: dict[str, _Part], match: Match) -> dict[str, object]:
        request, score = parts["answer"]
        text = str(self.tokenizer.decode(parts["generate"][1].generated, skip_special_tokens=True))
        prediction, right = match.judge(text, (example.answer, *example.aliases))
        return {
            "prediction": prediction,
            "correct": right,
            "log_loss": -sum(score.log_probs) / request.length,
            "n_tokens": request.length,
        }

    def _continuation(self, parts: dict[str, _Part]) -> str:
        if "masks" in parts:
            return self._decode(parts["masks"][1].best, skip_special=not self.paper).strip()
        request, score = parts["generate"]
        if self.paper:
            return self._decode((*request.tokens, *score.generated), skip_special=True)
        text = self._decode(score.generated, skip_special=True)
        for mark in self.stop:
            text = text.split(mark, 1)[0]
        return text.strip()
