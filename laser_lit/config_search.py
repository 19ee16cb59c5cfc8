"""The shape of `search=`: which stacks are tried, how they are judged, and how much is spent on it."""

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING


@dataclass
class GuardConfig:
    """What an edit must leave alone: a stack is chosen only if it changes a guard text little.

    Attributes:
        data: a choice of `data=`: text, or questions, whose prompts are then the text; null sets no guard.
        path: file of the text, for choices without a source of their own.
        kind: "kl", the mean token KL(base‖edited), or "log_perplexity", its change.
        limit: the one-sided 95 % upper bound of that mean may be this much, nats.
        tokens: tokens of the guard text that choose; as many others report.
        window: tokens in a window, the unit of the bound.
    """

    data: str | None = None
    path: str | None = None
    kind: str = "kl"
    limit: float = 0.1
    tokens: int = 8192
    window: int = 128


@dataclass
class SearchConfig:
    """A search; which fields count depends on `name`.

    Attributes:
        name: none, grid, gradient, greedy, racing, optuna, rmt, snr, smallest or collect; `search=auto` is racing.
        layers: from 0, negative from the end, "all", "late" (the last 40 %), or a list.
        matrices: a matrix, a group, or a list.
        rho: kept shares of min(out, in): code, table5, figure2, or a list.
        rank: kept components instead of rho, a list.
        rule: rank rules instead of both, a name or a list of them; rmt and snr take one.
        kinds: low_rank, high_order, prune, zero; several are tried beside each other.
        decomposition: what components are of low_rank and high_order: svd, whitened (see laser.calibration) or blocks.
        blocks: how many blocks of rows, for decomposition blocks.
        objective: accuracy (ties by log loss) or log_loss; auto is accuracy where there is one.
        also: more choices of `data=`, or mappings of name and other fields of data ({name: text, path: FILE}); the
            objective is then the mean over all data sets.
        guard: what an edit must leave alone.
        delta: harm that does not count, above 0, in the objective's unit: .01 is a point of accuracy, or .01 nats.
        examples: rows of validation that the gradient is taken on.
        verify: most cells that gradient and greedy score, a step.
        steps: most edits that greedy stacks.
        budget: most that racing may spend, as a share of the grid.
        trials: of optuna.
        stack: most edits of one stack of optuna's.
        max_mod: most matrices that rmt cuts.
        k: matrices that snr tries.
        cache_gb: most memory for what is kept to not compute it twice, in 1e9 bytes.
        shard: which part of the search this job does, in [0, shards).
        shards: into how many jobs the search is split; `search=collect` then chooses.
        retry: score cells again that failed in an earlier run.
    """

    name: str = MISSING
    layers: Any = "all"
    matrices: Any = "all"
    rho: Any = "code"
    rank: list[int] | None = None
    rule: Any = None
    kinds: list[str] = field(default_factory=lambda: ["low_rank"])
    decomposition: str = "svd"
    blocks: int | None = None
    objective: str = "auto"
    also: list[Any] = field(default_factory=list)
    guard: GuardConfig = field(default_factory=GuardConfig)
    delta: float = 0.01
    examples: int = 100
    verify: int = 20
    steps: int = 3
    budget: float = 0.1
    trials: int = 200
    stack: int = 3
    max_mod: int = 5
    k: int = 15
    cache_gb: float = 2.0
    shard: int = 0
    shards: int = 1
    retry: bool = False
