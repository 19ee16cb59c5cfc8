"""The folder of a classifier: interventions as `save_reft` writes them, with the head that trained with them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from laser_lit.errors import InputError
from laser_lit.models.classifier import Classifier, load_classifier_weights
from laser_lit.models.content import content_hash
from laser_lit.models.finite import is_finite
from laser_lit.models.load import load_tokenizer
from laser_lit.reft.reft import Reft
from laser_lit.reft.saving import CARD, load_reft

SCHEMA = 1
CONFIG, TENSORS = "head.json", "head.safetensors"
_USE = """
A classifier's head trained with them and lies beside them; training.json has the metrics.

```python
from laser_lit import load_classifier

model, tokenizer, reft = load_classifier("DIR")
with reft.attached(model):
    tokens = tokenizer("…", return_tensors="pt")
    print(model(**tokens).logits)
```
"""


def is_classifier(folder: Path) -> bool:
    """Returns whether a folder of interventions has a classifier's head beside them."""
    return (folder / CONFIG).is_file()


def save_head(folder: Path, classifier: Classifier, extra: Mapping[str, Any]) -> None:
    """Writes the head beside the interventions.

    Args:
        folder: that `save_reft` has written.
        classifier: as it was trained.
        extra: what else head.json says, in JSON's types.

    Raises:
        InputError: an entry of the head is not finite.
    """
    tensors = {name: weight.detach().cpu().contiguous() for name, weight in classifier.parameters.items()}
    for name, tensor in tensors.items():
        if not is_finite(tensor):
            raise InputError(f"{name} has entries that are not finite numbers (did the training diverge?)")
    content = {"schema": SCHEMA, "labels": list(classifier.labels), **extra, "content": content_hash(classifier.model)}
    save_file(tensors, folder / TENSORS)
    (folder / CONFIG).write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    card, use, _ = (folder / CARD).read_text(encoding="utf-8").partition("## Use\n")
    (folder / CARD).write_text(card + use + _USE, encoding="utf-8")


def load_classifier(
    path: str | Path, base: str | Path | None = None, *, trust_remote_code: bool = False
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase, Reft]:
    """Returns base and head as one model, its tokenizer, and the interventions, not yet attached; all in eval mode.

    Inside `with reft.attached(model):` the model predicts what it predicted at the end of the training, bit for bit.

    Args:
        path: the folder that `train.py task=reft` wrote for a classifier.
        base: where the base is now; None: where it was when it was trained.
        trust_remote_code: whether code that comes with the base may run.

    Raises:
        InputError: no such folder, a broken one, or a base of other weights than those trained on.
    """
    reft, folder = load_reft(path), Path(path).expanduser()
    if not is_classifier(folder):
        raise InputError(f"{folder} has no {CONFIG}: its interventions are a next-token model's; load_reft reads them")
    content = _parsed(folder / CONFIG)
    where = reft.base.id if base is None else base
    if where is None:
        raise InputError(f"{folder} does not say where its base is; give load_classifier(path, base)")
    source = {"revision": reft.base.revision if base is None else None, "trust_remote_code": trust_remote_code}
    tokenizer = load_tokenizer(where, **source)  # type: ignore[arg-type]
    classifier = load_classifier_weights(where, content["labels"], **source)  # type: ignore[arg-type]
    reft.check(classifier.model)
    classifier.pad_with(tokenizer)
    _fill(classifier, folder / TENSORS)
    if content_hash(classifier.model) != content["content"]:
        raise InputError(f"{where} has other weights than the base that {folder} was trained on; give that one")
    return classifier.model, tokenizer, reft


def _parsed(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"{file} is broken: not JSON ({error})") from error
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise InputError(f"{file} is none that this laser_lit reads: a mapping of schema {SCHEMA} is wanted")
    labels = content.get("labels")
    if not isinstance(labels, list) or not all(isinstance(name, str) for name in labels):
        raise InputError(f"{file}: labels must be a list of names, not {labels!r}")
    return content


def _fill(classifier: Classifier, file: Path) -> None:
    """Copies the head's tensors in, having checked that they are what is wanted."""
    try:
        tensors: dict[str, Tensor] = load_file(file)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{file} cannot be read: it is missing or broken ({error})") from error
    wanted = classifier.parameters
    found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    shapes = {name: tuple(weight.shape) for name, weight in wanted.items()}
    if found != shapes:
        raise InputError(f"{file} holds {found}, and the head of {type(classifier.model).__name__} is {shapes}")
    for name, weight in wanted.items():
        weight.data.copy_(tensors[name])
