"""ReFT's interventions beside pyreft's arithmetic, beside bare hooks, and beside the model without them.

    python benchmarks/reft.py

An intervention alone: forward and backward of 128 tokens of size 4096, rank 8. householder is LoReFT with the R of
`torch.nn.utils.parametrizations.orthogonal`, built twice a forward as pyreft does; loreft and noreft are ours.

A training step: forward, backward and AdamW on a Llama of size 512 with 8 layers, LoReFT of rank 8 at the first and
the last prompt token of every layer, 8 sequences of 128 tokens. ours is a `Reft` attached, and `next_token_loss` with
a batch as `laser_lit.lit.pairs` makes it; bare is the same mathematics and the same loss by plain hooks with indices
that are known beforehand and R by a Cholesky factor; none is the model with nothing attached and nothing to update,
its gradients taken back as far as the others' (the floor).

Generation: greedy, with interventions attached and without.

One thread, CPU seconds, one of each side in turn, the median of the rounds' ratios; sides that compute the same are
checked to be equal. The last line is a JSON object:
    speedup_vs_householder, ratio_to_noreft   householder over loreft, loreft over noreft
    step_vs_hook, step_vs_none, hook_vs_none  ours over bare, ours over none, bare over none
    generate_vs_plain                         with interventions over without
    prompts, prompt_tokens, new_tokens        of a generation
"""

import json
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM

from laser_lit.lit.finetune import PROMPT, Batch, next_token_loss
from laser_lit.lit.pairs import Pair, PairRows
from laser_lit.reft.intervention import Intervention
from laser_lit.reft.methods import LowRankIntervention
from laser_lit.reft.reft import Reft

SIZE, TOKENS, RANK = 4096, 128, 8
WIDTH, LAYERS, VOCABULARY, BATCH, LENGTH, PROMPT_LENGTH = 512, 8, 4096, 8, 128, 96
PROMPTS, PROMPT_TOKENS, NEW_TOKENS = 8, 64, 64
Seconds = dict[str, list[float]]
Attached = Callable[[], AbstractContextManager[object]]


class Householder(nn.Module):
    """LoReFT with R as pyreft has it: a parametrized weight, which every look at it builds anew."""

    def __init__(self, ours: LowRankIntervention) -> None:
        """Takes the parameters of an intervention of ours."""
        super().__init__()
        self.source = source_of(ours)
        self.rotation = nn.Linear(RANK, SIZE, bias=False)
        torch.nn.utils.parametrizations.orthogonal(self.rotation, orthogonal_map="householder")
        self.rotation.weight = ours.directions().detach()  # (d, r), by right_inverse

    def forward(self, h: Tensor) -> Tensor:
        """Returns edited states; h (n, d)."""
        rotated = h @ self.rotation.weight
        return h + (self.source(h) - rotated) @ self.rotation.weight.mT


class Bare(nn.Module):
    """The interventions of a Reft by plain hooks on a model's blocks, at rows that are known beforehand."""

    def __init__(self, reft: Reft, rows: Tensor) -> None:
        """Takes the parameters.

        Args:
            reft: one LoReFT a block.
            rows: of the flattened tokens, in every pass.
        """
        super().__init__()
        edits = [edit for _, _, edit in reft.sites()]
        self.basis = nn.ParameterList([edit.directions().detach().clone() for edit in edits])  # (d, r) each
        self.source = nn.ModuleList([source_of(edit) for edit in edits])
        self.rows = rows

    def edited(self, number: int, states: Tensor) -> Tensor:
        """Returns the states that a block gives, edited; (batch, length, d)."""
        M, flat = self.basis[number], states.flatten(0, 1)
        L = torch.linalg.cholesky(M.mT @ M)
        R = torch.linalg.solve_triangular(L.mT, M, upper=True, left=False)  # (d, r)
        h = flat.index_select(0, self.rows)  # (n, d)
        new = h + (self.source[number](h) - h @ R) @ R.mT
        return flat.index_copy(0, self.rows, new).view_as(states)

    @contextmanager
    def attached(self, model: LlamaForCausalLM) -> Iterator[None]:
        """Has the model's blocks give edited states inside the context."""

        def hook(number: int) -> Callable[..., Tensor]:
            return lambda module, args, output: self.edited(number, output)

        handles = [block.register_forward_hook(hook(number)) for number, block in enumerate(model.model.layers)]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()


