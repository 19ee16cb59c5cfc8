"""A model as a classifier of texts: a base from a folder or the hub, with a head that its checkpoint may lack."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoConfig, AutoModelForSequenceClassification, PreTrainedModel, PreTrainedTokenizerBase
from transformers.models.auto.modeling_auto import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES

from laser_lit.errors import InputError
from laser_lit.models.factored import read_factored
from laser_lit.models.load import HARMLESS, refuse_quantized_config
from laser_lit.models.source import Source, find_source

_POOLER = re.compile(r"(^|\.)pooler\.")


@dataclass(frozen=True)
class Classifier:
    """A classifier of texts, in eval mode and float32.

    Attributes:
        model: gives a logit a label, or one number where there are no labels.
        labels: names of the labels in the order of their numbers; empty where texts have a score.
        head: names of the parameters that stand on top of the base, or that its checkpoint lacks.
    """

    model: PreTrainedModel
    labels: tuple[str, ...]
    head: tuple[str, ...]

    @property
    def parameters(self) -> dict[str, nn.Parameter]:
        """The head's parameters by name."""
        named = dict(self.model.named_parameters())
        return {name: named[name] for name in self.head}

    def pad_with(self, tokenizer: PreTrainedTokenizerBase) -> None:
        """Tells the model what its padding is: one that reads from the left looks at the last token before it."""
        self.model.config.pad_token_id = tokenizer.pad_token_id


def load_classifier_weights(
    path_or_id: str | Path,
    labels: Sequence[str],
    *,
    seed: int = 0,
    revision: str | None = None,
    trust_remote_code: bool = False,
) -> Classifier:
    """Returns a base with a classifier's head: of random weights where the checkpoint has none of this shape.

    Args:
        path_or_id: folder, or an id of the hub: a base, a language model or a classifier.
        labels: names of the labels; empty for a score.
        seed: of the random weights.
        revision: commit, tag or branch of the hub's repository.
        trust_remote_code: whether code that comes with the model may run.

    Raises:
        InputError: no such model, of a kind that classifies no texts, or with broken or incomplete files.
    """
    source = find_source(path_or_id, revision, trust_remote_code)
    config = _config(source, labels)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model, info = source.load(
            AutoModelForSequenceClassification.from_pretrained,
            config=config,
            dtype=torch.float32,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
        )
    return Classifier(model.eval(), tuple(labels), _head(source.where, model, info))


def _config(source: Source, labels: Sequence[str]) -> Any:
    """Returns the config of a checkpoint with the labels, having checked that transformers has such a classifier."""
    if read_factored(source) is not None:
        raise InputError(f"{source.where} is a factored export, which takes no classifier's head; export it dense")
    config = source.load(AutoConfig.from_pretrained)
    refuse_quantized_config(source.where, config)
    own = "AutoModelForSequenceClassification" in (getattr(config, "auto_map", None) or {})
    known = own or config.model_type in MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES
    if not known or getattr(config, "is_encoder_decoder", False):
        why = "encoder-decoders are not trained as such" if known else "transformers has no such head for it"
        raise InputError(f"{source.where} ({config.model_type}) cannot be a classifier of texts: {why}")
    names = list(labels) or ["score"]
    config.id2label, config.label2id = dict(enumerate(names)), {name: i for i, name in enumerate(names)}
    config.problem_type = "single_label_classification" if labels else "regression"
    config.use_cache = False
    return config


def _head(where: str, model: PreTrainedModel, info: dict[str, Any]) -> tuple[str, ...]:
    """Returns the names of the head's parameters, having checked that nothing else is random."""
    base = f"{model.base_model_prefix}."
    new = {*info["missing_keys"], *(str(entry[0]) for entry in info["mismatched_keys"])}
    random = sorted(name for name in new if name.startswith(base) and not _POOLER.search(name))
    left = sorted(name for name in info["unexpected_keys"] if name.startswith(base) and not HARMLESS.search(name))
    for names, what in ((random, "lacks weights, or has them in other shapes,"), (left, "has weights not used")):
        if names:
            more = f" and {len(names) - 5} more" if len(names) > 5 else ""
            raise InputError(
                f"{where} {what} as {type(model).__name__}: {', '.join(names[:5])}{more}; is it a checkpoint of "
                "another kind of model, or does config.json not belong to it?"
            )
    return tuple(name for name, _ in model.named_parameters() if name in new or not name.startswith(base))
