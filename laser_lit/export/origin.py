"""What an edited model was made from, and the files beside its weights that go with it."""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from transformers import PreTrainedModel
from transformers.utils import CHAT_TEMPLATE_DIR, cached_file

from laser_lit.models.hub import is_hub_id

CARD = "README.md"
WEIGHTS = "model*.safetensors"
_LEFT = (
    r"config\.json|README\.md|stack\.yaml|\..*|.*\.(safetensors|h5|msgpack|onnx|gguf|pt|pth|ckpt|ot|npz)|.*\.index.*\.json"
    r"|(pytorch_model|adapter_model|model|optimizer|scheduler|training_args|consolidated).*\.bin"
)
"""Weights of any format, and what an export writes itself."""
_FRONT = ("base_model", "license", "license_name", "license_link", "language", "datasets", "pipeline_tag")
"""What stays true of the card of the model that was edited."""


@dataclass(frozen=True)
class Origin:
    """The model that was edited, and how.

    Attributes:
        id: what the card calls it.
        folder: where its files are; None for a model that was made in memory.
        revision: commit on the hub.
        on_hub: whether `id` is an id of the hub.
        command: what was typed.
        provenance: where the edits come from, in words.
    """

    id: str
    folder: Path | None = None
    revision: str | None = None
    on_hub: bool = False
    command: str | None = None
    provenance: str | None = None

    @classmethod
    def at(cls, where: str | Path, revision: str | None = None, **about: Any) -> "Origin":
        """Returns the origin of a folder or an id of the hub whose files are in the cache.

        Args:
            where: folder or id.
            revision: commit, tag or branch on the hub.
            about: command and provenance.
        """
        folder = Path(where).expanduser()
        if folder.is_dir():
            return cls(folder.resolve().name, folder, **about)
        if not is_hub_id(str(where)):  # a folder that has gone, or a name that someone gave
            return cls(folder.name, **about)
        missing = {"_raise_exceptions_for_missing_entries": False}
        found = cached_file(str(where), "config.json", revision=revision, local_files_only=True, **missing)
        return cls(str(where), Path(found).parent if found else None, revision, True, **about)

    @classmethod
    def of(cls, model: PreTrainedModel) -> "Origin":
        """Returns where from_pretrained found a model; an origin without a folder for one that was made in memory."""
        return cls.at(model.name_or_path) if model.name_or_path else cls(type(model).__name__)

    def largest_file(self) -> int | None:
        """Returns the size in bytes of the largest weight file of a checkpoint in several; None for other ones."""
        sizes = [file.stat().st_size for file in self.folder.glob(WEIGHTS)] if self.folder else []
        return max(sizes) if len(sizes) > 1 else None

    def copy_to(self, folder: Path) -> list[str]:
        """Returns the names of the files that were copied: tokenizer, generation config, licence, …, none changed.

        Args:
            folder: where to.
        """
        if self.folder is None:
            return []
        beside = sorted(file for file in self.folder.iterdir() if file.is_file())
        kept = [file.name for file in beside if not re.fullmatch(_LEFT, file.name)]
        templates = sorted(self.folder.glob(f"{CHAT_TEMPLATE_DIR}/*.jinja"))
        kept += [str(file.relative_to(self.folder)) for file in templates]
        for name in kept:
            (folder / name).parent.mkdir(exist_ok=True)
            shutil.copyfile(self.folder / name, folder / name)
        return kept

    def front_matter(self) -> dict[str, Any]:
        """Returns what the origin's own card says of licence and language."""
        card = None if self.folder is None else self.folder / CARD
        if card is None or not card.is_file():
            return {}
        match = re.match(r"---\n(.*?)\n---", card.read_text(encoding="utf-8", errors="replace"), re.DOTALL)
        try:
            content = yaml.safe_load(match[1]) if match else None
        except yaml.YAMLError:
            return {}
        return {key: content[key] for key in _FRONT if key in content} if isinstance(content, dict) else {}
