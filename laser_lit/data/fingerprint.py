"""A hash of what is asked, for config hashes: the same examples give the same hash wherever they were read from."""

import dataclasses
import json

import xxhash

from laser_lit.data.example import Example, ExampleSet, TextSet

LATER = ("completion", "second")
"""Fields of an example that came later: left out where they are None, so that earlier hashes hold."""
ABOUT = ("subject",)
"""Fields that say what an example is about and decide no score: left out."""


def fingerprint(data: ExampleSet | TextSet) -> str:
    """Returns 32 hex digits that name the content: every example or document in order, and how it is scored.

    Args:
        data: its `name` and `revision` say where it comes from and are left out.
    """
    state = xxhash.xxh3_128()
    skipped = {"name", "revision", "examples", "documents"}
    settings = {f.name: getattr(data, f.name) for f in dataclasses.fields(data) if f.name not in skipped}
    state.update(_line([type(data).__name__, settings]))
    if isinstance(data, TextSet):
        for document in data.documents:
            state.update(_line(document))
    else:
        for example in data.examples:
            state.update(_line(_fields(example)))
    return str(state.hexdigest())


def _fields(example: Example) -> dict[str, object]:
    fields = dataclasses.asdict(example)
    return {name: value for name, value in fields.items() if name not in (*ABOUT, *(LATER if value is None else ()))}


def _line(content: object) -> bytes:
    return json.dumps(content, sort_keys=True, default=_plain).encode() + b"\n"


def _plain(content: object) -> object:
    if dataclasses.is_dataclass(content) and not isinstance(content, type):
        return dataclasses.asdict(content)
    raise TypeError(f"{type(content).__name__} has no fingerprint")
