"""Memory that a computation takes, and memory that is handed back."""

import torch

from laser_lit.scoring.heap import Heap, resident
from laser_lit.scoring.working import peak_bytes

KB = torch.zeros(256)


def test_the_peak_counts_what_lives_at_once() -> None:
    def chain() -> None:
        x = KB
        for _ in range(10):
            x = x + 1  # two of them at a time

    def all_at_once() -> list[torch.Tensor]:
        return [KB + n for n in range(10)]

    assert peak_bytes(chain) == 2 * 1024
    assert peak_bytes(all_at_once) == 10 * 1024


def test_views_and_changes_in_place_take_nothing() -> None:
    def work() -> None:
        x = KB.clone()
        y = x.view(16, 16).T[:3]
        y.add_(1)

    assert peak_bytes(work) == 1024
    assert peak_bytes(lambda: KB.view(2, 128)) == 0


def test_an_exception_ends_the_counting() -> None:
    seen = []

    def work() -> None:
        seen.append(KB.clone())
        raise KeyError

    try:
        peak_bytes(work)
    except KeyError:
        seen.append(KB + 1)
    assert len(seen) == 2


def test_memory_is_handed_back_beyond_the_limit_alone() -> None:
    calls = []
    for limit, expected in ((-1, [0]), (2**62, [])):
        heap = Heap(limit)
        heap._trim = calls.append  # type: ignore[assignment]
        calls.clear()
        heap.tidy()
        assert calls == (expected if resident() else [])
    Heap(-1).tidy()  # the real one
