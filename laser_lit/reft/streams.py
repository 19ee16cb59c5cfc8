"""The tensor of hidden states among what a module is given or gives."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

Key = int | str | None
"""Where it stands: a position, a keyword, or None for the whole output."""


def given(args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Key, Tensor | None]:
    """Returns where the hidden states are among a module's arguments, and the states; None where there are none.

    Args:
        args: of the call.
        kwargs: of the call.
    """
    if args and isinstance(args[0], Tensor):
        return 0, args[0]
    for name in ("hidden_states", *kwargs):
        value = kwargs.get(name)
        if isinstance(value, Tensor) and value.is_floating_point():
            return name, value
    return None, None


def with_given(
    args: tuple[Any, ...], kwargs: dict[str, Any], key: Key, states: Tensor
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Returns the arguments with other states where `given` found them."""
    return (args, {**kwargs, key: states}) if isinstance(key, str) else ((states, *args[1:]), kwargs)


def gave(output: Any) -> Tensor | None:
    """Returns the hidden states in a module's output: all of it, or the first of several; None where there are none."""
    first = output[0] if isinstance(output, tuple | list) and output else output
    return first if isinstance(first, Tensor) else None


def with_gave(output: Any, states: Tensor) -> Any:
    """Returns the output with other states where `gave` found them."""
    if not isinstance(output, tuple | list):
        return states
    make: Any = getattr(output, "_make", type(output))  # a named tuple's own
    return make((states, *output[1:]))
