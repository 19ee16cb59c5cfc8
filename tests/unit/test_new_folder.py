"""Folders that are there as a whole or not at all."""

import os
import signal
from pathlib import Path

import pytest

from laser_lit.errors import InputError
from laser_lit.files import UNFINISHED, check_new_folder, new_folder, refuse_unfinished


@pytest.mark.parametrize("there", [True, False])
def test_the_folder_is_there_when_all_is_written(tmp_path: Path, there: bool) -> None:
    path = tmp_path / "a" / "b"
    if there:
        path.mkdir(parents=True)
    with new_folder(path) as folder:
        (folder / "file").write_text("text")
        (folder / "inner").mkdir()
        (folder / "inner" / "file").write_text("more")
        assert not (path / "file").exists()
        with pytest.raises(InputError, match="is half-written"):
            refuse_unfinished(folder)
    assert sorted(file.relative_to(path).as_posix() for file in path.rglob("*")) == ["file", "inner", "inner/file"]
    assert list(path.parent.iterdir()) == [path]
    refuse_unfinished(path)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_nothing_is_left_of_a_failure(tmp_path: Path, error: type[BaseException]) -> None:
    def fail() -> None:
        with new_folder(tmp_path / "new") as folder:
            (folder / "file").write_text("text")
            raise error

    with pytest.raises(error):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_a_kill_leaves_what_is_recognised(tmp_path: Path) -> None:
    path = tmp_path / "new"
    child = os.fork()
    if child == 0:
        with new_folder(path) as folder:
            (folder / "config.json").write_text("{}")
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    (left,) = tmp_path.iterdir()
    assert left.name.startswith("new.unfinished-")
    assert (left / UNFINISHED).is_file()
    with pytest.raises(InputError, match="half-written"):
        refuse_unfinished(left)
    with new_folder(path) as folder:
        (folder / "config.json").write_text("{}")
    assert path.is_dir()


def test_folders_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "file").write_text("text")
    with pytest.raises(InputError, match=r"export.path=.*used: the folder is not empty, and nothing is written over"):
        check_new_folder("export.path", tmp_path / "used")
    for path in (tmp_path / "used" / "file", tmp_path / "used" / "file" / "inner"):
        with pytest.raises(InputError, match=r"used/file is a file, so that no folder can be made there"):
            check_new_folder("export.path", path)
    with pytest.raises(InputError, match="not empty"), new_folder(tmp_path / "used"):
        pass
    check_new_folder("export.path", tmp_path / "new" / "newer")
    assert not (tmp_path / "new").exists()


def test_a_mount_point_and_a_folder_that_may_only_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mount").mkdir()
    monkeypatch.setattr(Path, "is_mount", lambda self: self.name == "mount")
    with pytest.raises(InputError, match="mount point; name a folder inside it"):
        check_new_folder("export.path", tmp_path / "mount")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(InputError, match=r"cannot be written to; name another folder"):
        check_new_folder("export.path", tmp_path / "new")


def test_who_comes_second_says_so_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "new"

    def both() -> None:
        with new_folder(path) as folder:
            (folder / "mine").write_text("mine")
            path.mkdir()
            (path / "others").write_text("others")

    with pytest.raises(InputError, match="could not take its place"):
        both()
    assert [file.name for file in tmp_path.rglob("*")] == ["new", "others"]
