"""What is trained beside a model's own weights, and is evaluated on top of them: interventions, or a LoRA."""

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

import xxhash
from torch import nn

from laser_lit.errors import InputError
from laser_lit.models.content import content_hash
from laser_lit.reft.head import is_classifier
from laser_lit.reft.lora_folder import CONFIG as LORA
from laser_lit.reft.lora_folder import read_lora
from laser_lit.reft.reft import Reft
from laser_lit.reft.saving import load_reft


class Adapter(Protocol):
    """A small trained addition to a model, with the strength at which it is applied."""

    @property
    def label(self) -> str:
        """What people call it: "ReFT" or "LoRA"."""
        ...

    @property
    def strength(self) -> float:
        """Factor of what is added; 0 leaves the model as it is."""
        ...

    @property
    def made_for(self) -> str | None:
        """Folder or hub id of the model that it was trained on; None where nobody said."""
        ...

    @property
    def parameter_count(self) -> int:
        """Number of trained parameters."""
        ...

    @property
    def content(self) -> str:
        """Hash of all that it adds at strength 1."""
        ...

    def describe(self) -> dict[str, Any]:
        """Returns what it is, in plain values, "types" among them."""
        ...

    def check(self, model: nn.Module) -> None:
        """Raises an error for a model that it does not fit.

        Raises:
            InputError: says what was wanted and what the model has.
        """
        ...

    def attached(self, model: nn.Module) -> AbstractContextManager[object]:
        """Returns a context in which the model has it; afterwards the model is as it was, bit for bit.

        Args:
            model: in eval mode, on its device; weights that were edited stay so.
        """
        ...


@dataclass(frozen=True)
class ReftAdapter:
    """Interventions as an adapter; see `Adapter`.

    Attributes:
        reft: the interventions.
        strength: factor of what they add to hidden states.
    """

    reft: Reft
    strength: float = 1.0
    label: ClassVar[str] = "ReFT"

    @property
    def made_for(self) -> str | None:
        """Folder or hub id of the model that they were trained on."""
        return self.reft.base.id

    @property
    def parameter_count(self) -> int:
        """Number of trained parameters."""
        return self.reft.parameter_count

    @property
    def content(self) -> str:
        """Hash of places, tokens, forms and parameters; not of the strength."""
        sites = [
            (asdict(place), asdict(slot), edit.method, edit.act_fn, edit.dtype)
            for place, slot, edit in self.reft.sites()
        ]
        return str(xxhash.xxh3_128_hexdigest((json.dumps(sites) + content_hash(self.reft)).encode()))

    def describe(self) -> dict[str, Any]:
        """Returns the interventions as their author said them."""
        said = self.reft.interventions
        return {"types": sorted({one.type for one in said}), "interventions": [one.describe() for one in said]}

    def check(self, model: nn.Module) -> None:
        """Raises an error for a model of another architecture."""
        self.reft.check(model)

    @contextmanager
    def attached(self, model: nn.Module) -> Iterator[None]:
        """Attaches the interventions in eval mode."""
        training = self.reft.training
        self.reft.eval()
        try:
            with self.reft.attached(model, self.strength):
                yield
        finally:
            self.reft.train(training)


def load_adapter(path: str | Path, strength: float = 1.0) -> Adapter:
    """Returns the adapter of a folder.

    Args:
        path: what `save_reft` wrote, or PEFT for a LoRA.
        strength: factor of what it adds, finite.

    Raises:
        InputError: no such folder, one of another kind, a broken one.
    """
    folder = Path(path).expanduser()
    if not folder.exists():
        raise InputError(f"no folder {folder}: give one that train.py task=reft wrote, or PEFT for a LoRA")
    if (folder / LORA).is_file():
        return read_lora(folder, strength)
    if is_classifier(folder):
        raise InputError(
            f"{folder} is a classifier's: interventions with a head, which evaluate.py does not score; its "
            "training.json has GLUE's metrics, and load_classifier of laser_lit reads it"
        )
    return ReftAdapter(load_reft(folder), strength)
