"""The shape of `finetune`: training some of a model's modules on text."""

from dataclasses import dataclass


@dataclass
class FinetuneConfig:
    """Causal-LM training of the modules that a list names (`task=finetune`).

    Attributes:
        unfrozen: YAML file with `unfrozen_parameters`, regular expressions of parameter names, as Spectrum and axolotl
            read it; null trains every parameter.
        steps: optimizer steps.
        batch_size: windows a step on one device, before accumulation.
        accumulate: batches a step.
        window: tokens a window; null takes the data's own.
        learning_rate: peak of the schedule.
        weight_decay: of AdamW, on matrices.
        warmup: steps of linear rise.
        schedule: cosine, linear or constant.
        precision: "32-true", "bf16-mixed" or "bf16-true".
        gradient_checkpointing: recompute activations instead of keeping them.
        save_every: steps between checkpoints.
        path: folder of the trained model; null is model/ in the run's folder.
    """

    unfrozen: str | None = None
    steps: int = 200
    batch_size: int = 8
    accumulate: int = 1
    window: int | None = None
    learning_rate: float = 2e-5
    weight_decay: float = 0.01
    warmup: int = 10
    schedule: str = "cosine"
    precision: str = "32-true"
    gradient_checkpointing: bool = False
    save_every: int = 100
    path: str | None = None
