"""Every command and every Python block of the documents: found, covered, and at least composed."""

import ast
from collections import Counter
from pathlib import Path

import pytest
from documented.commands import ROOT, Command, documented_commands, is_python, python_blocks
from documented.composed import configs_of, left_out, program_exists, words_of
from documented.coverage import each_of, names_a_test, read_blocks, read_table
from documented.markdown import code_in

COMMANDS = documented_commands()
ONCE = list({command.text: command for command in COMMANDS}.values())
TABLE = read_table()
COMPOSED = [command for command in ONCE if words_of(command.text)[0] in ("evaluate.py", "train.py")]
PAGE = """# Title

Text with `python evaluate.py search=auto` and `make
demo`, `laser=none`, `evaluate.py laser=none` and `pip`.

    M="model=local model.path=DIR"
    $ python evaluate.py $M \\
        data=text   # perplexity
    answers
    python train.py     # trains

```bash
ls results
```

```python
import laser_lit

python = 1
```

```
make demo
```

    from laser_lit import Edit
    python = 2
"""


@pytest.fixture
def page(tmp_path: Path) -> Path:
    (tmp_path / "docs").mkdir()
    for name in ("README.md", "CONTRIBUTING.md"):
        (tmp_path / name).write_text("")
    (tmp_path / "docs" / "page.md").write_text(PAGE)
    return tmp_path


def test_commands_are_found_in_every_kind_of_code(page: Path) -> None:
    found = {(command.line, command.text) for command in documented_commands(page)}
    assert found == {
        (3, "python evaluate.py search=auto"),
        (3, "make demo"),
        (4, "evaluate.py laser=none"),
        (7, "python evaluate.py model=local model.path=DIR data=text"),
        (10, "python train.py"),
        (13, "ls results"),
        (23, "make demo"),
    }


def test_python_is_found_between_fences_and_indented(page: Path) -> None:
    assert [(code.kind, code.line) for code in python_blocks(page)] == [("fence", 17), ("indent", 26)]


def test_a_fence_that_is_never_closed_is_named(page: Path) -> None:
    (page / "README.md").write_text("text\n```python\n")
    with pytest.raises(ValueError, match=r"README.md:2: a fence that is never closed"):
        code_in(page / "README.md", page)


def test_commands_in_a_part_that_a_script_makes_are_told(page: Path) -> None:
    row = "| `python evaluate.py laser=none` |\n"
    marks = ("<!-- made by python script.py -->\n", "<!-- end of what it makes -->\n")
    (page / "README.md").write_text("".join([row, marks[0], row, marks[1], row]))
    found = [command.made for command in documented_commands(page) if command.file == "README.md"]
    assert found == [False, True, False]


def test_a_line_of_the_table_may_stand_for_several_commands() -> None:
    assert each_of("make (one|two) 'range(0,16)' x=(3|4)") == [
        f"make {word} 'range(0,16)' x={number}" for word in ("one", "two") for number in (3, 4)
    ]


def test_no_command_is_uncovered() -> None:
    missing = [
        f"{command.place}: {command.text}" for command in COMMANDS if not (command.made or command.text in TABLE)
    ]
    assert not missing, "not in tests/documented/commands.yaml:\n" + "\n".join(missing)


def test_no_entry_is_of_a_command_that_is_gone() -> None:
    assert set(TABLE) - {command.text for command in COMMANDS} == set()


def test_what_has_to_be_run_before_is_run() -> None:
    wanted = {(command, before) for command, entry in TABLE.items() for before in entry.after}
    assert [pair for pair in wanted if TABLE[pair[1]].way != "run"] == []


def test_named_tests_exist_and_reasons_are_given() -> None:
    tested = [entry for entry in TABLE.values() if entry.way == "tested"]
    assert [entry.command for entry in tested if not names_a_test(entry.note, ROOT)] == []
    reasons = [entry.note for entry in TABLE.values() if entry.way == "elsewhere"]
    assert [reason for reason in reasons if len(reason.split()) < 4] == []


