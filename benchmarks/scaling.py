"""What a search costs from 125M to 70B parameters, by a formula, and how well the formula holds on this CPU.

    python benchmarks/scaling.py [--rows 1000] [--tokens 25] [--tflops 100] [--eigh-tflops 0.5]

cells       layers x matrices x 9 ranks: `search=grid` with its defaults
cell        2 FLOPs a token and weight of the layers that run, plus the head at one position a row. An edit of layer l
            runs layers l … L - 1, so that (L + 1) / 2 of L layers run on average
factors     9 d^3 for the eigenvectors of the Gram matrix (Golub and Van Loan, "Matrix Computations", algorithm 8.3.3),
            2 d^2 n for the Gram matrix and 2 d^2 n for the long side, d x n the shape; one a matrix
memory      weights in bfloat16; factors of the largest matrix in float32; the states at every layer's input in bfloat16

--tflops and --eigh-tflops are assumptions about a GPU and are measured nowhere. What is measured is one thread of this
CPU: passes of three widths and factorizations of three shapes, in CPU seconds, each over what the formula counts; a
formula that holds gives one rate for all. The last line is a JSON object: the least of the rates over the greatest.
"""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from transformers import GPTJConfig, GPTJForCausalLM

from laser_lit.linalg.svd import factorize

RANKS = 9
GB, HOUR = 1e9, 3600.0


@dataclass(frozen=True)
class Shape:
    """A model's sizes.

    Attributes:
        name: of the model.
        layers: number of blocks.
        width: of the hidden states.
        matrices: (out, in) of each weight matrix of a block.
        vocabulary: rows of the head.
        tied: whether the head is the embedding.
    """

    name: str
    layers: int
    width: int
    matrices: tuple[tuple[int, int], ...]
    vocabulary: int
    tied: bool = False

    @classmethod
    def of(
        cls,
        name: str,
        layers: int,
        width: int,
        mlp: int,
        vocabulary: int,
        gated: bool = False,
        kv: int = 0,
        tied: bool = False,
    ) -> "Shape":
        """Returns the sizes of a decoder.

        Args:
            name: of the model.
            layers: number of blocks.
            width: of the hidden states.
            mlp: of the hidden layer of the MLP.
            vocabulary: rows of the head.
            gated: whether the MLP has a third matrix.
            kv: width of keys and values; 0 is that of the hidden states.
            tied: whether the head is the embedding.
        """
        attention = ((width, width), (kv or width, width), (kv or width, width), (width, width))
        ups = ((mlp, width),) * (2 if gated else 1)
        return cls(name, layers, width, (*attention, *ups, (width, mlp)), vocabulary, tied)

    @property
    def cells(self) -> int:
        """Cells of the grid."""
        return self.layers * len(self.matrices) * RANKS

    @property
    def weights(self) -> int:
        """Weights of the blocks."""
        return self.layers * sum(out * inn for out, inn in self.matrices)

    @property
    def head(self) -> int:
        """Weights of the head."""
        return self.width * self.vocabulary

    @property
    def parameters(self) -> int:
        """Weights of blocks, embedding and head."""
        return self.weights + self.head * (1 if self.tied else 2)

    def pass_flops(self, rows: int, tokens: int) -> float:
        """Returns what a whole pass takes.

        Args:
            rows: sequences.
            tokens: of each.
        """
        return 2.0 * self.weights * rows * tokens + 2.0 * self.head * rows

    def cell_flops(self, rows: int, tokens: int) -> float:
        """Returns what a cell takes on average over the grid, resumed at its layer."""
        share = (self.layers + 1) / 2 / self.layers
        return 2.0 * self.weights * share * rows * tokens + 2.0 * self.head * rows

    def factor_flops(self) -> float:
        """Returns what the factorizations of all matrices take."""
        return self.layers * sum(map(factor_flops, self.matrices))

    def factor_bytes(self, shape: tuple[int, int]) -> int:
        """Returns the size of the factors of a matrix in float32."""
        return 4 * min(shape) * sum(shape)


