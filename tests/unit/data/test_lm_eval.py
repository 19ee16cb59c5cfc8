"""Tasks of lm-evaluation-harness become examples whose words are the harness's own."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lm_eval_tasks import TASKS, rows, save_task, save_tasks

from laser_lit.data.example import TextSet
from laser_lit.data.fingerprint import fingerprint
from laser_lit.data.pairs import ExactMatch, Filter, PairExample, PairSet
from laser_lit.data.registry import load_data
from laser_lit.errors import InputError

lm_eval = pytest.importorskip("lm_eval", reason="lm-eval is not installed")

N = 12
ROWS = rows(N)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tasks(tmp_path_factory.mktemp("tasks"), N)


@pytest.fixture
def task(folder: Path) -> Callable[..., Any]:
    """Returns a function from a task's name and settings to its examples."""
    return lambda name, **settings: load_data("lm_eval", task=name, path=str(folder), **settings)


def example(data: PairSet, row: int) -> PairExample:
    found = data.examples[row]
    assert isinstance(found, PairExample)
    return found


def test_choices_are_the_harness_s_requests(task: Callable[..., Any]) -> None:
    data = task("choice")
    assert (data.scoring, data.revision) == ("choice", f"choice version 3.0, 0-shot, lm-eval {lm_eval.__version__}")
    assert len(data.examples) == N
    for number, row in enumerate(ROWS):
        found = example(data, number)
        assert found.id == f"choice/{number}"
        assert found.contexts == (row["question"],) * 3
        assert found.continuations == tuple(" " + option for option in row["options"])
        assert (found.answer, found.golds) == (row["options"][row["label"]], (row["label"],))
        assert found.lengths == tuple(len(option) for option in row["options"])


def test_solved_examples_are_those_that_the_harness_draws(folder: Path, task: Callable[..., Any]) -> None:
    from lm_eval.tasks import TaskManager

    own = TaskManager(include_path=str(folder), include_defaults=False).load(["choice"])["tasks"]["choice"]
    own.set_config(key="num_fewshot", value=2)
    own.set_fewshot_seed(seed=1234)
    own.build_all_requests()
    data = task("choice", num_fewshot=2)
    asked = [pair for e in data.examples for pair in zip(e.contexts, e.continuations, strict=True)]
    assert asked == [instance.args for instance in own.instances]
    assert all(e.contexts[0].count("\n\n") == 2 for e in data.examples)
    assert data.revision == f"choice version 3.0, 2-shot, lm-eval {lm_eval.__version__}"
    assert [e.group for e in data.examples] == [e.group for e in task("choice").examples]
    assert fingerprint(data) != fingerprint(task("choice"))
    assert fingerprint(data) == fingerprint(task("choice", num_fewshot=2))


def test_a_task_that_says_zero_shots_keeps_them(folder: Path, task: Callable[..., Any]) -> None:
    save_task(folder, "never", **TASKS["choice"], num_fewshot=0)
    assert [e.prompt for e in task("never", num_fewshot=2).examples] == [row["question"] for row in ROWS]


def test_a_context_for_each_choice(task: Callable[..., Any]) -> None:
    found = example(task("blanks"), 1)
    assert found.contexts == tuple(ROWS[1]["options"])
    assert found.continuations == (" " + ROWS[1]["question"],) * 3
    assert found.golds == (ROWS[1]["label"],)


def test_one_continuation_is_judged_by_its_tokens(task: Callable[..., Any]) -> None:
    data = task("last")
    assert data.scoring == "greedy"
    assert example(data, 0).continuations == (" " + ROWS[0]["last"],)
    assert example(data, 0).answer == ROWS[0]["last"]


def test_generated_answers_keep_the_task_s_rules(task: Callable[..., Any]) -> None:
    data = task("writes")
    steps = (Filter("remove_whitespace"), Filter("take_first"))
    assert data.match == ExactMatch(until=("w7",), filters=steps, ignore_case=True)
    assert (data.scoring, data.max_new_tokens) == ("generate", 3)
    assert task("writes", max_new_tokens=2).max_new_tokens == 2
    assert fingerprint(data) == fingerprint(task("writes"))


def test_rolling_log_likelihood_is_text(task: Callable[..., Any]) -> None:
    data = task("reads", window=8)
    assert isinstance(data, TextSet)
    assert data.documents == tuple(row["question"] for row in ROWS)
    assert data.groups == tuple(f"reads/{i}" for i in range(N))
    assert data.window == 8


