"""The shape of `reft`: interventions on hidden states, how they are trained, and which are evaluated."""

from dataclasses import dataclass, field
from typing import Any


@dataclass
class ReftConfig:
    """Interventions (`train.py task=reft`), or a LoRA of as many parameters; `path` is what evaluate.py attaches.

    Attributes:
        name: as typed after `reft=`.
        path: evaluate.py: the folder of trained interventions or of a LoRA; train.py: the folder to write, null is one
            beside the training's checkpoint.
        strength: evaluate.py: factor of what the interventions add.
        type: loreft, noreft, direft, nodireft, consreft, lobireft, or lora.
        layer: layers with an intervention: an index, a list, or all.
        component: what is edited: block_output, mlp_output, query_output, … or a module's path.
        rank: of each intervention; of each LoRA.
        positions: tokens of a prompt: f7+l7, f1, l1, …
        share: all, ends or none: which positions share parameters.
        act_fn: activation of the linear source.
        dropout: on the edited states; of a LoRA, on its input.
        dtype: of the interventions' parameters.
        bias: of noreft and nodireft.
        interventions: whole interventions, in place of the fields above.
        matrices: LoRA only: which matrices of `layer` get one.
        alpha: LoRA only: its scale is alpha / rank; null is twice the rank.
        split: what trains: validation (the split that evaluate.py chooses on, so that its test split stays unseen) or
            all; classifiers train on GLUE's own train split.
        holdout: share of the groups that is looked at and not trained on.
        epochs: passes over the training examples; counts where `steps` is null.
        steps: optimizer steps.
        batch_size: examples a batch on one device.
        accumulate: batches a step; their mean losses count alike, however many tokens each has.
        max_length: tokens of prompt and answer together; a longer prompt loses its beginning; null: the model's limit.
        learning_rate: peak of the schedule.
        weight_decay: of AdamW, on matrices.
        warmup: share of the steps in which the rate rises, in [0, 1).
        schedule: cosine, linear or constant.
        clip: largest norm of a step's gradient; null clips nothing.
        precision: of the base: "32-true", "bf16-mixed" or "bf16-true".
        gradient_checkpointing: recompute activations instead of keeping them.
        save_every: steps between checkpoints, and between looks at what is held out; null is ten looks.
        show: prompts that are answered before and after the training.
        new_tokens: tokens of such an answer.
    """

    name: str = "loreft"
    path: str | None = None
    strength: float = 1.0
    type: str = "loreft"
    layer: Any = "all"
    component: str = "block_output"
    rank: int = 4
    positions: str = "l1"
    share: str = "all"
    act_fn: str = "linear"
    dropout: float = 0.0
    dtype: str = "float32"
    bias: bool = True
    interventions: list[dict[str, Any]] = field(default_factory=list)
    matrices: list[str] = field(default_factory=lambda: ["q_proj", "v_proj"])
    alpha: float | None = None
    split: str = "validation"
    holdout: float = 0.0
    epochs: float = 10.0
    steps: int | None = None
    batch_size: int = 32
    accumulate: int = 1
    max_length: int | None = None
    learning_rate: float = 4e-3
    weight_decay: float = 0.0
    warmup: float = 0.0
    schedule: str = "linear"
    clip: float | None = None
    precision: str = "32-true"
    gradient_checkpointing: bool = False
    save_every: int | None = None
    show: int = 0
    new_tokens: int = 32
