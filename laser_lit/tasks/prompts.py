"""A language model on free prompts, under any edits: what it says to them, beside what the base says."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig
from torch import Tensor

from laser_lit.data.prompts import Prompt
from laser_lit.data.tokenized import chat_turn
from laser_lit.edits.stack import Stack
from laser_lit.errors import InputError
from laser_lit.lit.trainer import device_name, make_trainer
from laser_lit.models.content import content_hash
from laser_lit.reft.adapter import Adapter
from laser_lit.results.side_by_side import BASE, Asked, Reply, Token
from laser_lit.scoring.batches import pad_token
from laser_lit.scoring.inputs import context_length, model_kind
from laser_lit.scoring.said import Said, causal_ids, masked_ids, said_by
from laser_lit.scoring.text import common_length, continued, token_text
from laser_lit.tasks.configured_model import configured_model
from laser_lit.tasks.language import model_id

NEW_TOKENS = 20
"""Tokens of a continuation where nobody says how many."""
ANSWER_TOKENS = 2
"""The same for the built-in model: the answer and the full stop, behind which it has only ever seen padding."""
MOST_LOGITS = 2**27
"""Most logits of the base that are held at a time (512 MB); more prompts are asked in pieces."""


@dataclass(frozen=True)
class Variant:
    """A way in which the model is asked.

    Attributes:
        name: "base", "LASER", "ReFT", "LASER + ReFT" and so on.
        stack: edits of weights; None for none.
        adapter: what is attached besides; None for nothing.
    """

    name: str
    stack: Stack | None = None
    adapter: Adapter | None = None


def variants(stack: Stack | None, adapter: Adapter | None) -> tuple[Variant, ...]:
    """Returns the base, each alone and both together, as far as they are given.

    Args:
        stack: edits of weights.
        adapter: interventions or a LoRA.
    """
    found = [Variant(BASE)]
    if stack is not None:
        found.append(Variant("LASER", stack))
    if adapter is not None:
        found.append(Variant(adapter.label, None, adapter))
    if stack is not None and adapter is not None:
        found.append(Variant(f"LASER + {adapter.label}", stack, adapter))
    return tuple(found)


class PromptTask:
    """Puts prompts to a causal or masked language model, which stays as it is."""

    def __init__(self, config: DictConfig, prompts: Sequence[Prompt]) -> None:
        """Loads the model and tokenizes the prompts.

        Args:
            config: an evaluation config; of its model, `path` must be set.
            prompts: at least one.

        Raises:
            InputError: a prompt that does not fit the model, or a model that cannot be asked.
        """
        trainer = make_trainer(config.trainer)
        self.model, self.tokenizer, self.matrices = configured_model(config.model)
        self.kind = model_kind(self.model)
        self.prompts = tuple(prompts)
        self._config = config
        self._ids = [self._tokens(prompt.text) for prompt in self.prompts]
        self.max_new_tokens = self._room()
        if not hasattr(self.model, "hf_device_map"):
            self.model.to(trainer.strategy.root_device)
        self.device = device_name(trainer.strategy.root_device)

    def ask(self, asked: Sequence[Variant]) -> list[Asked]:
        """Returns every prompt with what each variant says; weights and hooks are as they were afterwards.

        Args:
            asked: the base first.

        Raises:
            InputError: edits that the model cannot have, no memory, or logits that are no numbers.
        """
        size = max(1, MOST_LOGITS // int(self.model.config.get_text_config().vocab_size))
        places = range(len(self.prompts))
        return [found for start in places[::size] for found in self._piece(places[start : start + size], asked)]

    def describe(self) -> dict[str, Any]:
        """Returns the record's entry "model"."""
        model = self._config.model
        return {
            "id": model_id(model),
            "revision": None if Path(model.path).exists() else model.revision,
            "content": content_hash(self.model),
            "dtype": str(self.model.dtype).removeprefix("torch."),
            "parameters": self.model.num_parameters(),
            "architecture": self.matrices.architecture,
        }

    def _tokens(self, text: str) -> tuple[int, ...]:
        turn = self._config.compare.chat_template
        if self.kind == "causal":
            given = chat_turn(text, self.tokenizer, "compare") if turn else text
            return causal_ids(given, self.tokenizer, turn)
        if turn:
            raise InputError("compare.chat_template=true: a masked model fills masks and takes no turns; leave it out")
        return masked_ids(text, self.tokenizer)

    def _room(self) -> int:
        """Returns the length of continuations; 0 for a masked model."""
        typed, limit = self._config.compare.max_new_tokens, context_length(self.model)
        least = 0 if self.kind == "masked" else typed or 1
        longest = max(len(ids) for ids in self._ids)
        if limit is not None and longest + least > limit:
            number = next(n for n, ids in enumerate(self._ids) if len(ids) + least > limit)
            text, n = self.prompts[number].text, len(self._ids[number])
            start = text if len(text) <= 40 else text[:40] + "…"
            beside = f", compare.max_new_tokens={typed} come behind it" if typed and least else ""
            raise InputError(
                f"prompt {number + 1} ({start!r}) has {n} tokens{beside}, and the model takes {limit} in all: "
                "shorten it" + (", or ask for fewer new tokens" if beside else "")
            )
        if self.kind == "masked":
            return 0
        usual = NEW_TOKENS if self._config.model.facts is None else ANSWER_TOKENS
        return typed or (usual if limit is None else min(usual, limit - longest))

    def _piece(self, places: range, asked: Sequence[Variant]) -> Iterator[Asked]:
        """Yields some of the prompts with every reply, from one pass a variant."""
        base = self._said(places, asked[0])
        replies = [[self._reply(*row) for row in zip(places, base, base, strict=True)]]
        for variant in asked[1:]:
            said = self._said(places, variant)
            replies.append([self._reply(*row) for row in zip(places, said, base, strict=True)])
        names = [variant.name for variant in asked]
        for place, row in zip(places, zip(*replies, strict=True), strict=True):
            prompt = self.prompts[place]
            yield Asked(prompt.text, prompt.answer, len(self._ids[place]), dict(zip(names, row, strict=True)))

    def _said(self, places: range, variant: Variant) -> list[Said]:
        config = self._config
        try:
            with self._edited(variant):
                return said_by(
                    self.model,
                    [self._ids[place] for place in places],
                    mask_id=self.tokenizer.mask_token_id if self.kind == "masked" else None,
                    max_new_tokens=self.max_new_tokens,
                    pad_id=pad_token(self.tokenizer),
                    batch_size=config.batch_size,
                )
        except torch.OutOfMemoryError as error:
            raise InputError(
                f"batch_size {config.batch_size}: the {self.device} is out of memory; give less, or "
                "model.dtype=float16, or model.device_map=auto with several GPUs"
            ) from error

    @contextmanager
    def _edited(self, variant: Variant) -> Iterator[None]:
        with ExitStack() as context:
            if variant.stack is not None:
                context.enter_context(variant.stack.applied(self.matrices))
            if variant.adapter is not None:
                context.enter_context(variant.adapter.attached(self.model))
            yield

    def _reply(self, place: int, said: Said, base: Said) -> Reply:
        p, q = (one.logits.double().log_softmax(-1) for one in (base, said))  # (vocabulary,)
        same = self._text(place, said.ids[: common_length(said.ids, base.ids)])
        text, original = self._text(place, said.ids), self._text(place, base.ids)
        common = min(common_length(text, original), common_length(text, same))
        found = q.exp().topk(min(self._config.compare.top, len(q)))
        top = [
            Token(token_text(self.tokenizer, token), float(q[token].exp()), float(p[token].exp()))
            for token in found.indices.tolist()
        ]
        ended = self.kind == "causal" and len(said.ids) < self.max_new_tokens
        return Reply(text, common, said.ids != base.ids, ended, _kl(p, q), tuple(top))

    def _text(self, place: int, ids: tuple[int, ...]) -> str:
        if self.kind == "masked":
            return continued(self.tokenizer, (), ids).strip()
        return continued(self.tokenizer, self._ids[place], ids)


def _kl(p: Tensor, q: Tensor) -> float | None:
    """Returns KL(p‖q) in nats from log probs (vocabulary,); None where it is infinite."""
    likely = p > -torch.inf
    kl = float((p[likely].exp() * (p[likely] - q[likely])).sum().clamp(min=0.0))  # rounding can make it negative
    return kl if kl < float("inf") else None
