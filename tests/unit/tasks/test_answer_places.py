"""Answers that are read as one row of logits, of prompts after which the same words are other tokens."""

from laser_lit.data.example import Example, ExampleSet
from laser_lit.scoring.request import Request, RequestScore
from laser_lit.tasks.answer_places import answers_at_one_place, has_vocabulary, logits_of
from laser_lit.tasks.part import Part

CHOICES = ("yes", "no")
EXAMPLES = tuple(Example(str(n), str(n), "q", answer, CHOICES) for n, answer in enumerate(("yes", "no", "no")))
REQUESTS = [
    Request(0, "choices", (1,), (0, 0), (5, 6)),
    Request(1, "choice 0", (1, 2), (0, 1), (7, 7)),
    Request(1, "choice 1", (1,), (0,), (8,)),
    Request(2, "choices", (1,), (0, 0), (3, 4)),
]


def part(*requests: Request) -> Part:
    data = ExampleSet("own", "choice", EXAMPLES, "1")
    return Part(data, list(requests), frozenset("012"), len(EXAMPLES))


def test_each_examples_choices_are_read_at_its_own_tokens():
    said = ((-1.0, -3.0), (-2.0, -0.5), (-4.0,), (-7.0, -6.0))
    found = logits_of(part(*REQUESTS), [RequestScore(number, each) for number, each in enumerate(said)])
    assert found.logits.tolist() == [[-1.0, -3.0], [-2.5, -4.0], [-7.0, -6.0]]
    assert found.gold.tolist() == [0, 1, 1]


def test_choices_need_no_logits_of_the_whole_vocabulary():
    assert not has_vocabulary(part(*REQUESTS))
    assert has_vocabulary(part(Request(0, "token", (1,), (0,), (5,))))
    assert answers_at_one_place({"test": part(*REQUESTS)}, normalized=False)
