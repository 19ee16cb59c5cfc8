"""The shapes of what `task=sokoban` adds: levels, trajectories, the training of a policy."""

from dataclasses import dataclass, field


@dataclass
class LevelsConfig:
    """The levels that a policy is tuned and tested on; of generated ones also those that it is trained on.

    Attributes:
        size: height and width of generated rooms, in cells; null where levels come from files.
        boxes: how many in each.
        min_moves: that the shortest solution takes at least.
        max_moves: that it takes at most; never more than max_steps.
        max_steps: longest episode.
        validation: how many levels choose the target return and the edit, a room each; the training is watched on them.
        test: how many levels the chosen edit is tested on, a room each.
        seed: of the generator.
    """

    size: int | None = 7
    boxes: int = 2
    min_moves: int = 6
    max_moves: int = 50
    max_steps: int = 50
    validation: int = 1000
    test: int = 1000
    seed: int = 0


@dataclass
class TrajectoriesConfig:
    """The episodes that a policy learns from: an expert's, with noise.

    Attributes:
        count: how many.
        rates: each episode draws one: the probability that a step takes any action instead of the best.
        generic: probability that a step's target is replaced by one and the same action; what was done stays.
        action: that action: U, D, L or R.
        dead_tail: steps that are learned from once a level is lost.
        seed: of starts and noise.
        solutions: CSV file of A* solutions to the levels of data.path, or the name of one on the hub; those of the
            first `count` training levels are taken, `rates` do not count. Null: an expert plays.
    """

    count: int = 20_000
    rates: list[float] = field(default_factory=lambda: [0.0, 0.1, 0.3])
    generic: float = 0.0
    action: str = "U"
    dead_tail: int = 4
    seed: int = 0
    solutions: str | None = None


@dataclass
class PolicyConfig:
    """A decision transformer and its training.

    Attributes:
        layout: "steps" (a token a step) or "triples" (return, state and action apart, as transformers' own).
        conditioned: tell it the return that is wanted; false is behaviour cloning.
        layers: number of blocks.
        hidden: size of the hidden states, a multiple of heads.
        heads: attention heads.
        seed: of the initial weights and of the order of the trajectories.
        steps: optimizer steps.
        batch_steps: steps of episodes that a batch has, about.
        learning_rate: peak of the cosine schedule.
        weight_decay: of AdamW, on matrices.
        warmup: optimizer steps of linear rise.
        clip: largest norm of a step's gradient; null clips nothing.
        precision: "32-true" or "bf16-mixed".
        save_every: optimizer steps between checkpoints, and between looks at the validation levels.
        target_return: sum of rewards that it is asked for when it plays; null takes the one that solved most validation
            levels after its training.
        path: folder of the trained policy; null keeps it in LASER_LIT_CACHE, named by the hash of all settings.
    """

    layout: str = "steps"
    conditioned: bool = True
    layers: int = 3
    hidden: int = 128
    heads: int = 4
    seed: int = 0
    steps: int = 4000
    batch_steps: int = 768
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    warmup: int = 100
    clip: float | None = 1.0
    precision: str = "32-true"
    save_every: int = 500
    target_return: float | None = None
    path: str | None = None
