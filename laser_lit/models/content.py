"""What a model's weights are, as one short text: the key of everything that is kept about them."""

import torch
import xxhash
from torch import Tensor, nn

from laser_lit.errors import InputError

_CHUNK = 1 << 26
"""Elements copied from a device at a time."""


def content_hash(model: nn.Module) -> str:
    """Returns the xxh3 hash (32 hexadecimal digits) of all parameters and persistent buffers.

    Names, shapes, types and bytes count; devices and the order of modules do not. Tied parameters count once.

    Args:
        model: any module whose weights are in memory.

    Raises:
        InputError: weights on the meta device, which have no content.
    """
    persistent = model.state_dict(keep_vars=True).keys()
    tensors: dict[str, Tensor] = dict(model.named_parameters())
    tensors |= {name: buffer for name, buffer in model.named_buffers() if name in persistent}
    digest = xxhash.xxh3_128()
    for name, tensor in sorted(tensors.items()):
        if tensor.is_meta:
            raise InputError(f"{name} is on the meta device: load the model without offloading to hash its weights")
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
        _add_bytes(digest, tensor.detach())
    return digest.hexdigest()


def _add_bytes(digest: xxhash.xxh3_128, tensor: Tensor) -> None:
    for chunk in tensor.reshape(-1).split(_CHUNK):
        digest.update(chunk.contiguous().cpu().view(torch.uint8).numpy())
