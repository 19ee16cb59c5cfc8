"""A linear layer of two thin matrices: smaller and faster than one, wherever the rank is low."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from laser_lit.errors import InputError


def is_smaller(rank: int, shape: tuple[int, int]) -> bool:
    """Returns whether two factors have fewer entries than the matrix: rank·(out + in) < out·in.

    Args:
        rank: of the factors.
        shape: (out, in) of the matrix.
    """
    return rank * (shape[0] + shape[1]) < shape[0] * shape[1]


class AbsentWeight(Tensor):
    """A matrix that has shape, type and no content: whatever would compute with it fails.

    A bare tensor on the meta device would not do: torch multiplies by one on the CPU and returns arbitrary numbers.
    """

    _is_hf_initialized = True
    """What transformers looks at before it fills a weight with random numbers."""

    @classmethod
    def __torch_function__(
        cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Returns what was asked for if it is a property; raises RuntimeError for everything else."""
        if func not in _PROPERTIES:
            raise RuntimeError("this layer holds two thin factors, US and Vh, and no weight that can be computed with")
        with torch._C.DisableTorchFunctionSubclass():
            return func(*args, **(kwargs or {}))


_PROPERTIES = {
    *(getattr(Tensor, name).__get__ for name in ("dtype", "shape", "ndim", "device", "requires_grad", "is_meta")),
    *(Tensor.size, Tensor.dim, Tensor.numel, Tensor.is_floating_point),
}


class LowRankLinear(nn.Module):
    """x -> x Vhᵀ USᵀ + bias, in place of an `nn.Linear` or of the Conv1D of GPT-2.

    Attributes:
        in_features: size of each input.
        out_features: size of each output.
        rank: inner size; 0 gives the bias alone.
        US: (out, rank).
        Vh: (rank, in).
        bias: (out,) or None.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        rank: int,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        """Makes the layer with parameters that hold nothing yet; see `of`.

        Args:
            in_features: size of each input.
            out_features: size of each output.
            rank: inner size, 0 … min(in_features, out_features).
            bias: whether a bias is added.
            device: of the parameters.
            dtype: of the parameters.

        Raises:
            InputError: for a rank out of range.
        """
        super().__init__()
        if not 0 <= rank <= min(in_features, out_features):
            raise InputError(
                f"rank {rank} for {out_features} by {in_features} factors: 0 … {min(in_features, out_features)}"
            )
        self.in_features = in_features
        self.out_features = out_features
        self.rank = rank
        self.US = nn.Parameter(torch.empty(out_features, rank, device=device, dtype=dtype))
        self.Vh = nn.Parameter(torch.empty(rank, in_features, device=device, dtype=dtype))
        self.bias = nn.Parameter(torch.empty(out_features, device=device, dtype=dtype)) if bias else None

    @classmethod
    def of(cls, US: Tensor, Vh: Tensor, bias: Tensor | None = None) -> "LowRankLinear":
        """Returns the layer of two factors, which it holds without a copy.

        Args:
            US: (out, rank).
            Vh: (rank, in).
            bias: (out,).

        Raises:
            InputError: shapes that do not go together.
        """
        if US.dim() != 2 or Vh.dim() != 2 or US.shape[1] != Vh.shape[0]:
            raise InputError(f"factors of shapes {tuple(US.shape)} and {tuple(Vh.shape)}: (out, rank) and (rank, in)")
        if bias is not None and tuple(bias.shape) != (US.shape[0],):
            raise InputError(f"a bias of shape {tuple(bias.shape)} for {US.shape[0]} outputs")
        layer = cls(Vh.shape[1], US.shape[0], US.shape[1], bias is not None, device="meta")
        layer.US, layer.Vh = nn.Parameter(US.detach()), nn.Parameter(Vh.detach())
        if bias is not None:
            layer.bias = nn.Parameter(bias.detach())
        return layer

    @property
    def shape(self) -> tuple[int, int]:
        """(out, in), of the product."""
        return self.out_features, self.in_features

    @property
    def weight(self) -> Tensor:
        """The shape and type of the (out, in) matrix, for code that asks for these alone; `dense` has its content."""
        return torch.empty(self.shape, dtype=self.US.dtype, device="meta").as_subclass(AbsentWeight)

    @torch.no_grad()
    def dense(self) -> Tensor:
        """Returns the product of the factors, (out, in), computed in float64 and cast once to their type."""
        wide = torch.float32 if self.US.device.type == "mps" else torch.float64
        return (self.US.to(wide) @ self.Vh.to(wide)).to(self.US.dtype)  # (out, in)

    def forward(self, x: Tensor) -> Tensor:
        """Returns the outputs, (…, out).

        Args:
            x: (…, in).
        """
        return functional.linear(functional.linear(x, self.Vh), self.US, self.bias)  # (…, rank), then (…, out)

    def extra_repr(self) -> str:
        """Returns the sizes for `repr`."""
        has_bias = self.bias is not None
        return f"in_features={self.in_features}, out_features={self.out_features}, rank={self.rank}, bias={has_bias}"
