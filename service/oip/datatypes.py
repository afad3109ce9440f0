"""The datatypes of the protocol, and their values as bytes."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scs.errors import ProtocolError

BYTES = "BYTES"
_LENGTH = struct.Struct("<I")


# How a value lies in binary data; BF16, which NumPy lacks, as its 16 bits.
NUMBERS: dict[str, np.dtype[Any]] = {
    "BOOL": np.dtype("u1"),
    **{f"UINT{bits}": np.dtype(f"<u{bits // 8}") for bits in (8, 16, 32, 64)},
    **{f"INT{bits}": np.dtype(f"<i{bits // 8}") for bits in (8, 16, 32, 64)},
    **{f"FP{bits}": np.dtype(f"<f{bits // 8}") for bits in (16, 32, 64)},
    "BF16": np.dtype("<u2"),
}
DATATYPES = (*NUMBERS, BYTES)


def read_numbers(raw: memoryview, datatype: str) -> NDArray[Any]:
    """Read numbers from binary data, without a copy except for BF16, which becomes float32.

    Args:
        raw: a whole number of values.
        datatype: any but BYTES.
    """
    values = np.frombuffer(raw, NUMBERS[datatype])
    return (values.astype("<u4") << 16).view("<f4") if datatype == "BF16" else values


def read_byte_strings(raw: memoryview, count: int) -> list[bytes]:
    """Read values of BYTES from binary data: each a length of four bytes, and so many bytes.

    Raises:
        ProtocolError: these are not ``count`` such values, with nothing behind them.
    """
    strings: list[bytes] = []
    place = 0
    while place < len(raw) and len(strings) < count:
        start = place + _LENGTH.size
        end = start + (_LENGTH.unpack_from(raw, place)[0] if start <= len(raw) else 0)
        if max(start, end) > len(raw):
            raise ProtocolError(f"BYTES needs a length of four bytes and so many bytes a value; it ends at {len(raw)}")
        strings.append(bytes(raw[start:end]))
        place = end
    if len(strings) != count or place != len(raw):
        raise ProtocolError(f"BYTES needs {count} values; {len(strings)} and {len(raw) - place} bytes more came")
    return strings


def write_byte_strings(strings: Iterable[bytes]) -> bytes:
    """Write values of BYTES as binary data."""
    return b"".join(part for string in strings for part in (_LENGTH.pack(len(string)), string))


def size_of(datatype: str, shape: Sequence[int]) -> int:
    """Return the bytes of binary data that a shape takes; 0 for BYTES, whose values have no fixed size."""
    return math.prod(shape) * NUMBERS[datatype].itemsize if datatype in NUMBERS else 0
