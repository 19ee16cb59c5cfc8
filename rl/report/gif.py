"""Animated GIFs of pictures with few colours, written without a library of pictures."""

import struct
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from laser_lit.errors import InputError

_COLOURS = 256
_CODES = 4096
"""A GIF's codes have at most 12 bits."""
_FOREVER = b"\x21\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00"


def gif(frames: NDArray[np.uint8], milliseconds: Sequence[int]) -> bytes:
    """Returns an animation that repeats for ever; of each frame only the rectangle that changed is stored.

    Args:
        frames: (n, height, width, 3) red, green and blue of 0 to 255.
        milliseconds: how long each of the n frames is seen, in steps of 10.

    Raises:
        InputError: more than 256 colours.

    Source: GIF89a specification, W3C.
    """
    n, height, width, _ = frames.shape
    packed = frames.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)  # (n, height, width)
    indices, palette = pd.factorize(packed.ravel())
    if len(palette) > _COLOURS:
        raise InputError(f"{len(palette)} colours: a GIF has at most {_COLOURS}")
    pictures = indices.reshape(n, height, width).astype(np.uint8)
    bits = max(2, int(len(palette) - 1).bit_length())
    parts = [b"GIF89a", struct.pack("<HHBBB", width, height, 0xF0 | (bits - 1), 0, 0)]
    parts += [b"".join(int(colour).to_bytes(3, "big") for colour in palette).ljust(3 << bits, b"\0"), _FOREVER]
    before: NDArray[np.uint8] | None = None
    for picture, shown in zip(pictures, milliseconds, strict=True):
        top, bottom, left, right = _changed(before, picture)
        parts.append(struct.pack("<4sHBB", b"\x21\xf9\x04\x04", shown // 10, 0, 0))
        parts.append(struct.pack("<BHHHHBB", 0x2C, left, top, right - left, bottom - top, 0, bits))
        parts += [*_blocks(_compressed(picture[top:bottom, left:right].tobytes(), bits)), b"\0"]
        before = picture
    return b"".join([*parts, b"\x3b"])


def _changed(before: NDArray[np.uint8] | None, picture: NDArray[np.uint8]) -> tuple[int, int, int, int]:
    """Returns top, bottom, left and right of what changed, at least a pixel."""
    if before is None:
        return 0, picture.shape[0], 0, picture.shape[1]
    rows, columns = np.nonzero(before != picture)
    if not len(rows):
        return 0, 1, 0, 1
    return int(rows.min()), int(rows.max()) + 1, int(columns.min()), int(columns.max()) + 1


def _blocks(content: bytes) -> Iterator[bytes]:
    for start in range(0, len(content), 255):
        block = content[start : start + 255]
        yield bytes([len(block)]) + block


def _compressed(pixels: bytes, bits: int) -> bytes:
    """Returns the codes of the pixels, packed from the lowest bit on."""
    packed, filled = 0, 0
    for code, width in _codes(pixels, bits):
        packed |= code << filled
        filled += width
    return packed.to_bytes(-(-filled // 8), "little")


def _codes(pixels: bytes, bits: int) -> Iterator[tuple[int, int]]:
    """Yields GIF's LZW codes, each with its width in bits."""
    clear, end = 1 << bits, (1 << bits) + 1
    known: dict[tuple[int, int], int] = {}
    width, following = bits + 1, end + 1
    yield clear, width
    prefix = pixels[0]
    for pixel in pixels[1:]:
        longer = known.get((prefix, pixel))
        if longer is not None:
            prefix = longer
            continue
        yield prefix, width
        if following < _CODES:
            known[prefix, pixel] = following
            width += following == 1 << width
            following += 1
        else:
            yield clear, width
            known, width, following = {}, bits + 1, end + 1
        prefix = pixel
    yield prefix, width
    yield end, width