def test_a_group_of_tasks_is_one_data_set_and_names_the_task_of_each_row(task: Callable[..., Any]) -> None:
    data = task("both")
    assert [e.category for e in data.examples] == ["choice"] * N + ["letters"] * N
    assert data.revision.startswith("both version 3.0/Yaml, 0-shot")
    assert task("letters").examples[0].category is None


def test_groups_follow_the_question_or_a_field(task: Callable[..., Any]) -> None:
    both = task("both")
    assert [e.group for e in both.examples[:N]] == [e.group for e in both.examples[N:]]  # the same questions
    assert [e.group for e in task("choice", group="topic").examples] == [row["topic"] for row in ROWS]
    assert len({e.group for e in task("blanks").examples}) == N
    with pytest.raises(InputError, match=r"data.group=toppic: document choice/0 has the fields question, options"):
        task("choice", group="toppic")


def test_first_rows_is_the_harness_s_limit(task: Callable[..., Any]) -> None:
    assert [e.id for e in task("choice", first_rows=2).examples] == ["choice/0", "choice/1"]


def test_several_right_choices(folder: Path, task: Callable[..., Any]) -> None:
    save_task(folder, "some", **TASKS["choice"] | {"doc_to_target": [0, 2]})
    assert example(task("some"), 0).golds == (0, 2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"doc_to_target": "hidden"}, "example odd/0: -1 is none of its 3 choices; its answers are hidden"),
        ({"doc_to_target": "other"}, "example odd/0: 'other' is none of its 3 choices"),
        ({"doc_to_target": "{{9}}"}, "could not read it: IndexError"),
        ({"doc_to_choice": "{{nothing}}"}, "lm-evaluation-harness could not read it"),
        ({"dataset_path": "no/such"}, "lm-evaluation-harness could not read it"),
    ],
)
def test_a_task_at_fault_is_named(
    changes: dict[str, Any], message: str, folder: Path, task: Callable[..., Any]
) -> None:
    save_task(folder, "odd", **TASKS["choice"] | changes)
    with pytest.raises(InputError, match=message):
        task("odd")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"metric_list": [{"metric": "bleu"}]}, "generates text that is judged by bleu, not by exact_match"),
        ({"generation_kwargs": {"until": "x", "do_sample": True}}, "samples its answers"),
        ({"filter_list": [{"name": "vote", "filter": [{"function": "majority_vote"}]}]}, "by majority_vote; take_fi"),
    ],
)
def test_kinds_that_are_not_scored_are_refused(
    changes: dict[str, Any], message: str, folder: Path, task: Callable[..., Any]
) -> None:
    save_task(folder, "other", **TASKS["writes"] | changes)
    with pytest.raises(InputError, match=rf"data.task=other.*{message}.*multiple_choice, loglikelihood, generate"):
        task("other")


def test_tasks_with_a_score_of_their_own_are_refused(folder: Path, task: Callable[..., Any]) -> None:
    (folder / "own.py").write_text("def judge(doc, results):\n    return {'acc': 1}\n")
    save_task(folder, "judged", **TASKS["choice"])
    file = folder / "judged.yaml"
    file.write_text(file.read_text() + "process_results: !function own.judge\n")
    with pytest.raises(InputError, match="computes its score by a Python function of its own"):
        task("judged")


def test_kinds_do_not_mix(folder: Path, task: Callable[..., Any]) -> None:
    (folder / "mixed.yaml").write_text("group: mixed\ntask: [choice, last]\n")
    with pytest.raises(InputError, match=r"2 tasks of several kinds \(loglikelihood, multiple_choice\)"):
        task("mixed")


def test_wrong_names_and_settings(task: Callable[..., Any], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"unknown data.task 'choise'; nearest: .*; in data.path: .*both, choice"):
        task("choise")
    with pytest.raises(InputError, match=r"data=lm_eval needs data.task=NAME"):
        load_data("lm_eval")
    with pytest.raises(InputError, match="is a folder with the YAML files of tasks"):
        load_data("lm_eval", task="choice", path=str(tmp_path / "none"))
    with pytest.raises(InputError, match=r"data.num_fewshot -1: must be at least 0"):
        task("choice", num_fewshot=-1)
    with pytest.raises(InputError, match=r"data.chat_template"):
        task("choice", chat_template=True)
