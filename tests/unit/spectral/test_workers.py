"""Several matrices at once, in order."""

import threading

import pytest
import torch

from laser_lit.errors import InputError
from laser_lit.spectral.items import Item
from laser_lit.spectral.workers import BUDGET, in_order, worker_count

CPU = torch.device("cpu")


def item(*shape: int) -> Item:
    return Item("x", "x", None, shape, torch.float32, lambda: torch.zeros(shape))


@pytest.mark.parametrize("count", [1, 2, 5])
def test_results_come_in_order_and_no_more_are_in_the_making(count: int) -> None:
    running, most, lock = 0, 0, threading.Lock()
    gate = threading.Barrier(count)

    def work(number: int) -> int:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        gate.wait(timeout=30)  # all threads are in the work at the same time
        with lock:
            running -= 1
        return number * number

    numbers = list(range(10))
    assert list(in_order(work, numbers, count)) == [number * number for number in numbers]
    assert most <= count


def test_an_error_is_raised_and_the_threads_of_torch_come_back() -> None:
    before = torch.get_num_threads()

    def work(number: int) -> int:
        if number == 3:
            raise InputError("the third")
        return number

    with pytest.raises(InputError, match="the third"):
        list(in_order(work, list(range(100)), 4))
    assert torch.get_num_threads() == before


def test_large_matrices_are_measured_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 16)
    assert worker_count([item(8, 8)] * 40, CPU, None) == 16
    assert worker_count([item(8, 8)] * 3, CPU, None) == 3
    assert worker_count([item(8, 8), item(BUDGET // 8, 2)], CPU, None) == 1
    assert 1 < worker_count([item(1024, 4096)] * 40, CPU, None) < 4
    assert worker_count([item(8, 8)], torch.device("cuda"), None) == 1
    assert worker_count([], CPU, None) == 1
    assert worker_count([item(8, 8)], CPU, 7) == 7


def test_fewer_than_one_worker_is_refused() -> None:
    with pytest.raises(InputError, match="workers 0"):
        worker_count([], CPU, 0)
