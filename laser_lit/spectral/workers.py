"""Several matrices at once: how many fit, and their results in the order of the matrices."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

import torch

from laser_lit.errors import InputError
from laser_lit.spectral.items import Item

T = TypeVar("T")
R = TypeVar("R")

BUDGET = 200_000_000
"""Bytes that matrices in the making may take together, unless a single one takes more."""

_AHEAD = 4
"""Results a thread that may wait for an earlier one; what waits to begin holds no matrix."""


def worker_count(items: Sequence[Item], device: torch.device, asked: int | None) -> int:
    """Returns how many matrices to measure at once.

    Args:
        items: all that are to be measured.
        device: where they are measured.
        asked: by the user; None takes as many as the cores and BUDGET allow, and one on a CUDA device.

    Raises:
        InputError: fewer than one.
    """
    if asked is not None:
        if not isinstance(asked, int) or asked < 1:
            raise InputError(f"workers {asked}: must be a whole number, 1 or more")
        return asked
    if device.type != "cpu" or not items:
        return 1
    largest = max(map(_bytes, items))
    return max(1, min(torch.get_num_threads(), len(items), BUDGET // largest))


def in_order(work: Callable[[T], R], items: Sequence[T], count: int) -> Iterator[R]:
    """Yields the result of each item in the order of the items; no more than `count` are in the making at a time.

    Args:
        work: called once an item, in any order.
        items: what to work on.
        count: threads.
    """
    if count == 1:
        yield from map(work, items)
        return
    threads = torch.get_num_threads()
    each = max(1, threads // count)
    left = iter(items)
    torch.set_num_threads(each)
    with ThreadPoolExecutor(count, initializer=torch.set_num_threads, initargs=(each,)) as pool:
        try:
            running: deque[Future[R]] = deque(pool.submit(work, item) for item in islice(left, _AHEAD * count))
            while running:
                result = running.popleft().result()
                running.extend(pool.submit(work, item) for item in islice(left, 1))
                yield result
        finally:
            pool.shutdown(cancel_futures=True)
            torch.set_num_threads(threads)


def _bytes(item: Item) -> int:
    """Returns about what one matrix takes while it is measured: itself, a slab in float64, and its Gram matrix."""
    d, numel = min(item.shape), item.shape[0] * item.shape[1]
    slab = 8 * min(numel, 1 << 22)
    return numel * item.dtype.itemsize + slab + 3 * 8 * d * d
