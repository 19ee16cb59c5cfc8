"""Interventions that pyreft saved, as interventions here."""

import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from laser_lit.errors import InputError
from laser_lit.models.matrices import find_matrices
from laser_lit.reft.attach import Site
from laser_lit.reft.basis import OrthonormalBasis
from laser_lit.reft.intervention import Intervention
from laser_lit.reft.methods import DTYPES, FORMS
from laser_lit.reft.places import COMPONENTS, Places
from laser_lit.reft.positions import Positions, Share
from laser_lit.reft.pyreft_folder import Entry, find_folder, read_entries
from laser_lit.reft.pyreft_tensors import Tensors, read_tensors
from laser_lit.reft.reft import Reft

_NOTED = 1e-4
"""From where on it is said that an R was moved; float32's rounding is below."""
_OTHERS = {
    "mlp_activation": "mlp.act_fn.output",
    "mlp_output": "output.output",
    "attention_output": "attention.output.output",
}
"""Component -> the module in the block that pyvene hooks where the block has it, which is not what is hooked here:
the activation before the gate's product (Llama), and what leaves the norm behind the sum (BERT)."""


def import_pyreft(
    path: str | Path,
    model: nn.Module,
    *,
    positions: str | None = None,
    share: Share | None = None,
    act_fn: str = "linear",
    dropout: float = 0.0,
    dtype: str = "float32",
    id: str | None = None,
    revision: str | None = None,
) -> Reft:
    """Returns the interventions of a folder of pyreft, in eval mode and not attached.

    pyreft keeps neither tokens nor settings, so that they are said here. float32 holds its parameters exactly; an R
    that rounding took off is moved to the nearest orthonormal one, with a warning that says by how much.

    Args:
        path: that ReftModel.save or ReftTrainer wrote.
        model: that the interventions were trained on.
        positions: tokens that they were trained at, f7+l7, l1, …
        share: all (share_weights=True), ends or none; None tells by the number of sets of parameters at a place.
        act_fn: that they were trained with.
        dropout: that they were trained with.
        dtype: of the parameters here.
        id: folder or hub id of the model, to be kept with them.
        revision: commit on the hub.

    Raises:
        InputError: not pyreft's, another model's, or something that ReFT here does not have.
    """
    folder = find_folder(path)
    entries = _here(read_entries(folder), Places(model, find_matrices(model, editable=False)))
    tensors = [read_tensors(entry) for entry in entries]
    plan = _Plan(entries, tensors, *_tokens(entries, positions, share))
    reft = Reft.on(model, plan.interventions(act_fn, dropout, dtype), id=id, revision=revision)
    for site, entry, values in zip(plan.of(reft.sites()), entries, tensors, strict=True):
        _fill(site, entry, values)
    _note(folder, entries, tensors)
    return reft.eval()


def _here(entries: Sequence[Entry], places: Places) -> list[Entry]:
    """Returns entries with the words for their components that mean here what theirs mean in pyvene."""
    return [_in_our_words(entry, places) for entry in entries]


def _in_our_words(entry: Entry, places: Places) -> Entry:
    if entry.layer is None or entry.component not in COMPONENTS:
        places.find(entry.component, entry.layer)  # says what is wrong with it
        return entry
    [layer] = places.layers(entry.layer)
    block = places.find("block_output", layer).module
    other = f"{block}.{_OTHERS.get(entry.component, '')}"
    if other.rpartition(".")[0] in dict(places.model.named_modules()) and entry.component in _OTHERS:
        return Entry(entry.file, None, other, entry.type, entry.rank)
    return Entry(entry.file, layer, entry.component, entry.type, entry.rank)


def _tokens(entries: Sequence[Entry], positions: str | None, share: Share | None) -> tuple[str, Share]:
    """Returns positions and share, the latter of the number of parameter sets at a place where nobody said.

    Raises:
        InputError: they cannot be known.
    """
    if positions is None:
        raise InputError(
            "pyreft does not keep at which tokens its interventions work: say positions='f7+l7' (the first and the "
            "last 7 tokens of the prompt), 'l1', … as they were trained"
        )
    ends = Positions.parse(positions)
    if share is not None:
        ends.slots(share)
        return positions, share
    counts = set(Counter(entry.place for entry in entries).values())
    if counts == {1}:
        return positions, "all"
    if counts == {2} and ends.first and ends.last:
        return positions, "ends"
    raise InputError(
        f"there are {' or '.join(map(str, sorted(counts)))} sets of parameters a place, and positions {positions!r}: "
        "say share='all' (each works at all of them), 'ends' (one at the first tokens, the next at the last) or 'none'"
    )


