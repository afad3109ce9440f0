"""Scratch memory, reused for every block because newly allocated pages cost more than the arithmetic on them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray


class Scratch:
    """The reusable buffers of one thread, by name; asking for a name again overwrites what it held."""

    def __init__(self) -> None:
        self._buffers: dict[tuple[str, Any], NDArray[Any]] = {}

    def array(self, name: str, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """Return an uninitialised contiguous array in the buffer of that name."""
        size = math.prod(shape)
        key = name, np.dtype(dtype)
        if key not in self._buffers or self._buffers[key].size < size:
            self._buffers[key] = np.empty(size, dtype)
        return self._buffers[key][:size].reshape(shape)
