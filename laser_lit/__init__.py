"""laser_lit: what transformer weight matrices hold, and better models by removing some of it.

The public API; a name is imported when it is first used, so that light parts stay light.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from laser_lit.data.registry import load_data
    from laser_lit.edits.callback import LaserCallback
    from laser_lit.edits.edit import Edit
    from laser_lit.edits.stack import Stack
    from laser_lit.errors import InputError
    from laser_lit.export.write import export_model
    from laser_lit.linalg.svd import Factors, factorize
    from laser_lit.lit.facts_training import ensure_facts_model
    from laser_lit.models.load import load_model
    from laser_lit.models.matrices import MatrixId, MatrixMap, find_matrices
    from laser_lit.reft.head import load_classifier
    from laser_lit.reft.intervention import Intervention
    from laser_lit.reft.prompt import prompts
    from laser_lit.reft.pyreft import import_pyreft
    from laser_lit.reft.reft import Reft
    from laser_lit.reft.saving import load_reft, save_reft
    from laser_lit.results.compare import compare
    from laser_lit.scoring.covariance import calibrate
    from laser_lit.scoring.score import score
    from laser_lit.spectral.scan import scan

_HOMES = {
    "Edit": "laser_lit.edits.edit",
    "Factors": "laser_lit.linalg.svd",
    "InputError": "laser_lit.errors",
    "Intervention": "laser_lit.reft.intervention",
    "LaserCallback": "laser_lit.edits.callback",
    "MatrixId": "laser_lit.models.matrices",
    "MatrixMap": "laser_lit.models.matrices",
    "Reft": "laser_lit.reft.reft",
    "Stack": "laser_lit.edits.stack",
    "calibrate": "laser_lit.scoring.covariance",
    "compare": "laser_lit.results.compare",
    "ensure_facts_model": "laser_lit.lit.facts_training",
    "export_model": "laser_lit.export.write",
    "factorize": "laser_lit.linalg.svd",
    "find_matrices": "laser_lit.models.matrices",
    "import_pyreft": "laser_lit.reft.pyreft",
    "load_classifier": "laser_lit.reft.head",
    "load_data": "laser_lit.data.registry",
    "load_model": "laser_lit.models.load",
    "load_reft": "laser_lit.reft.saving",
    "prompts": "laser_lit.reft.prompt",
    "save_reft": "laser_lit.reft.saving",
    "scan": "laser_lit.spectral.scan",
    "score": "laser_lit.scoring.score",
}

__all__ = [
    "Edit",
    "Factors",
    "InputError",
    "Intervention",
    "LaserCallback",
    "MatrixId",
    "MatrixMap",
    "Reft",
    "Stack",
    "calibrate",
    "compare",
    "ensure_facts_model",
    "export_model",
    "factorize",
    "find_matrices",
    "import_pyreft",
    "load_classifier",
    "load_data",
    "load_model",
    "load_reft",
    "prompts",
    "save_reft",
    "scan",
    "score",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'laser_lit' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
