"""JPEG files that end before their end marker: whether all of their pixels are there nevertheless."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from service.pictures.bounds import FRAMES, jpeg_segments

_END = b"\xff\xd9"
_PROGRESSIVE, _SCAN = (0xC2, 0xC6, 0xCA, 0xCE), 0xDA
_ANYTHING = (b"", b"\x5a\xa5\x33\x0f" * 8)  # what may follow the last pixel without changing one
_COEFFICIENTS = 64


def with_end(data: bytes) -> bytes | None:
    """Return a JPEG that lacks its end marker with one, if no pixel is missing; None if one is, or it has a marker.

    A decoder makes up what is missing from whatever follows, so those of a whole picture are the same whatever follows.
    """
    segments = [(marker, data[start:end]) for marker, start, end in jpeg_segments(data)]
    if not segments or segments[-1][0] != _SCAN or not _has_every_scan(segments):
        return None
    cut = data.removesuffix(b"\xff")
    first, second = (_pixels(cut + anything + _END) for anything in _ANYTHING)
    return cut + _END if first is not None and second is not None and np.array_equal(first, second) else None


def _pixels(data: bytes) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]] | None:
    try:
        return np.asarray(Image.open(io.BytesIO(data), formats=("JPEG",)))
    except Exception:  # on damaged bytes Pillow's decoders raise whatever they stumble over
        return None


def _has_every_scan(segments: list[tuple[int, bytes]]) -> bool:
    """Return whether each component's every coefficient was sent, and refined to its last bit."""
    frame = next(((marker, body) for marker, body in segments if marker in FRAMES), None)
    if frame is None:
        return False
    marker, body = frame
    components = body[6::3][: body[5]]
    sent: set[tuple[int, int]] = set()
    for each, scan in segments:
        if each == _SCAN and scan:
            first, last, bits = scan[1 + 2 * scan[0] : 4 + 2 * scan[0]]
            wanted = range(first, last + 1) if marker in _PROGRESSIVE else range(_COEFFICIENTS)
            if not bits & 15 or marker not in _PROGRESSIVE:
                sent |= {(component, i) for component in scan[1 : 1 + 2 * scan[0] : 2] for i in wanted}
    return all((component, i) in sent for component in components for i in range(_COEFFICIENTS))
