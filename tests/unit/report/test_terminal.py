import sys

import pytest

from laser_lit.report.terminal import PIPE_WIDTH, add_row, plain_table, result_console


def test_no_line_in_a_pipe_ends_in_blanks(capsys: pytest.CaptureFixture[str]) -> None:
    table = plain_table("Title")
    table.add_column("left")
    table.add_column("right", ratio=1)
    add_row(table, "a", "b")
    add_row(table, "c", "")
    console = result_console()
    console.print(table)
    console.print("  indented", soft_wrap=True)
    lines = capsys.readouterr().out.splitlines()
    assert lines == [line.rstrip() for line in lines]
    assert lines[0].strip() == "Title"
    assert console.width == PIPE_WIDTH
    assert lines[-1] == "  indented"


def test_a_pipe_keeps_its_encoding(capsys: pytest.CaptureFixture[str]) -> None:
    assert result_console().encoding == sys.stdout.encoding.lower()
