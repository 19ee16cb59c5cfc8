"""Config and weights of a model under a stack, as transformers writes them: plain, or with thin factors among them."""

import json
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import Tensor
from transformers import PreTrainedModel

from laser_lit.edits.row import AppliedEdit
from laser_lit.edits.stack import Stack
from laser_lit.edits.write import Write
from laser_lit.errors import InputError
from laser_lit.export.plan import SUFFIX, Plan, thin_of
from laser_lit.export.result import Exported, weight_bytes
from laser_lit.files import write_text_atomic
from laser_lit.models.factored import VARIANT, Factored
from laser_lit.models.matrices import MatrixMap
from laser_lit.models.source import quiet


def save_dense(
    model: PreTrainedModel, stack: Stack, matrices: MatrixMap, folder: Path, shard_size: int | None
) -> tuple[Exported, list[AppliedEdit]]:
    """Returns what was written and the edits: a plain checkpoint of the very weights that the stack gives.

    Args:
        model: as it was before the edits, and is again afterwards.
        stack: the edits.
        matrices: the model's map.
        folder: where to.
        shard_size: largest file in bytes; None is transformers' own.
    """
    with stack.applied(matrices) as rows:
        save_weights(model, folder, shard_size)
    return account(model, folder, rows), rows


def save_factored(
    model: PreTrainedModel, stack: Stack, matrices: MatrixMap, folder: Path, shard_size: int | None
) -> tuple[Exported, list[AppliedEdit]]:
    """Returns what was written and the edits: thin factors wherever they are smaller (arguments as `save_dense`).

    Raises:
        InputError: they are nowhere smaller.
    """
    split = Split(dict(model.state_dict()))
    plan = Plan(model)
    with ExitStack() as back:  # weights that are edited and stay whole are put back
        for write in stack.writes(matrices):
            reason = plan.why_dense(write)
            split.add(write, reason)
            if reason is not None:
                back.callback(write.handle.restore, write.handle.save())
                write.handle.write(write.W)
        return save_split(model, split, folder, shard_size), split.rows


def save_split(model: PreTrainedModel, split: "Split", folder: Path, shard_size: int | None) -> Exported:
    """Returns what was written: the tensors of a factored model, and a config that says so.

    Args:
        model: the dense one.
        split: its tensors.
        folder: where to.
        shard_size: largest file in bytes; None is transformers' own.

    Raises:
        InputError: nothing is stored as factors.
    """
    split.check()
    save_weights(model, folder, shard_size, split.state, VARIANT)
    saved = model.num_parameters() - split.saved
    write_config(folder, Factored(model.config, split.ranks), saved)
    about = {"parameters": saved, "factored": split.factored, "dense": split.dense}
    return account(model, folder, split.rows, format="factored", **about)


def save_weights(
    model: PreTrainedModel,
    folder: Path,
    shard_size: int | None,
    state: Mapping[str, Tensor] | None = None,
    variant: str | None = None,
) -> None:
    """Writes config and weights as transformers does, without progress bars where no one watches.

    Args:
        model: what is written.
        folder: where to.
        shard_size: largest file in bytes; None is transformers' own.
        state: in place of the model's own.
        variant: in the names of the files.
    """
    sharding = {} if shard_size is None else {"max_shard_size": shard_size}
    with quiet():
        model.save_pretrained(folder, state_dict=None if state is None else dict(state), variant=variant, **sharding)


def write_config(folder: Path, factored: Factored, parameters: int) -> None:
    """Puts the config of a factored model in the place of the plain one, and its number of parameters in the index.

    Args:
        folder: that holds config.json.
        factored: what the new one says.
        parameters: their number as stored.
    """
    write_text_atomic(folder / "config.json", json.dumps(factored.content(), indent=2) + "\n")
    index = folder / f"model.safetensors.index.{VARIANT}.json"
    if index.is_file():
        content = json.loads(index.read_text(encoding="utf-8"))
        content["metadata"]["total_parameters"] = parameters
        write_text_atomic(index, json.dumps(content, indent=2, sort_keys=True) + "\n")


def account(model: PreTrainedModel, folder: Path, rows: list[AppliedEdit], **more: Any) -> Exported:
    """Returns the account of a model that was written.

    Args:
        model: a dense one.
        folder: with its weight files.
        rows: the edits.
        more: fields in which what was written differs from the dense model.
    """
    dtype = str(model.dtype).removeprefix("torch.")
    causal = type(model).__name__.endswith(("ForCausalLM", "LMHeadModel"))
    size, edited = model.num_parameters(), len({Exported.place(row) for row in rows})
    return replace(Exported(folder, "dense", dtype, causal, size, size, weight_bytes(folder), edited), **more)


@dataclass
class Split:
    """The tensors of a factored model, and how they came about.

    Attributes:
        state: the tensors by name; those of the dense model at first.
        rows: the edits.
        ranks: of the factors, by the name of the module.
        factored: the same by the matrix in words.
        dense: why an edited matrix is stored whole.
        saved: how many entries fewer there are.
    """

    state: dict[str, Tensor]
    rows: list[AppliedEdit] = field(default_factory=list)
    ranks: dict[str, int] = field(default_factory=dict)
    factored: dict[str, int] = field(default_factory=dict)
    dense: dict[str, str] = field(default_factory=dict)
    saved: int = 0

    def add(self, write: Write, reason: str | None) -> None:
        """Takes a matrix as factors unless there is a reason against it."""
        self.rows += write.rows
        matrix = str(write.handle.id)
        if reason is not None:
            self.dense[matrix] = reason
            return
        name = write.handle.name.removesuffix(SUFFIX)
        US, Vh = thin_of(write)
        del self.state[write.handle.name]
        self.state |= {f"{name}.US": US, f"{name}.Vh": Vh}
        self.ranks[name] = self.factored[matrix] = len(Vh)
        self.saved += write.W.numel() - US.numel() - Vh.numel()

    def check(self) -> None:
        """Raises an error where nothing is stored as factors."""
        if not self.ranks:
            reasons = "; ".join(f"{matrix}: {reason}" for matrix, reason in list(self.dense.items())[:4])
            more = f" and {len(self.dense) - 4} more" if len(self.dense) > 4 else ""
            raise InputError(f"nothing would be stored as factors ({reasons}{more}): use export.format=dense")
