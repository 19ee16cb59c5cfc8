"""Decodes animated GIFs by the letter of the format."""

import struct

import numpy as np


def codes(content, bits):
    """Yields the values of a GIF's LZW codes."""
    clear, end = 1 << bits, (1 << bits) + 1
    packed, at, known, width, before = int.from_bytes(content, "little"), 0, None, bits + 1, None
    while True:
        code = packed >> at & ((1 << width) - 1)
        at += width
        if code == end:
            return
        if code == clear:
            known, width, before = [bytes([value]) for value in range(clear)] + [b"", b""], bits + 1, None
            continue
        entry = known[code] if code < len(known) else before + before[:1]
        yield entry
        if before is not None and len(known) < 4096:
            known.append(before + entry[:1])
        width = min(12, max(width, len(known).bit_length()))
        before = entry


def decoded(content):
    """Returns frames (n, height, width, 3), the milliseconds of each, and how many pixels each stores."""
    assert content[:6] == b"GIF89a"
    width, height, flags = struct.unpack("<HHB", content[6:11])
    bits = (flags & 7) + 1
    palette = np.frombuffer(content[13 : 13 + (3 << bits)], np.uint8).reshape(-1, 3)
    at, canvas, frames, shown, stored = 13 + (3 << bits), np.zeros((height, width), int), [], [], []
    while content[at] != 0x3B:
        if content[at : at + 2] == b"\x21\xff":
            assert content[at + 3 : at + 14] == b"NETSCAPE2.0"
            at += 19
        elif content[at : at + 2] == b"\x21\xf9":
            shown.append(10 * struct.unpack("<H", content[at + 4 : at + 6])[0])
            at += 8
        else:
            left, top, wide, high, _, least = struct.unpack("<HHHHBB", content[at + 1 : at + 11])
            at, data = at + 11, b""
            while content[at]:
                data += content[at + 1 : at + 1 + content[at]]
                at += 1 + content[at]
            at += 1
            pixels = np.frombuffer(b"".join(codes(data, least)), np.uint8).reshape(high, wide)
            canvas[top : top + high, left : left + wide] = pixels
            frames.append(palette[canvas])
            stored.append(pixels.size)
    return np.stack(frames), shown, stored
