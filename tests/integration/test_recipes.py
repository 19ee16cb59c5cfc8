"""The data that ReFT is evaluated on, through the command: what is generated is judged by each recipe's rule."""

import json

import pytest

ROWS = 30
QUESTIONS = [f"w{i} w{i + 1}" for i in range(ROWS)]


@pytest.fixture
def asked(evaluate, gptj, tmp_path):
    """Returns a function that writes rows of answers and runs the small GPT-J on them, without an edit."""

    def run(name, answers, *more):
        rows = [
            {"instruction": question, "input": "", "output": f"\\nA: w7 {answer}", "answer": answer}
            for question, answer in zip(QUESTIONS, answers, strict=True)
        ]
        (tmp_path / "test.json").write_text(json.dumps(rows))
        model = ("model=local", f"model.path={gptj}", "laser=none")
        return evaluate(*model, f"data={name}", f"data.path={tmp_path / 'test.json'}", "data.max_new_tokens=4", *more)

    return run


def predictions(run):
    """Returns what the base said to each question, in file order."""
    return run.predictions.set_index("id")["base_prediction"].loc[[str(i + 1) for i in range(ROWS)]].tolist()


def test_the_last_number_of_a_continuation_is_the_answer(asked):
    said = predictions(asked("math", ["-1.0"] * ROWS))
    assert all(0 <= int(number) <= 90 for number in said)  # the words are w0 to w90
    assert len(set(said)) > 3
    golds = [number if i % 3 else f"{int(number) + 1}.0" for i, number in enumerate(said)]
    run = asked("math", golds)
    table = run.predictions.set_index("id")
    assert [table["base_correct"][str(i + 1)] for i in range(ROWS)] == [bool(i % 3) for i in range(ROWS)]
    assert run.record["base"]["n"] + run.record["validation"]["base"]["n"] == ROWS
    assert 0.3 < run.record["base"]["accuracy"] < 0.95


def test_the_loss_is_that_of_what_is_taught(asked):
    run = asked("commonsense", ["w5"] * ROWS)
    assert run.record["base"]["accuracy"] == 0
    assert set(predictions(run)) == {""}
    assert set(run.predictions["answer"]) == {"w5"}
    plain = asked("jsonl", ["w5"] * ROWS, r"data.prompt='{instruction}\n'", "data.answer=answer")
    assert run.record["base"]["log_loss"] != pytest.approx(plain.record["base"]["log_loss"], abs=1e-2)
    # the same words as an answer, where they follow the same prompt, cost the same
    same = asked("jsonl", ["the correct answer is w5"] * ROWS, r"data.prompt='{instruction}\n'", "data.answer=answer")
    assert run.record["base"]["log_loss"] == pytest.approx(same.record["base"]["log_loss"], rel=1e-5)


def test_instructions_are_scored_by_the_loss_of_their_outputs(asked):
    run = asked("instruct", ["w5"] * ROWS)
    assert run.record["base"]["log_loss"] > 0
    assert set(run.predictions["answer"]) == {r"\nA: w7 w5"}