SHAPES = (
    Shape.of("125M (OPT)", 12, 768, 3072, 50_272, tied=True),
    Shape.of("410M (Pythia)", 24, 1024, 4096, 50_304),
    Shape.of("1.4B (Pythia)", 24, 2048, 8192, 50_304),
    Shape.of("6B (GPT-J)", 28, 4096, 16_384, 50_400),
    Shape.of("7B (Llama 2)", 32, 4096, 11_008, 32_000, gated=True),
    Shape.of("13B (Llama 2)", 40, 5120, 13_824, 32_000, gated=True),
    Shape.of("70B (Llama 2)", 80, 8192, 28_672, 32_000, gated=True, kv=1024),
)


def factor_flops(shape: tuple[int, int]) -> float:
    """Returns what the factorization of a matrix takes."""
    d, n = min(shape), max(shape)
    return 9.0 * d**3 + 4.0 * d * d * n


def table(rows: int, tokens: int, tflops: float, eigh_tflops: float) -> None:
    """Prints a line a model."""
    columns = ("cells", "cell, s", "all factorizations, min", "grid, h")
    sizes = ("weights, GB", "factors of the largest matrix, GB", "of all, GB", "states, GB")
    print(f"| model | {' | '.join((*columns, *sizes))} |")
    print("|---|" + "--:|" * 8)
    for shape in SHAPES:
        cell = shape.cell_flops(rows, tokens) / (tflops * 1e12)
        factors = shape.factor_flops() / (eigh_tflops * 1e12)
        kept = [shape.factor_bytes(matrix) / GB for matrix in shape.matrices]
        states = 2 * shape.layers * rows * tokens * shape.width / GB
        hours = (cell * shape.cells + factors) / HOUR
        numbers = (cell, factors / 60, hours, 2 * shape.parameters / GB, max(kept), shape.layers * sum(kept), states)
        print(f"| {shape.name} | {shape.cells:,} | {' | '.join(map(short, numbers))} |")


def short(number: float) -> str:
    """Returns a number with two digits that count."""
    return f"{number:,.0f}" if number >= 10 else f"{number:.2g}"


def seconds(work: Callable[[], object]) -> float:
    """Returns how much CPU time the faster of two calls takes."""
    taken = []
    for _ in range(2):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return min(taken)


@torch.no_grad()
def pass_rate(width: int, layers: int = 6, rows: int = 64, tokens: int = 25) -> float:
    """Returns the FLOP/s of passes through a random GPT-J, the head at the last position."""
    shape = Shape.of("", layers, width, 4 * width, 50_400)
    heads = {"n_embd": width, "n_layer": layers, "n_head": 8, "rotary_dim": 32}
    gptj = GPTJForCausalLM(GPTJConfig(**heads)).eval()
    ids = torch.randint(0, 50_400, (rows, tokens), generator=torch.Generator().manual_seed(0))
    return shape.pass_flops(rows, tokens) / seconds(lambda: gptj(ids, use_cache=False, logits_to_keep=1))


def factor_rate(shape: tuple[int, int]) -> float:
    """Returns the FLOP/s of the factorization of a Gaussian matrix."""
    W = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    return factor_flops(shape) / seconds(lambda: factorize(W))


def main() -> None:
    """Prints the table, the rates and their spread."""
    parser = argparse.ArgumentParser(description="what a search costs, by a formula")
    parser.add_argument("--rows", type=int, default=1000, help="validation examples")
    parser.add_argument("--tokens", type=int, default=25, help="tokens of an example")
    parser.add_argument("--tflops", type=float, default=100.0, help="assumed of a GPU: matrix products in bfloat16")
    parser.add_argument("--eigh-tflops", type=float, default=0.5, help="assumed of a GPU: eigenvectors in float64")
    given = parser.parse_args()
    torch.set_num_threads(1)
    table(given.rows, given.tokens, given.tflops, given.eigh_tflops)
    passes = {width: pass_rate(width) / 1e9 for width in (512, 768, 1024)}
    for width, rate in passes.items():
        print(f"measured, one thread: passes of width {width}: {rate:.0f} GFLOP/s")
    factors = {shape: factor_rate(shape) / 1e9 for shape in ((768, 768), (3072, 768), (8192, 2048))}
    for shape, rate in factors.items():
        print(f"measured, one thread: factorization of {shape[0]} x {shape[1]}: {rate:.0f} GFLOP/s")
    spread = {
        name: min(rates.values()) / max(rates.values()) for name, rates in (("pass", passes), ("factor", factors))
    }
    print(json.dumps({f"{name}_rate_spread": round(value, 2) for name, value in spread.items()}))


if __name__ == "__main__":
    main()