def source_of(edit: LowRankIntervention) -> nn.Linear:
    """Returns a copy of an intervention's W and b."""
    source = nn.Linear(edit.size, edit.rank)
    source.load_state_dict(edit.get_submodule("source").state_dict())
    return source


def rounds(work: Mapping[str, Callable[[], Any]], count: int, within: Mapping[str, Attached] | None = None) -> Seconds:
    """Returns CPU seconds of each piece of work, one of each in turn, each round beginning with another.

    Args:
        work: the sides.
        count: rounds that count; one before them warms up.
        within: what to enter, outside of the time, around a side's work.
    """
    seconds: Seconds = {name: [] for name in work}
    for number in range(count + 1):
        names = list(work)
        for name in names[number % len(names) :] + names[: number % len(names)]:
            with within[name]() if within else nullcontext():
                start = time.process_time()
                work[name]()
                spent = time.process_time() - start
            if number:
                seconds[name].append(spent)
    return seconds


def ratio(seconds: Seconds, one: str, other: str) -> float:
    """Returns the median of the rounds' ratios of one side's seconds to another's."""
    return statistics.median(a / b for a, b in zip(seconds[one], seconds[other], strict=True))


def tell(what: str, seconds: Seconds) -> None:
    """Prints the sides' medians in ms."""
    print(f"{what}, ms: " + ", ".join(f"{name} {statistics.median(t) * 1e3:.2f}" for name, t in seconds.items()))


def check(what: str, ours: Tensor, theirs: Tensor) -> None:
    """Raises an error where two sides that should compute the same do not."""
    if not torch.allclose(ours, theirs, rtol=1e-4, atol=1e-4):
        raise RuntimeError(f"{what} differs by {float((ours - theirs).abs().max()):.1e}")


def alone() -> dict[str, float]:
    """Returns the figures of one intervention without a model."""
    generator = torch.Generator().manual_seed(0)
    ours, free = (LowRankIntervention(name, SIZE, RANK, generator=generator) for name in ("loreft", "noreft"))
    theirs = Householder(ours)
    h = torch.randn(TOKENS, SIZE, generator=generator).requires_grad_()
    gradient = torch.randn(TOKENS, SIZE, generator=generator)

    def steps(module: nn.Module, count: int) -> None:
        for _ in range(count):
            module.zero_grad()
            h.grad = None
            module(h).backward(gradient)

    check("the edited states", ours(h), theirs(h))
    check("their gradient", *(torch.autograd.grad(module(h), h, gradient)[0] for module in (ours, theirs)))
    many = 20
    work = {
        "householder": lambda: steps(theirs, 1),
        "loreft": lambda: steps(ours, many),
        "noreft": lambda: steps(free, many),
    }
    seconds = rounds(work, 5)
    for name in ("loreft", "noreft"):
        seconds[name] = [spent / many for spent in seconds[name]]
    tell(f"an intervention, {TOKENS} tokens of size {SIZE}", seconds)
    return {
        "speedup_vs_householder": ratio(seconds, "householder", "loreft"),
        "ratio_to_noreft": ratio(seconds, "loreft", "noreft"),
    }


def llama() -> LlamaForCausalLM:
    """Returns a frozen model of random weights."""
    torch.manual_seed(0)
    config = LlamaConfig(
        hidden_size=WIDTH,
        intermediate_size=1376,
        num_hidden_layers=LAYERS,
        num_attention_heads=8,
        vocab_size=VOCABULARY,
        eos_token_id=None,
    )
    return LlamaForCausalLM(config).eval().requires_grad_(False)


