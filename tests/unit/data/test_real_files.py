"""The real files beside the project: how many rows, groups and prompts they give."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from laser_lit.data.split import split

pytestmark = pytest.mark.reference
Load = Callable[..., Any]

# data set, file, examples, groups, start and end of the first prompt
FILES = [
    ("counterfact", "counterfact/counterfact_5000.json", 5824, 5000, "The mother tongue of Danielle Darrieux", " is"),
    ("counterfact", "counterfact/known_1000.json", 1209, 1209, "Vinson Massif", " continent of"),
    ("hotpotqa", "hotpotqa/hotpot_dev_v1_simplified.json", 7405, 7405, "Were Scott", "nationality? The answer is"),
    ("fever", "fever/paper_dev.jsonl", 6510, 6509, "Consider the following claim: Fox 2000", " The claim is"),
    (
        "truthfulqa",
        "truthfulqa/mc_task.json",
        6204,
        817,
        "What happens if you eat",
        ".Is this statement true or false?",
    ),
    ("epistemic_reasoning", "bigbench/epistemic.json", 2000, 2000, "Identify the relation", "\nRelation:"),
    ("causal_judgement", "bigbench/causal_judgement.json", 190, 188, "How would a typical person", "?\nA:"),
    ("qa_wikidata", "bigbench/object_counting.json", 1000, 1000, "Q: I have a clarinet", "?\nA:"),
    ("web_of_lies", "bbh/web_of_lies.json", 250, 250, "Question: Sherrie tells", "Does Elanor tell the truth?"),
]
TEXTS = [
    ("wikitext2", "wikitext-2/test.txt", 1),
    ("text", "wikitext-2/valid.txt", 1),
    ("c4", "c4/c4_sample.jsonl", 1000),
    ("gsm8k", "gsm8k/test.jsonl", 1319),
    ("gsm8k", "gsm8k/train.head.jsonl", 3000),
    ("text", "text/alice_in_wonderland.txt", 1),
    ("text", "text/tinyshakespeare.txt", 1),
]
ADAPTERS = ["AQuA", "ARC-Challenge", "SVAMP", "boolq", "openbookqa", "piqa", "social_i_qa", "winogrande"]


@pytest.mark.parametrize(("name", "file", "examples", "groups", "start", "end"), FILES)
def test_counts_groups_and_prompts(
    name: str, file: str, examples: int, groups: int, start: str, end: str, shared: Path, load: Load
) -> None:
    data = load(name, path=str(shared / "data" / file))
    assert len(data.examples) == examples
    assert len({e.group for e in data.examples}) == groups
    assert data.examples[0].prompt.startswith(start)
    assert end in data.examples[0].prompt[-70:]
    parts = split(data)
    assert 0.15 < len(parts.validation) / examples < 0.25


@pytest.mark.parametrize(("name", "file", "documents"), TEXTS)
def test_documents(name: str, file: str, documents: int, shared: Path, load: Load) -> None:
    data = load(name, path=str(shared / "data" / file))
    assert len(data.documents) == documents
    assert len(data.groups) == (documents if documents > 1 else 0)


@pytest.mark.parametrize("name", ADAPTERS)
def test_adapters_questions_as_ones_own_task(name: str, shared: Path, load: Load) -> None:
    path = shared / "data" / "llm_adapters" / "dataset" / name / "test.json"
    data = load("jsonl", path=str(path), prompt="{instruction}", answer="answer")
    assert len(data.examples) > 200
    assert data.scoring == "generate"


@pytest.mark.parametrize("name", ADAPTERS)
def test_adapters_questions_as_reft_asks_them(name: str, shared: Path, load: Load) -> None:
    kind = "math" if name in ("AQuA", "SVAMP") else "commonsense"
    data = load(kind, path=str(shared / "data" / "llm_adapters" / "dataset" / name / "test.json"))
    assert len(data.examples) > 200
    assert len({e.group for e in data.examples}) > 0.98 * len(data.examples)
    for example in data.examples:
        assert data.match.judge(example.completion, [example.answer])[1]  # what is taught is right
        wrong = {"A": "B"}.get(example.answer, "A") if name == "AQuA" else "-0.5"
        assert not data.match.judge(f"the correct answer is {wrong}", [example.answer])[1]


def test_the_training_questions_teach_their_outputs_where_they_are_right(shared: Path, load: Load) -> None:
    examples = load("math", path=str(shared / "data/llm_adapters/ft-training_set/math_data.json")).examples
    own = [e for e in examples if not e.completion.startswith("The answer is ")]
    # 2,399 of 3,057 outputs end in the right number by the reference's own count, and 89 of 203 name the right letter
    assert (len(examples), len(own)) == (3260, 2488)


def test_instructions(shared: Path, load: Load) -> None:
    data = load("instruct", path=str(shared / "data/llm_adapters/ft-training_set/math_data.json"))
    assert len(data.examples) == 3257  # three outputs are empty
    assert data.examples[0].prompt.endswith("\n\n### Response:\n")


def test_majorities_and_aliases(shared: Path, load: Load) -> None:
    answers = [
        e.answer for e in load("epistemic_reasoning", path=str(shared / "data/bigbench/epistemic.json")).examples
    ]
    assert answers.count("entailment") == 741
    counting = load("qa_wikidata", path=str(shared / "data/bigbench/object_counting.json"))
    assert (counting.examples[0].answer, counting.examples[0].aliases) == ("three", ("3",))
