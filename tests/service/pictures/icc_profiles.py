"""ICC profiles of a display, written from the specification for the tests: primaries, white, and a power."""

from __future__ import annotations

import struct

import numpy as np

D50 = np.array([0.9642, 1.0, 0.8249])
# x and y of red, green, blue; the white of all three is D65, or D50 for ProPhoto
ADOBE_RGB = ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06)), (0.3127, 0.3290), 2.19921875
DISPLAY_P3 = ((0.68, 0.32), (0.265, 0.69), (0.15, 0.06)), (0.3127, 0.3290), None
PROPHOTO = ((0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001)), (0.3457, 0.3585), 1.8
SRGB = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06)), (0.3127, 0.3290), None
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


def matrix_of(primaries, white):
    """Return the matrix from linear RGB to XYZ of D50."""
    columns = np.array([[x / y, 1, (1 - x - y) / y] for x, y in primaries]).T
    x, y = white
    source = np.array([x / y, 1, (1 - x - y) / y])
    matrix = columns * np.linalg.solve(columns, source)
    gains = (_BRADFORD @ D50) / (_BRADFORD @ source)
    return np.linalg.inv(_BRADFORD) @ np.diag(gains) @ _BRADFORD @ matrix


def curve(values, power):
    """Return linear values of encoded ones: by a power, or by sRGB's curve."""
    if power is not None:
        return values**power
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def converted(pixels, space):
    """Convert colours ``(…, 3)`` of 8 bits to sRGB by the definitions, without ICC."""
    primaries, white, power = space
    linear = curve(pixels / 255, power) @ (np.linalg.inv(matrix_of(*SRGB[:2])) @ matrix_of(primaries, white)).T
    clipped = linear.clip(0, 1)
    return 255 * np.where(clipped <= 0.0031308, clipped * 12.92, 1.055 * clipped ** (1 / 2.4) - 0.055)


def write_profile(space, grey=False):
    """Write the profile of a display."""
    primaries, white, power = space
    trc = _curve(power)
    tags = {b"desc": _text(b"a display"), b"wtpt": _xyz(D50)}
    if grey:
        tags[b"kTRC"] = trc
    else:
        tags |= {
            name: _xyz(column)
            for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), matrix_of(primaries, white).T, strict=True)
        }
        tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), trc)
    place, table, body = 128 + 4 + 12 * len(tags), b"", b""
    for name, content in tags.items():
        table += name + struct.pack(">II", place + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    size = place + len(body)
    kind = b"GRAY" if grey else b"RGB "
    head = struct.pack(">I4sI4s4s4s", size, bytes(4), 0x02400000, b"mntr", kind, b"XYZ ") + bytes(12) + b"acsp"
    head += bytes(28) + struct.pack(">3i", *(round(v * 65536) for v in D50))
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def _curve(power):
    if power is not None:
        return b"curv" + bytes(4) + struct.pack(">IH", 1, round(power * 256))
    values = np.rint(curve(np.linspace(0, 1, 1024), None) * 65535).astype(">u2")
    return b"curv" + bytes(4) + struct.pack(">I", len(values)) + values.tobytes()


def _xyz(values):
    return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(float(v) * 65536) for v in values))


def _text(text):
    return b"desc" + bytes(4) + struct.pack(">I", len(text) + 1) + text + b"\0" + bytes(78)
