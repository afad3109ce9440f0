"""Arrays in a file without a name, which processes hand to each other without copying them."""

from __future__ import annotations

import math
import mmap
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.workers.channel import OpenFile, anonymous_file

_ALIGNMENT = 64


@dataclass(frozen=True)
class _Place:
    start: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]


@dataclass(frozen=True, eq=False)
class SharedArrays:
    """Arrays by name in one anonymous file; the memory is freed with the last process that has the file open.

    A message may hold it: the receiver gets a descriptor of the same file.

    Attributes:
        file: that the arrays lie in.
        places: of each array.
        nbytes: of the file.
    """

    file: OpenFile
    places: Mapping[str, _Place]
    nbytes: int
    _closing: list[Any] = field(default_factory=list, repr=False)

    @classmethod
    def write(cls, arrays: Mapping[str, NDArray[Any]]) -> SharedArrays:
        """Write arrays to a new file."""
        places, start = {}, 0
        for name, array in arrays.items():
            places[name] = _Place(start, array.shape, array.dtype)
            start += -(-array.nbytes // _ALIGNMENT) * _ALIGNMENT
        raw = [np.ascontiguousarray(array).reshape(-1).view(np.uint8).data for array in arrays.values()]
        return cls(OpenFile(anonymous_file(raw), arrived=True), places, start)

    def __post_init__(self) -> None:
        self._closing.append(weakref.finalize(self, self.file.close))

    def __reduce__(self) -> tuple[Any, ...]:
        return SharedArrays, (self.file, self.places, self.nbytes)

    def read(self, name: str) -> NDArray[Any]:
        """Return an array, read-only; its memory is the file's, and stays while the array does."""
        place = self.places[name]
        count = math.prod(place.shape)
        start = place.start // mmap.ALLOCATIONGRANULARITY * mmap.ALLOCATIONGRANULARITY
        length = place.start - start + count * place.dtype.itemsize
        mapped = mmap.mmap(self.file.descriptor, length, offset=start, access=mmap.ACCESS_READ)
        return np.frombuffer(mapped, place.dtype, count, place.start - start).reshape(place.shape)
