"""The shape of `finetune`: training some of a model's modules on text."""

from dataclasses import dataclass


@dataclass
class FinetuneConfig:
    """Causal-LM training of the modules that a list names (`task=finetune`).

    Attributes:
        unfrozen: YAML file with `unfrozen_parameters`, regular expressions of parameter names, as Spectrum and axolotl
            read it; null trains every parameter.
        steps: optimizer steps.
        batch_size: windows a batch on one device.
        accumulate: batches a step.
        window: tokens a window; null takes the data's own, or the model's context where that is less.
        holdout: share of the text that is held out, for the validation loss; 0 holds out nothing.
        learning_rate: peak of the schedule.
        weight_decay: of AdamW, on matrices.
        warmup: steps of linear rise.
        schedule: cosine, linear or constant.
        clip: largest norm of a step's gradient; null clips nothing.
        precision: "32-true", "bf16-mixed" (float32 weights, bfloat16 arithmetic) or "bf16-true" (bfloat16 weights).
        gradient_checkpointing: recompute activations instead of keeping them.
        save_every: steps between checkpoints, and between looks at the text held out.
        path: folder of the trained model; null is one in the training's own folder, where its checkpoint is.
    """

    unfrozen: str | None = None
    steps: int = 200
    batch_size: int = 8
    accumulate: int = 1
    window: int | None = None
    holdout: float = 0.05
    learning_rate: float = 2e-5
    weight_decay: float = 0.01
    warmup: int = 10
    schedule: str = "cosine"
    clip: float | None = 1.0
    precision: str = "32-true"
    gradient_checkpointing: bool = False
    save_every: int = 100
    path: str | None = None
