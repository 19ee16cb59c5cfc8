"""Labelled texts for classifiers: rows of a training, its loss, and what a classifier says to them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, mse_loss

from laser_lit.data.example import Example, ExampleSet
from laser_lit.lit.finetune import Batch, CausalLMModule
from laser_lit.lit.finetuning import REFT
from laser_lit.lit.trainees import Trainee
from laser_lit.lit.training_checkpoint import saved_weights
from laser_lit.lit.windows import Rows
from laser_lit.models.classifier import Classifier
from laser_lit.reft.head import save_head
from laser_lit.reft.intervention import Intervention
from laser_lit.reft.reft import Reft
from laser_lit.scoring.batches import pad_token
from laser_lit.scoring.inputs import input_device

SEGMENTS = "token_type_ids"


@dataclass(frozen=True)
class Text:
    """One text, or pair of texts, as token ids with its label.

    Attributes:
        ids: token ids, special ones included.
        label: number of the label, or the score.
        segments: which text of a pair each token belongs to; empty where the model is not told.
    """

    ids: tuple[int, ...]
    label: float
    segments: tuple[int, ...] = ()


@dataclass(frozen=True)
class TextRows:
    """Labelled texts as rows of a training.

    Attributes:
        texts: the rows.
        pad_id: id of the padding, which is never attended to.
        scores: whether labels are scores.
    """

    texts: tuple[Text, ...]
    pad_id: int
    scores: bool

    def __len__(self) -> int:
        return len(self.texts)

    def batch(self, rows: Sequence[int]) -> Batch:
        """Returns some texts, padded on the right; `labels` (batch,) are whole numbers, or floats where scores."""
        chosen = [self.texts[row] for row in rows]
        ids = torch.full((len(chosen), max(len(text.ids) for text in chosen)), self.pad_id)  # (batch, length)
        mask, segments = torch.zeros_like(ids), torch.zeros_like(ids)
        for row, text in enumerate(chosen):
            ids[row, : len(text.ids)] = torch.tensor(text.ids)
            mask[row, : len(text.ids)] = 1
            segments[row, : len(text.segments)] = torch.tensor(text.segments, dtype=torch.long)
        labels = torch.tensor([text.label for text in chosen], dtype=torch.float32 if self.scores else torch.long)
        more = {SEGMENTS: segments} if chosen[0].segments else {}
        return {"input_ids": ids, "attention_mask": mask, **more, "labels": labels}


@dataclass(frozen=True)
class Texts:
    """What a classifier is trained on and judged by.

    Attributes:
        train: trained on.
        held_out: looked at now and then, to choose by.
        validation: looked at once, at the end.
        pad_id: id of the padding.
        scores: whether labels are scores.
    """

    train: tuple[Text, ...]
    held_out: tuple[Text, ...]
    validation: tuple[Text, ...]
    pad_id: int
    scores: bool

    @property
    def counts(self) -> dict[str, int]:
        """How many there are of each."""
        return {"train": len(self.train), "held_out": len(self.held_out), "validation": len(self.validation)}

    @property
    def rows(self) -> tuple[Rows, Rows]:
        """What is trained on, and what is held out."""
        return self.rows_of(self.train), self.rows_of(self.held_out)

    def rows_of(self, texts: tuple[Text, ...]) -> TextRows:
        """Returns some texts as rows."""
        return TextRows(texts, self.pad_id, self.scores)


def labelled_texts(
    examples: ExampleSet, parts: Sequence[Sequence[int]], tokenizer: Any, model: Any, max_length: int | None
) -> Texts:
    """Returns the texts of a data set as token ids with their labels.

    Args:
        examples: scored by "label".
        parts: numbers of the examples to train on, to hold out, and to judge by.
        tokenizer: the model's; it joins pairs and cuts the longer text of one.
        model: the classifier, which is told of segments where it has them.
        max_length: tokens of a text or pair; None: no limit.
    """
    segmented = getattr(model.config, "type_vocab_size", 0) > 1 and SEGMENTS in tokenizer.model_input_names

    def text(number: int) -> Text:
        example = examples.examples[number]
        given = tokenizer(example.prompt, example.second, truncation=max_length is not None, max_length=max_length)
        return Text(tuple(given["input_ids"]), _label(example), tuple(given[SEGMENTS]) if segmented else ())

    train, held_out, validation = (tuple(map(text, part)) for part in parts)
    return Texts(train, held_out, validation, pad_token(tokenizer), not examples.examples[0].choices)


def _label(example: Example) -> float:
    return example.choices.index(example.answer) if example.choices else float(example.answer)


class ClassifierModule(CausalLMModule):
    """Training of a classifier of texts; rows are those of `TextRows`."""

    def loss(self, batch: Batch) -> Tensor:
        """Returns the mean log loss (nats) of the labels, or the mean squared error of scores."""
        logits = self.model(**{name: tensor for name, tensor in batch.items() if name != "labels"}).logits.float()
        labels = batch["labels"]  # (batch,)
        return mse_loss(logits[:, 0], labels) if labels.is_floating_point() else cross_entropy(logits, labels)

    def count(self, batch: Batch) -> Tensor:
        """Returns how many texts a batch holds."""
        return torch.tensor(len(batch["labels"]), device=batch["labels"].device)


@torch.no_grad()
def predict(model: Any, rows: TextRows, size: int) -> np.ndarray:
    """Returns the number of the label that a classifier gives to each text, or the score: (n,).

    Args:
        model: in eval mode, with its interventions attached.
        rows: the texts.
        size: texts a batch.
    """
    said, device = [np.empty(0)], input_device(model)
    for begin in range(0, len(rows), size):
        batch = rows.batch(range(begin, min(begin + size, len(rows))))
        inputs = {name: tensor.to(device) for name, tensor in batch.items() if name != "labels"}
        logits = model(**inputs).logits.float()  # (batch, labels)
        said.append((logits[:, 0] if rows.scores else logits.argmax(-1)).cpu().numpy())
    return np.concatenate(said).astype(np.float64)


@dataclass(frozen=True)
class ClassifierTrainee(Trainee):
    """A frozen base with the interventions and the head that train.

    Attributes:
        classifier: base and head.
        said: what the head's config says besides its labels.
    """

    reft: Reft
    classifier: Classifier
    said: Mapping[str, Any]

    @property
    def parameters(self) -> int:
        """Number of parameters that train: of the interventions and of the head."""
        return self.reft.parameter_count + self.head_parameters

    @property
    def head_parameters(self) -> int:
        """Number of the head's parameters."""
        return sum(weight.numel() for weight in self.classifier.parameters.values())

    def take(self, checkpoint: Path) -> None:
        """Copies in what a training's checkpoint holds."""
        self.reft.load_state_dict(saved_weights(checkpoint, REFT))
        head, saved = self.classifier.parameters, saved_weights(checkpoint)
        with torch.no_grad():
            for name, weight in head.items():
                weight.copy_(saved[name])

    def save(self, folder: Path) -> None:
        """Writes the folder that `load_classifier` reads."""
        super().save(folder)
        save_head(folder, self.classifier, self.said)


def make_classifier(
    classifier: Classifier, interventions: Sequence[Intervention], seed: int, id: str, revision: str | None, **said: Any
) -> ClassifierTrainee:
    """Returns a base that is frozen here, with interventions and a head that are not.

    Args:
        classifier: base and head.
        interventions: at least one.
        seed: of their parameters.
        id: the base's folder or hub id.
        revision: its commit on the hub.
        said: what the head's config is to say.

    Raises:
        InputError: places that the model does not have.
    """
    model = classifier.model.requires_grad_(False)
    reft = Reft.on(model, interventions, seed=seed, id=id, revision=revision)
    for weight in classifier.parameters.values():
        weight.requires_grad_()
    total = sum(parameter.numel() for parameter in model.parameters())
    return ClassifierTrainee(model, reft, total, classifier, said)
