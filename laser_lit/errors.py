"""Errors that a user can mend: what was given, what is allowed, what to do."""

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """A wrong input; the entry points print its message without a traceback and exit with 1."""


class UnknownNameError(InputError, KeyError):
    """A name that is not among the allowed ones."""

    __str__ = ValueError.__str__


def unknown_name(
    what: str, given: object, allowed: Iterable[object], hint: str = "", *, listed: bool = True
) -> UnknownNameError:
    """Returns the error for an unknown name, with the nearest allowed names first.

    Args:
        what: kind of thing that was named, as in "matrix".
        given: the name as typed.
        allowed: the names that exist.
        hint: what to do instead, one sentence.
        listed: whether all allowed names are shown; else how many there are.
    """
    names = [str(name) for name in allowed]
    near = difflib.get_close_matches(str(given), names, n=3, cutoff=0.5)
    parts = [f"unknown {what} {str(given)!r}"]
    if near:
        parts.append(f"nearest: {', '.join(near)}")
    parts.append(f"allowed: {', '.join(names) if listed else f'{len(names)} names'}")
    if hint:
        parts.append(hint)
    return UnknownNameError("; ".join(parts))
