"""PNG files of every colour type, depth, interlacing and transparency, written from the specification for the tests."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np

Samples = np.ndarray[Any, Any]

GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6
CHANNELS = {GREY: 1, RGB: 3, PALETTE: 1, GREY_ALPHA: 2, RGBA: 4}
DEPTHS = {GREY: (1, 2, 4, 8, 16), RGB: (8, 16), PALETTE: (1, 2, 4, 8), GREY_ALPHA: (8, 16), RGBA: (8, 16)}
_ADAM7 = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]


def chunk(name: bytes, body: bytes, checksum: int | None = None) -> bytes:
    """Write a chunk, with a wrong checksum if one is given."""
    right = zlib.crc32(name + body) if checksum is None else checksum
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", right)


def write_png(
    samples: Samples, colour_type: int, depth: int, *chunks: bytes, interlaced: bool = False, rows: int | None = None
) -> bytes:
    """Write samples ``(H, W, C)`` as a PNG, with further chunks before its pixels, and only so many of its rows."""
    height, width, _ = samples.shape
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, int(interlaced))
    passes = [samples[top::down, left::right] for top, left, down, right in _ADAM7] if interlaced else [samples]
    raw = b"".join(b"\0" + _packed(row, depth) for part in passes for row in part[:rows] if part.size)
    pieces = chunk(b"IHDR", header), *chunks, chunk(b"IDAT", zlib.compress(raw)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(pieces)


def _packed(row: Samples, depth: int) -> bytes:
    flat = row.reshape(-1)
    if depth == 16:
        return bytes(flat.astype(">u2").tobytes())
    if depth == 8:
        return bytes(flat.astype(np.uint8).tobytes())
    bits = (flat.astype(np.uint8)[:, None] >> np.arange(depth)[::-1]) & 1
    return bytes(np.packbits(bits.reshape(-1)).tobytes())
