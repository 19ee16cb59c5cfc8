"""States within their budgets, in memory and in files."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from laser_lit.scoring import states as module
from laser_lit.scoring.states import States

SIZE = 4 * 10


def state(value: float, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.full((2, 5), value, dtype=dtype) + torch.arange(5).to(dtype)


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*/*.bin"))


@pytest.mark.parametrize("memory", [10**6, 0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int64, torch.bool, torch.float64])
def test_a_state_comes_back_as_it_was_put(tmp_path: Path, memory: int, dtype: torch.dtype) -> None:
    repeated = torch.full((), torch.nan).expand(4, 3)
    put = (state(1, dtype), None, [3, state(2).T, torch.zeros(0, 2)], {"a": repeated, "b": "text"})
    with States(memory, 10**6, tmp_path) as states:
        assert states.put("key", put)
        put[0].zero_()  # what is kept is a copy
        found = states.get("key")
        assert torch.equal(found[0], state(1, dtype))
        assert found[0].dtype == dtype
        assert found[1] is None
        assert found[2][0] == 3
        assert torch.equal(found[2][1], state(2).T)
        assert found[2][2].shape == (0, 2)
        assert found[3]["a"].shape == (4, 3)
        assert found[3]["b"] == "text"
        assert len(files(tmp_path)) == (memory == 0)
    assert not list(tmp_path.iterdir())


def test_what_has_no_room_in_memory_goes_to_files_and_then_nowhere(tmp_path: Path) -> None:
    with States(2 * SIZE, SIZE, tmp_path) as states:
        assert [states.put(n, state(n)) for n in range(4)] == [True, True, True, False]
        assert (states.in_memory, states.in_files, len(files(tmp_path))) == (2 * SIZE, SIZE, 1)
        assert [n in states for n in range(4)] == [True, True, True, False]
        assert all(torch.equal(states.get(n), state(n)) for n in range(3))
        states.keep(lambda key: key == 1)
        assert (states.in_memory, states.in_files, files(tmp_path), len(states)) == (SIZE, 0, [], 1)


def test_the_wanted_takes_the_place_of_what_was_not_asked_for_lately(tmp_path: Path) -> None:
    with States(2 * SIZE, 0, tmp_path) as states:
        states.put("old", state(0))
        for _ in range(2):
            states.next_round()
        states.put("new", state(1))
        assert not states.put("more", state(2))
        assert states.put("more", state(2), wanted=True)
        assert not states.put("last", state(3), wanted=True)
        assert states.put("last", state(3), wanted=True, instead=["more"])
        assert [key in states for key in ("old", "new", "more", "last")] == [False, True, False, True]
        assert states.in_memory == 2 * SIZE


def test_what_makes_room_moves_to_a_file_where_there_is_room(tmp_path: Path) -> None:
    with States(SIZE, SIZE, tmp_path) as states:
        states.put("old", state(0))
        assert states.put("new", state(1), wanted=True, instead=["old"])
        assert torch.equal(states.get("old"), state(0))
        assert (states.in_memory, states.in_files) == (SIZE, SIZE)


def test_a_full_disk_is_survived(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(path: Path, tensors: object) -> None:
        path.write_bytes(b"part of it")
        raise OSError("No space left on device")

    with States(0, None, tmp_path) as states:
        assert states.put("one", state(1))
        monkeypatch.setattr(module, "_write", write)
        with pytest.warns(UserWarning, match="No space left"):
            assert not states.put("two", state(2))
        assert not states.put("three", state(3))
        assert len(files(tmp_path)) == 1
        assert torch.equal(states.get("one"), state(1))


def test_the_files_are_bounded_by_the_free_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free = type("Usage", (), {"free": 5 * SIZE})
    monkeypatch.setattr(module.shutil, "disk_usage", lambda folder: free)
    with States(0, None, tmp_path) as states:
        assert [states.put(n, state(n)) for n in range(4)] == [True, True, False, False]


def test_what_others_write_meanwhile_counts_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free = SimpleNamespace(free=10 * SIZE)
    monkeypatch.setattr(module.shutil, "disk_usage", lambda folder: free)
    with States(0, None, tmp_path) as states:
        assert states.put(0, state(0))
        free.free = 6 * SIZE - 1
        assert not states.put(1, state(1))
        free.free = 6 * SIZE
        assert states.put(1, state(1))


def test_a_folder_that_cannot_be_made_is_survived(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.shutil, "disk_usage", lambda folder: SimpleNamespace(free=10 * SIZE))
    with States(0, 10 * SIZE, tmp_path / "none") as states:
        with pytest.warns(UserWarning, match="no longer kept"):
            assert not states.put(0, state(0))
        assert not states.put(0, state(0))


def test_the_files_go_after_an_exception_too(tmp_path: Path) -> None:
    def fail() -> None:
        with States(0, None, tmp_path) as states:
            states.put("one", state(1))
            assert files(tmp_path)
            states.get("another")

    with pytest.raises(KeyError):
        fail()
    assert not list(tmp_path.iterdir())


def test_what_is_no_tree_of_tensors_is_not_kept(tmp_path: Path) -> None:
    with States(10**6, 0, tmp_path) as states:
        assert not states.put("key", (state(1), object()))
        assert "key" not in states


def test_lately_is_this_round_and_the_one_before(tmp_path: Path) -> None:
    with States(2 * SIZE, 0, tmp_path) as states:
        states.put("a", state(0))
        states.put("b", state(1))
        states.next_round()
        assert not states.put("c", state(2), wanted=True)  # both were put in the round before
        states.get("a")
        states.next_round()
        assert states.put("c", state(2), wanted=True)
        assert [key in states for key in "abc"] == [True, False, True]  # what was asked for stays
        assert torch.equal(states.get("a"), state(0))


def test_the_longest_unused_goes_first(tmp_path: Path) -> None:
    with States(3 * SIZE, 0, tmp_path) as states:
        for key in "abc":
            states.put(key, state(0))
            states.next_round()
        states.get("a")
        for _ in range(2):
            states.next_round()
        assert states.put("d", state(1), wanted=True)
        assert [key in states for key in "abcd"] == [True, False, True, True]


def test_room_is_made_as_far_as_it_is_needed(tmp_path: Path) -> None:
    with States(2 * SIZE, 10**6, tmp_path) as states:
        for key in "ab":
            states.put(key, state(0))
        for _ in range(2):
            states.next_round()
        assert states.put("whole", torch.ones(20), wanted=True)  # exactly all of the memory
        assert (states.in_memory, states.in_files, len(files(tmp_path))) == (2 * SIZE, 2 * SIZE, 2)
        for _ in range(2):
            states.next_round()
        assert states.put("more", torch.ones(21), wanted=True)  # which no memory can hold: nothing moves for it
        assert (states.in_memory, states.in_files, len(files(tmp_path))) == (2 * SIZE, 2 * SIZE + 84, 3)


def test_the_wanted_takes_the_place_of_old_files_too(tmp_path: Path) -> None:
    with States(0, 2 * SIZE, tmp_path) as states:
        states.put("a", state(0))
        states.put("b", state(1))
        for _ in range(2):
            states.next_round()
        states.get("a")
        assert not states.put("c", state(2))
        assert states.put("c", state(2), wanted=True)
        assert [key in states for key in "abc"] == [True, False, True]
        assert not states.put("d", state(3), wanted=True)
        assert states.put("d", state(3), wanted=True, instead=["a"])
        assert (states.in_files, len(files(tmp_path))) == (2 * SIZE, 2)
        assert torch.equal(states.get("d"), state(3))
        assert not states.put("large", torch.ones(21), wanted=True, instead=["c", "d"])
        assert ("c" in states, "d" in states) == (True, True)  # it would not fit into all of the room


def test_files_go_as_far_as_is_needed_and_nothing_else_does(tmp_path: Path) -> None:
    with States(SIZE, 2 * SIZE, tmp_path) as states:
        for key in ("memory", "a", "b"):
            states.put(key, state(0))
        for _ in range(2):
            states.next_round()
        assert states.put("c", torch.ones(11)[:10], wanted=True, instead=["memory"])
        assert [key in states for key in ("memory", "a", "b", "c")] == [
            False,
            True,
            True,
            True,
        ]  # no file had room for it
        assert states.put("d", torch.ones(11), wanted=True)  # more than the memory
        assert [key in states for key in ("a", "b", "c", "d")] == [False, False, True, True]
    with States(0, 2 * SIZE, tmp_path) as states:
        for key in "ab":
            states.put(key, state(0))
        for _ in range(2):
            states.next_round()
        assert states.put("c", state(1), wanted=True)
        assert [key in states for key in "abc"] == [False, True, True]
        assert states.put("whole", torch.ones(20), wanted=True, instead=["c"])
        assert (len(states), states.in_files) == (1, 2 * SIZE)


def test_what_is_there_already_stays_as_it_is(tmp_path: Path) -> None:
    with States(SIZE, 0, tmp_path) as states:
        assert states.put("key", state(0))
        assert states.put("key", state(1))
        assert torch.equal(states.get("key"), state(0))
        assert states.in_memory == SIZE


def test_the_spare_is_kept_in_the_half_of_the_memory_that_is_free(tmp_path: Path) -> None:
    with States(4 * SIZE, 10**6, tmp_path) as states:
        assert [states.put(n, state(n), spare=True) for n in range(3)] == [True, True, False]
        assert states.in_files == 0
    with States(4 * SIZE - 1, 10**6, tmp_path) as states:
        assert [states.put(n, state(n), spare=True) for n in range(2)] == [True, False]


def test_what_is_dropped_gives_its_room_back(tmp_path: Path) -> None:
    with States(SIZE, SIZE, tmp_path) as states:
        states.put("memory", state(0))
        states.put("file", state(1))
        states.drop("neither")
        for key, left in (("memory", (0, SIZE)), ("file", (0, 0))):
            states.drop(key)
            states.drop(key)
            assert (states.in_memory, states.in_files) == left
        assert files(tmp_path) == []
        assert states.put("again", state(2))
        states.close()
        assert (len(states), states.in_memory) == (0, 0)
        assert states.put("after", state(3))


def test_leaving_memory_is_for_good(tmp_path: Path) -> None:
    with States(SIZE, 2 * SIZE, tmp_path) as states:
        states.put("memory", state(0))
        states.put("file", state(1))
        states.leave_memory()
        assert ("memory" in states, "file" in states) == (False, True)
        assert states.put("next", state(2))
        assert (states.in_memory, states.in_files) == (0, 2 * SIZE)
        assert not states.put("one more", torch.ones(1))