def training_batch() -> tuple[Batch, Tensor]:
    """Returns prompts with answers, and the rows of their first and last prompt tokens among all that are fed."""
    ids = torch.randint(1, VOCABULARY, (BATCH, LENGTH + 1)).tolist()  # the last token is only predicted
    pairs = tuple(Pair(tuple(row[:PROMPT_LENGTH]), tuple(row[PROMPT_LENGTH:])) for row in ids)
    begins = torch.arange(BATCH)[:, None] * LENGTH
    rows = (begins + torch.tensor([0, PROMPT_LENGTH - 1])).flatten()  # (2 · batch,)
    return PairRows(pairs, pad_id=0).batch(range(BATCH)), rows


@contextmanager
def nothing(model: LlamaForCausalLM) -> Iterator[None]:
    """Has gradients go back to what the first block gives inside the context, and changes nothing."""
    handle = model.model.layers[0].register_forward_hook(lambda module, args, output: output.requires_grad_())
    try:
        yield
    finally:
        handle.remove()


def training(model: LlamaForCausalLM, reft: Reft) -> dict[str, float]:
    """Returns the figures of a training step."""
    batch, rows = training_batch()
    plain = {name: tensor for name, tensor in batch.items() if name != PROMPT}
    bare, none = Bare(reft.train(), rows), nn.Linear(1, 1)
    optimizers = {name: optimizer(module) for name, module in {"ours": reft, "bare": bare, "none": none}.items()}

    def step(name: str) -> Tensor:
        optimizers[name].zero_grad()
        loss = next_token_loss(model, batch if name == "ours" else plain)
        loss.backward()
        optimizers[name].step()
        return loss.detach()

    within: dict[str, Attached] = {
        "ours": lambda: reft.attached(model),
        "bare": lambda: bare.attached(model),
        "none": lambda: nothing(model),
    }
    with reft.attached(model), torch.no_grad():
        ours = next_token_loss(model, batch)
    with bare.attached(model), torch.no_grad():
        check("the loss", ours, next_token_loss(model, plain))
    seconds = rounds({name: lambda name=name: step(name) for name in within}, 11, within)  # type: ignore[misc]
    tell(f"a training step, {BATCH} x {LENGTH} tokens", seconds)
    return {
        "step_vs_hook": ratio(seconds, "ours", "bare"),
        "step_vs_none": ratio(seconds, "ours", "none"),
        "hook_vs_none": ratio(seconds, "bare", "none"),
    }


def optimizer(module: nn.Module) -> torch.optim.Optimizer:
    """Returns AdamW as trainings have it."""
    return torch.optim.AdamW(module.parameters(), lr=1e-4, weight_decay=0.0, fused=True)


def generation(model: LlamaForCausalLM, reft: Reft) -> dict[str, float]:
    """Returns the figures of greedy generation."""
    ids = torch.randint(1, VOCABULARY, (PROMPTS, PROMPT_TOKENS))
    reft.eval()

    def generate() -> None:
        made = model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            min_new_tokens=NEW_TOKENS,
            max_new_tokens=NEW_TOKENS,
            pad_token_id=0,
        )
        if made.shape[1] != PROMPT_TOKENS + NEW_TOKENS:
            raise RuntimeError(f"{made.shape[1]} tokens")

    within: dict[str, Attached] = {"attached": lambda: reft.attached(model), "plain": nullcontext}
    seconds = rounds(dict.fromkeys(within, generate), 7, within)
    tell(f"{PROMPTS} prompts of {PROMPT_TOKENS} tokens, {NEW_TOKENS} new ones", seconds)
    sizes = {"prompts": PROMPTS, "prompt_tokens": PROMPT_TOKENS, "new_tokens": NEW_TOKENS}
    return {"generate_vs_plain": ratio(seconds, "attached", "plain"), **sizes}


def main() -> None:
    """Measures, and prints the figures."""
    torch.set_num_threads(1)
    figures = alone()
    model = llama()
    reft = Reft.on(model, [Intervention(layer="all", rank=RANK, positions="f1+l1")])
    figures |= training(model, reft) | generation(model, reft)
    print(json.dumps({name: round(value, 3) for name, value in figures.items()}))


if __name__ == "__main__":
    main()