@pytest.mark.parametrize(
    ("node", "exists"),
    [
        ("tests/unit/test_documented.py::test_named_tests_exist_and_reasons_are_given", True),
        ("tests/unit/test_documented.py::test_of_nothing", False),
        ("tests/unit/test_nothing.py::test_of_nothing", False),
    ],
)
def test_a_node_id_is_looked_up(node: str, exists: bool) -> None:
    assert names_a_test(node, ROOT) is exists


def test_every_program_is_there() -> None:
    assert [f"{command.place}: {command.text}" for command in COMMANDS if not program_exists(command.text, ROOT)] == []


@pytest.mark.parametrize(
    ("typed", "exists"),
    [
        ("make demo-rl", True),
        ("make demo-lr MODEL=DIR", False),
        ("python -m rl.trajectories generate OUT.npz", True),
        ("python -m laser_lit.exprot", False),
        ("python -m lm_eval", True),
        ("OMP_NUM_THREADS=1 python benchmarks/scan.py", True),
        ("python benchmarks/scna.py", False),
        ("python benchmarks/facts_greedy.py --seed 0", True),
        ("python benchmarks/facts_greedy.py --sead 0", False),
        ("pip install 'laser_lit[launch]'", True),
        ("pip install 'laser_lit[lunch]'", False),
    ],
)
def test_a_program_is_looked_up(typed: str, exists: bool) -> None:
    assert program_exists(typed, ROOT) is exists


@pytest.mark.parametrize("command", COMPOSED, ids=lambda command: command.place)
def test_every_command_composes(command: Command) -> None:
    assert configs_of(TABLE[command.text].typed if command.text in TABLE else command.text)


def test_what_is_typed_in_place_of_a_command_has_its_words() -> None:
    missing = {entry.command: left_out(entry.command, entry.typed) for entry in TABLE.values()}
    assert {command: words for command, words in missing.items() if words} == {}


@pytest.mark.parametrize(
    ("command", "typed", "words"),
    [
        ("python evaluate.py model=local search=grid", "python evaluate.py model=local", {"search=grid"}),
        ("python evaluate.py … reft.path=DIR data=…", "python evaluate.py reft.path=here data=text", set()),
        ("python evaluate.py … reft.path=DIR", "python evaluate.py", {"reft.path=DIR"}),
        ("python -m laser_lit.report DIR", "python -m laser_lit.report runs", set()),
        ("python -m laser_lit.report DIR --table", "python -m laser_lit.report runs", {"--table"}),
    ],
)
def test_a_word_that_is_left_out_is_named(command: str, typed: str, words: set[str]) -> None:
    assert left_out(command, typed) == words


@pytest.mark.parametrize(
    ("typed", "jobs"),
    [
        ("python evaluate.py -m laser.layer=0,1,2 laser.matrix=fc_in,fc_out", 6),
        ("evaluate.py … search=grid [field=value …] data=…", 1),
        ("python train.py", 1),
        ("make test", 0),
    ],
)
def test_every_job_of_a_command_is_composed(typed: str, jobs: int) -> None:
    assert len(configs_of(typed)) == jobs


@pytest.mark.parametrize("wrong", ["serch=grid", "search=gird", "laser.layr=1", "search.steps=many"])
def test_a_wrong_name_or_value_does_not_compose(wrong: str) -> None:
    with pytest.raises(Exception, match=wrong.partition("=")[0].rpartition(".")[2]):
        configs_of(f"python evaluate.py {wrong}")


def test_every_python_block_is_listed() -> None:
    blocks = python_blocks()
    for block in blocks:
        ast.parse("\n".join(block.lines).replace("…", "..."), block.place)
    listed = {document: len(blocks) for document, blocks in read_blocks().items()}
    assert listed == Counter(block.file for block in blocks)


def test_yaml_is_no_python(page: Path) -> None:
    (page / "README.md").write_text("```yaml\nimport: x\n```\n")
    (code,) = code_in(page / "README.md", page)
    assert not is_python(code)