class _Plan:
    """Which interventions, as a user says them, give the sets of parameters that were found.

    The sets at one place, in their order, fill the slots of a first intervention, then those of a second, …
    """

    def __init__(self, entries: Sequence[Entry], tensors: Sequence[Tensors], positions: str, share: Share) -> None:
        self.positions, self.share = positions, share
        self.size = len(Positions.parse(positions).slots(share))
        self.keys = []
        seen: Counter[str] = Counter()
        for entry, values in zip(entries, tensors, strict=True):
            turn, slot = divmod(seen[entry.place], self.size)
            seen[entry.place] += 1
            rank = values.directions.shape[1]
            self.keys.append(((turn, entry.component, entry.type, rank), slot, entry.layer))
        self.layers: dict[tuple[int, str, str, int], list[int | None]] = {}
        for key, _, layer in sorted(self.keys, key=lambda found: found[0][0]):
            if layer not in self.layers.setdefault(key, []):
                self.layers[key].append(layer)
        given = Counter((key, layer) for key, _, layer in self.keys)
        for (key, layer), count in given.items():
            if count != self.size:
                where = key[1] if layer is None else f"layer {layer} {key[1]}"
                raise InputError(
                    f"{where}: {count} sets of parameters of {key[2]} with rank {key[3]}, and positions "
                    f"{positions!r} with share={share!r} take {self.size}"
                )

    def interventions(self, act_fn: str, dropout: float, dtype: str) -> list[Intervention]:
        """Returns what a user would say."""
        return [
            Intervention(
                layer=None if layers == [None] else _layer([layer for layer in layers if layer is not None]),
                component=component,
                type=type,
                rank=rank,
                positions=self.positions,
                share=self.share,
                act_fn=act_fn if FORMS[type].source == "linear" else "linear",
                dropout=dropout,
                dtype=dtype,
            )
            for (_, component, type, rank), layers in self.layers.items()
        ]

    def of(self, sites: Sequence[Site]) -> list[Site]:
        """Returns for each set that was found its site, of those that the interventions make."""
        starts, start = {}, 0
        for key, layers in self.layers.items():
            starts[key] = start
            start += self.size * len(layers)
        numbers = [
            starts[key] + slot * len(self.layers[key]) + self.layers[key].index(layer) for key, slot, layer in self.keys
        ]
        return [sites[number] for number in numbers]


def _layer(layers: list[int]) -> int | tuple[int, ...]:
    return layers[0] if len(layers) == 1 else tuple(layers)


@torch.no_grad()
def _fill(site: Site, entry: Entry, values: Tensors) -> None:
    """Puts tensors in the place of an edit's parameters; a bias that pyreft left out is 0."""
    place, _, edit = site
    width = len(values.directions)
    if place.size != width:
        raise InputError(
            f"{place.name} is {place.size} wide here, and {entry.file} is for {width}: give the model it was made for"
        )
    targets: list[tuple[Tensor, Tensor | None]] = []
    if edit.projection is None:
        edit.basis = OrthonormalBasis.of(values.directions).to(DTYPES[edit.dtype])
    else:
        targets += [(edit.projection.weight, values.directions.mT)]
        targets += [] if edit.projection.bias is None else [(edit.projection.bias, values.offset)]
    if edit.source is None:
        targets += [(edit.constant, values.bias)]
    else:
        targets += [(edit.source.weight, values.source), (edit.source.bias, values.bias)]
    for parameter, tensor in targets:
        parameter.copy_(torch.zeros_like(parameter) if tensor is None else tensor)


def _note(folder: Path, entries: Sequence[Entry], tensors: Sequence[Tensors]) -> None:
    """Warns of what is not as it was in pyreft."""
    moved = sorted((values.moved, entry.place) for entry, values in zip(entries, tensors, strict=True))
    far = [distance for distance, _ in moved if distance > _NOTED]
    if far:
        warnings.warn(
            f"{len(far)} of {len(moved)} R were orthonormal only up to rounding and were moved to the nearest that is, "
            f"at most by {far[-1]:.1e} (spectral norm, {moved[-1][1]})",
            stacklevel=3,
        )
    if (folder / "pytorch_model.bin").is_file():
        warnings.warn(
            f"{folder} has weights of the model itself too, which were trained beside the interventions and are not "
            "imported",
            stacklevel=3,
        )
