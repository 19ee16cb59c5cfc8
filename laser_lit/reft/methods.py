"""What an intervention does to a hidden state: the six low-rank edits of ReFT.

h is (n, d), R (d, r) has orthonormal columns, W, W1 and W2 are (r, d), b is (r,), f the activation.

    LoReFT     h + (f(h Wᵀ + b) - h R) Rᵀ
    NoReFT     h + (f(h W1ᵀ + b) - (h W2ᵀ + b2)) W2
    ConsReFT   h + (b - h R) Rᵀ
    LobiReFT   h + b Rᵀ
    DiReFT     h + f(h Wᵀ + b) Rᵀ
    NodiReFT   h + f(h W1ᵀ + b) W2

Source: Wu et al. 2024, "ReFT: Representation Finetuning for Language Models" (arXiv 2404.03592), section 3.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.activations import ACT2FN

from laser_lit.errors import InputError, unknown_name
from laser_lit.reft.basis import OrthonormalBasis


@dataclass(frozen=True)
class Form:
    """What a type of intervention consists of.

    Attributes:
        basis: whether the output direction is an orthonormal R; else a free matrix W2.
        source: "linear" (f(h Wᵀ + b)) or "constant" (b).
        subtracts: whether what h has in the output direction is taken away.
    """

    basis: bool
    source: str
    subtracts: bool


FORMS = {
    "loreft": Form(basis=True, source="linear", subtracts=True),
    "noreft": Form(basis=False, source="linear", subtracts=True),
    "consreft": Form(basis=True, source="constant", subtracts=True),
    "lobireft": Form(basis=True, source="constant", subtracts=False),
    "direft": Form(basis=True, source="linear", subtracts=False),
    "nodireft": Form(basis=False, source="linear", subtracts=False),
}
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}

Delta = Callable[[Tensor], Tensor]
"""Returns what is added to states (n, d)."""


class LowRankIntervention(nn.Module):
    """One low-rank edit of hidden states, with its parameters.

    Attributes:
        method: its type, one of FORMS.
        basis: R, where the type has one.
        source: W and b (or W1 and b), where the type has them.
        projection: W2 and b2, where the type has them.
        constant: b (r,) of ConsReFT and LobiReFT.
    """

    def __init__(
        self,
        type: str,
        size: int,
        rank: int,
        *,
        act_fn: str = "linear",
        dropout: float = 0.0,
        dtype: str = "float32",
        bias: bool = True,
        generator: torch.Generator | None = None,
    ) -> None:
        """Makes random parameters: R uniform among bases, the others as `nn.Linear` begins.

        Args:
            type: one of FORMS.
            size: d, of the states.
            rank: r, in [1, d].
            act_fn: see `laser_lit.reft.intervention.Intervention`.
            dropout: see there.
            bias: see there.
            dtype: of the parameters, and of the arithmetic; R is computed in float32 first.
            generator: on the CPU; None takes torch's own.

        Raises:
            InputError: an unknown name or a number out of range.
        """
        super().__init__()
        check_method(type, rank, size, act_fn=act_fn, dropout=dropout, dtype=dtype, bias=bias)
        self.method, self.size, self.rank = type, size, rank
        self.act_fn, self.dropout, self.dtype, self.bias = act_fn, dropout, dtype, bias
        form = FORMS[type]
        if form.basis:
            self.basis = OrthonormalBasis(size, rank, generator)
        self.projection = None if form.basis else _linear(size, rank, bias and form.subtracts, generator)
        self.source = None if form.source == "constant" else _linear(size, rank, bias, generator)
        if self.source is None:
            self.constant = nn.Parameter(torch.rand(rank, generator=generator))
        self._act = None if act_fn == "linear" else ACT2FN[act_fn]
        self.to(DTYPES[dtype])

    def directions(self) -> Tensor:
        """Returns R as (d, r), or W2ᵀ, in the intervention's type."""
        if self.projection is not None:
            return self.projection.weight.mT
        return self.basis().to(self.basis.weight.dtype)

    def delta(self) -> Delta:
        """Returns what is added to states; the basis is computed here, once, however often that is called."""
        with torch.autocast(next(self.parameters()).device.type, enabled=False):
            return self._delta()

    def _delta(self) -> Delta:
        D = self.directions()  # (d, r)
        taken = D if FORMS[self.method].subtracts else None
        offset = None if self.projection is None else self.projection.bias
        if self.source is None:
            constant = self.constant
            return lambda h: (constant.expand(len(h), -1) if taken is None else constant - h @ taken) @ D.mT  # (n, d)
        weight, bias, act = self.source.weight, self.source.bias, self._act  # (r, d), (r,)
        if act is None and taken is not None:  # f(h Wᵀ + b) - (h R + b2) is one product
            weight, bias = weight - taken.mT, bias if offset is None else bias - offset  # type: ignore[assignment]
        if act is None:
            return lambda h: functional.linear(h, weight, bias) @ D.mT  # (n, d)
        if taken is None:
            return lambda h: act(functional.linear(h, weight, bias)) @ D.mT  # (n, d)
        return lambda h: (act(functional.linear(h, weight, bias)) - functional.linear(h, taken.mT, offset)) @ D.mT

    def apply_delta(self, h: Tensor, delta: Delta, strength: float = 1.0) -> Tensor:
        """Returns edited states in the type of the given ones.

        Args:
            h: (n, d), any floating type.
            delta: what `delta` returned in this pass.
            strength: factor of what is added; 0 leaves the states as they are, bit for bit.
        """
        if strength == 0:
            return h
        with torch.autocast(h.device.type, enabled=False):
            added = delta(h.to(next(self.parameters()).dtype))
            edited = h + (added if strength == 1 else strength * added)  # in the finer type of both
            return functional.dropout(edited, self.dropout, self.training).to(h.dtype)

    def forward(self, h: Tensor) -> Tensor:
        """Returns edited states; h (…, d)."""
        return self.apply_delta(h.reshape(-1, self.size), self.delta()).view(h.shape)


def check_method(
    type: str,
    rank: int,
    size: int | None = None,
    *,
    act_fn: str = "linear",
    dropout: float = 0.0,
    dtype: str = "float32",
    bias: bool = True,
) -> None:
    """Raises an error for settings of an intervention that cannot be meant; see `LowRankIntervention`."""
    if type not in FORMS:
        raise unknown_name("type of intervention", type, FORMS)
    if isinstance(rank, bool) or not isinstance(rank, int) or rank < 1:
        raise InputError(f"rank {rank!r}: must be a whole number, at least 1")
    if size is not None and rank > size:
        raise InputError(f"rank {rank}: must lie in [1, {size}], the size of the states")
    if act_fn != "linear" and act_fn not in ACT2FN:
        raise unknown_name("act_fn", act_fn, ("linear", *ACT2FN))
    if act_fn != "linear" and FORMS[type].source == "constant":
        raise InputError(f"act_fn {act_fn!r}: {type} has no linear source that it could act on; leave it out")
    if not 0 <= dropout < 1:
        raise InputError(f"dropout {dropout}: must lie in [0, 1)")
    if dtype not in DTYPES:
        raise unknown_name("dtype of an intervention", dtype, DTYPES)
    if not bias and FORMS[type].basis:
        raise InputError(f"bias false: only noreft and nodireft may be without one, not {type}")


def _linear(size: int, rank: int, bias: bool, generator: torch.Generator | None) -> nn.Linear:
    """Returns a linear map (d) -> (r) that begins as `nn.Linear` does, from the generator."""
    made = nn.Linear(size, rank, bias=bias)
    bound = size**-0.5
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.uniform_(-bound, bound, generator=generator)
    return made
