"""The model that a config names, ready to be scored."""

from typing import Any

from laser_lit.models.finite import refuse_not_finite
from laser_lit.models.load import load_model
from laser_lit.models.matrices import MatrixMap, find_matrices


def configured_model(config: Any) -> tuple[Any, Any, MatrixMap]:
    """Returns the model, its tokenizer and its weight matrices, which nothing can edit in a quantized model.

    Args:
        config: `model` of a config, with `path` set.

    Raises:
        InputError: there is no such model, its family is not known, or its weights are not finite.
    """
    model, tokenizer = load_model(
        config.path,
        revision=config.revision,
        dtype=config.dtype,
        device_map=config.device_map,
        trust_remote_code=config.trust_remote_code,
        kind=config.kind,
        quantization=config.quantization,
    )
    matrices = find_matrices(model, config.architecture, editable=config.quantization is None)
    refuse_not_finite(model)
    return model, tokenizer, matrices
