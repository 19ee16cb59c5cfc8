"""From a user's words (layer, matrix, part, expert) to matrix ids."""

from collections.abc import Mapping, Sequence
from numbers import Integral

from laser_lit.errors import InputError, unknown_name
from laser_lit.models.architecture import GROUPS, MATRICES
from laser_lit.models.matrix import MatrixHandle, MatrixId

PAPER = {"W_q": "q_proj", "W_k": "k_proj", "W_v": "v_proj", "W_o": "out_proj", "U_in": "fc_in", "U_out": "fc_out"}
"""The paper's names. Source: Sharma, Ash and Misra 2023, section 3."""

Handles = Mapping[MatrixId, MatrixHandle]
Layers = Mapping[str | None, int]


def select(
    architecture: str,
    layers: Layers,
    handles: Handles,
    layer: int | str | Sequence[int | str],
    matrix: str | Sequence[str],
    part: str | None,
    expert: int | None,
) -> list[MatrixId]:
    """Returns the ids that the words name; see `MatrixMap.select`."""
    parts = _parts(architecture, layers, part)
    asked = _asked_layers(architecture, {name: layers[name] for name in parts}, layer)
    inside = [id for id in handles if id.part in parts]
    names = [matrix] if isinstance(matrix, str) else list(matrix)
    if not names:
        raise InputError(f"no matrix named; allowed: {', '.join((*MATRICES, *GROUPS))}")
    wanted = [set(_named(architecture, inside, handles, name)) for name in names]
    found = [id for at in asked for ids in wanted for id in inside if (id.part, id.layer) == at and id in ids]
    if not found:
        raise _elsewhere(names, set().union(*wanted), asked)
    return list(dict.fromkeys(_of_expert(architecture, found, expert)))


def _parts(architecture: str, layers: Layers, part: str | None) -> list[str | None]:
    if part in (None, "all"):
        return list(layers)
    if part not in layers:
        allowed = [name for name in (*layers, "all") if name]
        hint = f"{architecture} has no parts: leave it out" if None in layers else ""
        raise unknown_name("part", part, allowed, hint)
    return [part]


def _asked_layers(architecture: str, layers: Layers, layer: object) -> list[tuple[str | None, int]]:
    """Returns (part, layer) pairs in the order asked."""
    words = list(layer) if isinstance(layer, Sequence) and not isinstance(layer, str) else [layer]
    if not words:
        raise InputError("no layer named; give an index, several, or all")
    asked = []
    for word in words:
        pairs = [(part, at) for part, count in layers.items() for at in _indices(word, count)]
        if not pairs:
            counts = ", ".join(f"{part or architecture} has layers 0 to {n - 1}" for part, n in layers.items())
            raise InputError(f"layer {word}: {counts}; negative counts from the end, all means every layer")
        asked += pairs
    return asked


def _indices(word: object, count: int) -> list[int]:
    """Returns the layers of a stack of `count` that a word names; none when it lies outside."""
    if word == "all":
        return list(range(count))
    try:
        index = int(word) if isinstance(word, str | Integral) and not isinstance(word, bool) else None
    except ValueError:
        index = None
    if index is None:
        raise InputError(f"layer {word!r}: must be a whole number or all")
    index = index + count if index < 0 else index
    return [index] if 0 <= index < count else []


def _named(architecture: str, inside: list[MatrixId], handles: Handles, name: str) -> list[MatrixId]:
    """Returns the ids in any layer that a name means."""
    group = GROUPS.get(name) or (PAPER.get(name, name),)
    if set(group) <= set(MATRICES):
        found = [id for id in inside if id.matrix in group]
        if not found:
            raise InputError(_absence(architecture, inside, group))
        return found
    stored = [id for id in inside if name in _names(handles[id])]
    if not stored:
        allowed = [*_present(inside), *GROUPS, *PAPER]
        raise unknown_name("matrix", name, allowed, "or a parameter's name, as " + handles[inside[0]].name)
    if len({id.matrix for id in stored}) > 1 and len({_in_layer(handles[id].name, id.layer) for id in stored}) > 1:
        meant = ", ".join(sorted({f"{_in_layer(handles[id].name, id.layer)} ({id.matrix})" for id in stored}))
        raise InputError(f"matrix {name!r} may mean {meant}; name one of them")
    return stored


def _names(handle: MatrixHandle) -> set[str]:
    """Returns every name under which a stored tensor may be asked for: whole, within its layer, its module."""
    names = set()
    for name in (handle.name, handle.disk_name):
        bare = name.removesuffix(".weight")
        names |= {name, bare, _in_layer(name, handle.id.layer), _in_layer(bare, handle.id.layer), bare.split(".")[-1]}
    return names


def _in_layer(name: str, layer: int) -> str:
    """Returns a parameter's name from its layer's number on."""
    return name.partition(f".{layer}.")[2] or name


def _present(inside: list[MatrixId]) -> list[str]:
    present = {id.matrix for id in inside}
    return [matrix for matrix in MATRICES if matrix in present]


def _absence(architecture: str, inside: list[MatrixId], group: Sequence[str]) -> str:
    part = {id.part for id in inside}
    where = f"{architecture} {next(iter(part)) or ''}".strip() if len(part) == 1 else architecture
    why = " (its feed-forward block has no gate)" if group == ("fc_up",) and "fc_in" in _present(inside) else ""
    return f"{where} has no {', '.join(group)}{why}; it has {', '.join(_present(inside))}"


def _elsewhere(names: list[str], wanted: set[MatrixId], asked: list[tuple[str | None, int]]) -> InputError:
    at = ", ".join(f"{part or ''} layer {layer}".strip() for part, layer in asked)
    where = ", ".join(sorted({f"{id.part or ''} layer {id.layer}".strip() for id in wanted}))
    return InputError(f"no {', '.join(names)} in {at}: it lies in {where}")


def _of_expert(architecture: str, found: list[MatrixId], expert: int | None) -> list[MatrixId]:
    if expert is None:
        return found
    experts = sorted({id.expert for id in found if id.expert is not None})
    if not experts:
        names = ", ".join(sorted({id.matrix for id in found}))
        raise InputError(f"expert {expert}: {architecture} has no experts in {names} of the layers named; leave it out")
    if expert not in experts:
        raise InputError(f"expert {expert!r}: must be a whole number in {experts[0]} to {experts[-1]}")
    return [id for id in found if id.expert == expert]
