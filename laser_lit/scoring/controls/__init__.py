"""Simpler remedies beside LASER, fitted on the validation split like the edit and reported on the test split."""

from laser_lit.scoring.controls.logits import AnswerLogits, batch_calibration, token_bias
from laser_lit.scoring.controls.mlp import mlp_ablations, mlp_outputs
from laser_lit.scoring.controls.pruning import pruned_twin
from laser_lit.scoring.controls.result import ControlResult

__all__ = [
    "AnswerLogits",
    "ControlResult",
    "batch_calibration",
    "mlp_ablations",
    "mlp_outputs",
    "pruned_twin",
    "token_bias",
]
