"""How much memory a computation takes while it runs."""

import weakref
from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode


def peak_bytes(work: Callable[[], object]) -> int:
    """Returns the most bytes of tensors that live at once among those that a computation makes, on all devices.

    What a single operation uses inside of itself is not seen.

    Args:
        work: the computation; it is run once.
    """
    with _Live() as live:
        work()
    return live.peak


class _Live(TorchDispatchMode):
    """Follows the storages that operations make."""

    def __init__(self) -> None:
        super().__init__()
        self.peak = self._now = 0
        self._known: dict[int, Any] = {}

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        given = {_storage(leaf) for leaf in pytree.tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)}
        for leaf in pytree.tree_leaves(result):
            if isinstance(leaf, Tensor) and _storage(leaf) not in given:
                self._count(leaf)
        return result

    def _count(self, tensor: Tensor) -> None:
        key, storage = _storage(tensor), tensor.untyped_storage()
        if key in self._known:
            return
        size = storage.nbytes()
        self._known[key] = weakref.ref(storage, lambda _: self._forget(key, size))
        self._now += size
        self.peak = max(self.peak, self._now)

    def _forget(self, key: int, size: int) -> None:
        del self._known[key]
        self._now -= size


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata
