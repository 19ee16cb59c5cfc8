"""Rooms' keys under symmetries, and files of levels: read, written, and refused with file and line."""

from collections import Counter

import numpy as np
import pytest

from laser_lit.errors import InputError
from rl.sokoban.level import Level, read_levels, room_key, room_split, write_levels
from rl.sokoban.rules import from_text

FIRST = "######\n#@$ .#\n#    #\n######"
SECOND = "#####\n#  .#\n#+$ #\n# $ #\n#####"


def same_rooms(board):
    for turns in range(4):
        yield np.rot90(board, turns)
        yield np.rot90(board, turns).T


def test_a_key_names_the_room_whatever_stands_in_it_and_however_it_lies():
    board = from_text(SECOND)
    moved = from_text("#####\n#@ *#\n#. $#\n#   #\n#####")
    assert len(list(same_rooms(board))) == 8
    assert {room_key(form) for form in [*same_rooms(board), moved]} == {room_key(board)}
    assert room_key(from_text("#####\n#  .#\n#+$ #\n# $##\n#####")) != room_key(board)
    assert len(room_key(board)) == 16


def test_rooms_of_other_shapes_have_other_keys():
    assert len({room_key(np.zeros(shape, np.int8)) for shape in [(4, 9), (6, 6), (3, 12)]}) == 3
    assert room_key(from_text(FIRST)) == room_key(from_text(FIRST).T)
    assert room_key(np.zeros((3, 400), np.int8)) == room_key(np.zeros((400, 3), np.int8))


def test_the_key_of_a_room_stays_what_it_is():
    assert room_key(from_text(FIRST)) == "a624bc2ba14f5776"


def test_rooms_are_split_eighty_ten_ten():
    counts = Counter(room_split(f"{key:016x}") for key in np.random.default_rng(0).integers(0, 2**63, 20_000).tolist())
    assert counts["train"] / 20_000 == pytest.approx(0.8, abs=0.02)
    assert counts["validation"] / 20_000 == pytest.approx(0.1, abs=0.01)
    assert counts["test"] / 20_000 == pytest.approx(0.1, abs=0.01)


def test_a_level_keeps_its_board():
    board = from_text(FIRST)
    kept = Level.of(board, "one", moves=2)
    board[1, 1] = 0
    assert np.array_equal(kept.board, from_text(FIRST))
    with pytest.raises(ValueError, match="read-only"):
        kept.board[1, 1] = 0


def test_levels_are_written_and_read(tmp_path):
    path = tmp_path / "new" / "levels.txt"
    written = [Level.of(from_text(text), "x") for text in (FIRST, SECOND)]
    write_levels(written, path)
    assert path.read_bytes() == f"; 0\n{FIRST}\n\n; 1\n{SECOND}\n".encode()
    found = read_levels(path)
    assert [one.name for one in found] == ["levels.txt#0", "levels.txt#1"]
    assert all(np.array_equal(one.board, other.board) for one, other in zip(found, written, strict=True))
    assert [one.room for one in found] == [one.room for one in written]
    assert found[0].moves is None
    with pytest.raises(InputError, match=r"other\.txt: there are no levels"):
        write_levels([], tmp_path / "other.txt")


@pytest.mark.parametrize(
    "content",
    [
        f"; 7\n{FIRST}",
        f"\n\n; 7\n\n{FIRST}\n   \n\n",
        f"\ufeff;7\n{FIRST}\n".replace("\n", "\r\n"),
    ],
)
def test_white_lines_and_other_line_ends_do_not_matter(tmp_path, content):
    (tmp_path / "a.txt").write_bytes(content.encode())
    (found,) = read_levels(tmp_path / "a.txt")
    assert found.name == "a.txt#7"
    assert np.array_equal(found.board, from_text(FIRST))


def test_a_folder_is_its_text_files_in_order(tmp_path):
    for name in ("b.txt", "a.txt", "readme.md"):
        (tmp_path / name).write_text(f"; 3\n{FIRST}\n")
    assert [one.name for one in read_levels(tmp_path)] == ["a.txt#3", "b.txt#3"]


HEAD = f"; 0\n{FIRST}\n\n"  # six lines


@pytest.mark.parametrize(
    ("content", "line", "said"),
    [
        ("", 1, "no level in this file"),
        ("\n\n", 1, "no level in this file"),
        (f"{FIRST}\n", 1, "begins with a line '; n'"),
        (f"\ntitle\n; 0\n{FIRST}", 2, "given 'title'"),
        (f"{HEAD}; one\n{FIRST}", 7, "given '; one'"),
        (f"{HEAD};\n{FIRST}", 7, "given '; '"),
        (f"{HEAD}; 0\n{FIRST}", 7, "level 0 stands already in line 1; renumber one"),
        (f"{HEAD}; 1\n\n; 2\n{FIRST}", 7, "no rows follow"),
        (f"{HEAD}; 1\n######\n#@$x.#\n######", 9, "unknown characters 'x'"),
        (f"{HEAD}; 1\n######\n#@$\t.#\n######", 9, r"unknown characters '\\t'"),
        (f"{HEAD}; 1\n######\n#@$.#\n######", 9, "5 characters in a level whose first row has 6"),
        (f"{HEAD}; 1\n######\n#@$ .#\n\n######", 10, "0 characters"),
        (f"{HEAD}; 1\n######\n# $ .#\n######", 7, "one player .* has 0"),
        (f"{HEAD}; 1\n######\n#@$@.#\n######", 7, "one player .* has 2"),
        (f"{HEAD}; 1\n######\n#@$..#\n######", 7, "1 boxes, 2 targets"),
        (f"{HEAD}; 1\n######\n#@$ . \n######", 7, "hole in its outer wall"),
        (f"{HEAD}; 1\n######\n#@$ .#\r#    #\n######", 9, "unknown characters"),
    ],
)
def test_what_is_not_levels_is_refused_by_file_and_line(tmp_path, content, line, said):
    (tmp_path / "bad.txt").write_bytes(content.encode())
    with pytest.raises(InputError, match=rf"bad\.txt:{line}: .*{said}"):
        read_levels(tmp_path)


def test_what_is_not_text_is_refused(tmp_path):
    (tmp_path / "bad.txt").write_bytes(HEAD.encode() + b"; 1\n\xff\xfe#")
    with pytest.raises(InputError, match=r"bad\.txt:8: not text"):
        read_levels(tmp_path / "bad.txt")


def test_what_is_not_there_is_refused(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_levels(tmp_path / "none.txt")
    with pytest.raises(InputError, match=r"no \.txt file"):
        read_levels(tmp_path)
