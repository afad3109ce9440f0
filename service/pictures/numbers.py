"""The conversion of samples of any type to 8 bits, and of numbers without an agreed range to greys."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.pictures.picture import Pixels

Numbers = NDArray[Any]
Valid = NDArray[np.bool_]

_AT_ONCE = 2**20  # numbers that are converted together
_WIDE = 16  # bits up to which whole numbers are greys from 0 to their largest
_NO_DATA = (-9999.0, -32768.0, -32767.0, -99999.0)  # what programs for maps write without saying so
_SOME = 2  # what lies within [0, 255] and is not larger anywhere is no picture of 8 bits
_BEYOND = 1e30  # no measurement; such programs write the largest number there is, likewise


def has_agreed_range(dtype: np.dtype[Any], bits: int) -> bool:
    """Return whether samples of a type are greys from black, 0, to white, their largest number."""
    return dtype.kind in "ub" and bits <= _WIDE


def to_8_bits(samples: Numbers, bits: int) -> Pixels:
    """Map whole numbers of ``bits``, from 0 to their largest, to 8 bits: of more than 8 the upper ones are kept."""
    if bits > 8:
        upper: Pixels = (samples >> (bits - 8)).astype(np.uint8)
        return upper
    if bits == 8:
        return np.ascontiguousarray(samples, np.uint8)
    table = np.rint(np.arange(2**bits) * (255 / (2**bits - 1))).astype(np.uint8)
    shades: Pixels = table[samples.astype(np.uint8)]
    return shades


def valid(values: Numbers, no_data: float | None = None) -> Valid:
    """Return which numbers are measurements: finite, and not what stands for a missing one.

    Args:
        values: any shape.
        no_data: what the file says stands for a missing one. Where it says nothing, -9999 and its like do, if they lie
            far below all others.
    """
    kept: Valid = np.empty(values.shape, bool)
    for part in _parts(values):
        kept[part] = _is_number(values[part], no_data)
    if no_data is None and values.dtype.kind != "u":
        low, high = _ends(values, kept)
        if low in _NO_DATA and low < high:
            others: Valid = kept & np.not_equal(values, low)
            least, _ = _ends(values, others)
            if least - low > max(high - least, abs(least)):  # further from all others than they from each other
                return others
    return kept


def _is_number(values: Numbers, no_data: float | None) -> Valid:
    numbers = values.astype(np.float64)
    kept: Valid = np.isfinite(numbers) & (np.abs(numbers) < _BEYOND)
    if no_data is not None:
        kept &= ~np.isclose(numbers, no_data, rtol=1e-6, atol=0, equal_nan=True)
    return kept


def to_greys(values: Numbers, no_data: float | None = None) -> Pixels:
    """Map numbers without an agreed range to greys; those that are missing or not finite are black.

    Numbers within [0, 1] are taken as parts of white, as image libraries write them, and those within [0, 255] as
    greys. Any others are stretched: the least is black and the largest white.

    Args:
        values: ``(H, …)``.
        no_data: as ``valid`` has it.
    """
    kept = valid(values, no_data)
    low, high = _ends(values, kept)
    if low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    elif low >= 0 and _SOME < high <= 255:
        low, high = 0.0, 255.0
    greys: Pixels = np.empty(values.shape, np.uint8)
    for part in _parts(values):
        greys[part] = _scaled(values[part], kept[part], low, high)
    return greys


def stretch(values: Numbers) -> Pixels:
    """Map numbers ``(H, …)`` to greys: the least is black, the largest white; those that are not finite are black."""
    kept: Valid = np.isfinite(values)
    low, high = _ends(values, kept)
    greys: Pixels = np.empty(values.shape, np.uint8)
    for part in _parts(values):
        greys[part] = _scaled(values[part], kept[part], low, high)
    return greys


def _scaled(values: Numbers, kept: Valid, low: float, high: float) -> Pixels:
    numbers = np.where(kept, values, low).astype(np.float64)
    scale = max(high - low, np.finfo(np.float64).tiny)
    shades: Pixels = np.rint(((numbers - low) / scale).clip(0, 1) * 255).astype(np.uint8)
    return shades


def _ends(values: Numbers, kept: Valid) -> tuple[float, float]:
    """Return the least and the largest number of those that are kept; 0 and 0 where none is."""
    ends = [
        (float(values[part][kept[part]].min()), float(values[part][kept[part]].max()))
        for part in _parts(values)
        if kept[part].any()
    ]
    return (min(low for low, _ in ends), max(high for _, high in ends)) if ends else (0.0, 0.0)


def _parts(values: Numbers) -> Iterator[slice]:
    """Yield a few rows at a time, as float64 takes eight times the memory of the greys."""
    rows = max(1, _AT_ONCE // max(1, values[:1].size))
    return (slice(first, first + rows) for first in range(0, len(values), rows))
