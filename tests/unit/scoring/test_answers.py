"""Scores to table rows: predictions, losses, duplicates and gaps."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from laser_lit.data.example import Example, ExampleSet
from laser_lit.data.matching import AfterTrigger, MatchedSet, NumberOrLetter
from laser_lit.errors import InputError
from laser_lit.scoring.answers import COLUMNS, outcomes
from laser_lit.scoring.request import RequestScore
from laser_lit.scoring.requests import encode

FIRST = 5


def ids(*numbers: int) -> tuple[int, ...]:
    return tuple(FIRST + n for n in numbers)


def one(scoring: str, **fields: Any) -> ExampleSet:
    example = Example(**{"id": "e", "group": "g", "prompt": "w1 w2", "answer": "w4", **fields})
    return ExampleSet("one", scoring, (example,), "r", max_new_tokens=3)  # type: ignore[arg-type]


def row(data: ExampleSet, scores: list[RequestScore], tokenizer: Any, scoring: Any = "strict", **options: Any) -> Any:
    requests = encode(data, tokenizer, scoring=scoring)
    return outcomes(data, requests, scores, scoring, tokenizer=tokenizer, **options).iloc[0]


def test_a_one_token_answer(tokenizer: Any) -> None:
    tops = ids(7, 8, 9, 10, 11, 4, 12, 13, 14, 15)
    score = RequestScore(0, (-2.0, -3.0), (tops[0],) * 2, tops)
    found = row(one("token", target_new="w9"), [score], tokenizer)
    assert (found.prediction, found.correct, found.log_loss, found.n_tokens) == ("w7", False, 2.0, 1)
    assert (found.top5, found.top10) == (False, True)
    assert (found.target_new_log_loss, found.target_new_tokens) == (3.0, 1)
    assert found.f1 is None
    alias = row(one("token", aliases=("W7",)), [replace(score, log_probs=(-2.0,))], tokenizer)
    assert alias.correct


def test_one_token_choices(tokenizer: Any) -> None:
    score = RequestScore(0, (-2.0, -1.0), (9, 9), ids(4))
    found = row(one("choice", choices=("w4", "w5")), [score], tokenizer)
    assert (found.prediction, found.correct, found.log_loss) == ("w5", False, 2.0)
    assert (found.choices, found.choice_log_probs) == (["w4", "w5"], [-2.0, -1.0])
    assert found.top5


def test_longer_choices_by_sum_or_mean(tokenizer: Any) -> None:
    data = one("choice", answer="w5 w6", choices=("w4", "w5 w6"))
    scores = [RequestScore(0, (-1.5,)), RequestScore(1, (-1.0, -1.0))]
    by_sum, by_mean = row(data, scores, tokenizer), row(data, scores, tokenizer, length_normalize=True)
    assert (by_sum.prediction, by_mean.prediction) == ("w4", "w5 w6")
    assert by_sum.choice_log_probs == by_mean.choice_log_probs == [-1.5, -2.0]
    assert by_sum.log_loss == by_mean.log_loss == 1.0
    assert by_sum.top5 is None


def test_a_generated_answer_without_and_with_the_prompt(tokenizer: Any) -> None:
    data = one("generate", answer="w2")
    scores = [RequestScore(0, generated=ids(7, 8)), RequestScore(1, (-4.0,))]
    strict, paper = row(data, scores, tokenizer), row(data, scores, tokenizer, "paper")
    assert (strict.prediction, strict.correct, strict.f1) == ("w7 w8", False, 0.0)
    assert (paper.prediction, paper.correct) == ("w1 w2 w7 w8", True)
    assert paper.f1 == pytest.approx(2 * 0.25 / 1.25)
    assert strict.log_loss == paper.log_loss == 4.0


def test_a_stop_text_ends_the_continuation(tokenizer: Any) -> None:
    data = one("generate", answer="w9")
    scores = [RequestScore(0, generated=ids(7, 8, 9)), RequestScore(1, (-4.0,))]
    assert row(data, scores, tokenizer).correct
    stopped = row(data, scores, tokenizer, stop=("w8",))
    assert (stopped.prediction, stopped.correct) == ("w7", False)


def test_the_loss_is_the_completion_s_where_there_is_one(tokenizer: Any) -> None:
    data = one("generate", answer="w9", completion="w7 w8 w9")
    generated, taught = encode(data, tokenizer)
    assert (generated.role, generated.tokens) == ("generate", ids(1, 2))
    assert (taught.tokens, taught.targets) == (ids(1, 2, 7, 8), ids(7, 8, 9))
    found = row(data, [RequestScore(0, generated=ids(9)), RequestScore(1, (-1.0, -2.0, -6.0))], tokenizer)
    assert (found.correct, found.log_loss, found.n_tokens) == (True, 3.0, 3)
    assert encode(one("token", answer="w9", completion="w7 w8"), tokenizer)[0].targets == ids(9)


def test_a_completion_that_does_not_fit_says_how_to_leave_it_out(tokenizer: Any) -> None:
    data = one("generate", completion=" ".join(["w7"] * 40))
    assert len(encode(data, tokenizer, max_length=41)) == 2
    with pytest.raises(InputError, match=r"…' has 40 tokens, too many for 40 in all; data.max_answer_tokens=N"):
        encode(data, tokenizer, max_length=40)


def test_a_rule_of_the_data_judges_what_is_generated(tokenizer: Any) -> None:
    rules = {"w9": (NumberOrLetter(), "9", True), "w8": (NumberOrLetter(), "9", False)}
    rules |= {"w9 ": (AfterTrigger("w7 w8 "), "w9", True), "w9  ": (AfterTrigger("w8 w7 "), "", False)}
    for answer, (match, prediction, right) in rules.items():
        plain = one("generate", answer=answer, completion="w7 w8")
        data = MatchedSet("one", "generate", plain.examples, "r", max_new_tokens=3, match=match)
        scores = [RequestScore(0, generated=ids(7, 8, 9)), RequestScore(1, (-4.0, -2.0))]
        found = row(data, scores, tokenizer)
        assert (found.prediction, found.correct, found.log_loss, found.f1) == (prediction, right, 3.0, None)
        with pytest.raises(InputError, match=r"is scored by its own rules: a causal model, and scoring=strict"):
            encode(data, tokenizer, scoring="paper")
        with pytest.raises(InputError, match="a causal model"):
            encode(data, tokenizer, "masked")


def test_labels_are_for_classifiers(tokenizer: Any) -> None:
    data = one("label", choices=("w4", "w5"))
    for kind in ("causal", "masked"):
        with pytest.raises(InputError, match=r"data one has labels for a classifier.*train\.py task=reft data=one"):
            encode(data, tokenizer, kind)  # type: ignore[arg-type]


def test_aliases_count_in_strict_scoring_alone(tokenizer: Any) -> None:
    data = one("generate", answer="w9", aliases=("w8",))
    scores = [RequestScore(0, generated=ids(7, 8)), RequestScore(1, (-4.0,))]
    assert row(data, scores, tokenizer).correct
    assert not row(data, scores, tokenizer, "paper").correct


def test_the_loss_of_a_longer_answer_is_the_mean_of_its_tokens(tokenizer: Any) -> None:
    data = one("token", answer="w4 w5", target_new="w6")
    scores = [RequestScore(0, generated=ids(4)), RequestScore(1, (-1.0, -2.0)), RequestScore(2, (-5.0,))]
    found = row(data, scores, tokenizer)
    assert (found.log_loss, found.n_tokens) == (1.5, 2)
    assert (found.target_new_log_loss, found.target_new_tokens) == (5.0, 1)


def test_columns_and_order(tokenizer: Any, sets: Callable) -> None:
    data = sets("token")
    requests = encode(data, tokenizer)
    scores = [RequestScore(n, (-1.0, -2.0), (9, 9), (9,)) for n in range(len(requests))]
    table = outcomes(data, requests, reversed(scores), tokenizer=tokenizer)
    assert tuple(table.columns) == COLUMNS
    assert table["id"].tolist() == [e.id for e in data.examples]
    assert table["group"].tolist() == [e.group for e in data.examples]


def test_an_example_scored_twice_counts_once(tokenizer: Any, sets: Callable) -> None:
    data = sets("token")
    requests = encode(data, tokenizer)
    scores = [RequestScore(n, (-1.0, -2.0), (9, 9), (9,)) for n in range(len(requests))]
    again = replace(scores[0], log_probs=(-1.000001, -2.0))
    assert len(outcomes(data, requests, [*scores, again], tokenizer=tokenizer)) == len(data.examples)
    for other in (replace(again, log_probs=(-1.5, -2.0)), replace(again, generated=(3,))):
        with pytest.raises(InputError, match="request 0 was scored twice with different results"):
            outcomes(data, requests, [*scores, other], tokenizer=tokenizer)


def test_missing_and_foreign_scores_are_errors(tokenizer: Any, sets: Callable) -> None:
    data = sets("token")
    requests = encode(data, tokenizer)
    scores = [RequestScore(n, (-1.0, -2.0), (9, 9), (9,)) for n in range(len(requests))]
    with pytest.raises(InputError, match="1 of 23 requests have no score, the first is 4"):
        outcomes(data, requests, scores[:4] + scores[5:], tokenizer=tokenizer)
    with pytest.raises(InputError, match="a score of request 99"):
        outcomes(data, requests, [*scores, RequestScore(99)], tokenizer=tokenizer)


def test_cut_prompts_are_counted(tokenizer: Any, sets: Callable) -> None:
    data = sets("token")
    requests = encode(data, tokenizer, max_length=4)
    scores = [RequestScore(n, (-1.0, -2.0), (9, 9), (9,)) for n in range(len(requests))]
    table = outcomes(data, requests, scores, tokenizer=tokenizer)
    lengths = [len(e.prompt.split()) for e in data.examples]
    assert table["truncated"].tolist() == [max(0, n - 4) for n in lengths]
