"""Matrix products in pieces so small that the BLAS keeps each in one thread.

Threads are then the caller's: a BLAS that splits a product among threads waits for the slowest of them, and beside
another busy process that made a search ten times slower.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Protocol, TypeVar

import numpy as np

from scs.matching.posing.resolutions import Plane
from scs.matching.threads import check_threads

Item = TypeVar("Item")
Result = TypeVar("Result")

# Multiplications in one product: OpenBLAS takes a second thread above 4 * 65,536.
LARGEST = 4 * 65_536

_NARROWEST = 16  # columns at a time; fewer do not fill the vectors


class Workers(Protocol):
    """A `map` on several threads."""

    def __call__(self, function: Callable[[Item], Result], items: Iterable[Item], /) -> Iterable[Result]:
        """Results in the order of the items."""


@contextmanager
def workers(threads: int | None = None) -> Iterator[Workers]:
    """Give a `map` that runs on so many threads; None is as many as there are cores for this process."""
    with ThreadPoolExecutor(check_threads(threads)) as pool:
        yield pool.map


def block_width(rows: int, inner: int) -> int:
    """Columns at a time for a product of ``(rows, inner)`` with many columns."""
    return max(_NARROWEST, LARGEST // (min(rows, block_height(inner)) * inner) // 8 * 8)


def block_height(inner: int) -> int:
    """Rows at a time."""
    return max(1, LARGEST // (_NARROWEST * inner))


def product(left: Plane, right: Plane) -> Plane:
    """``(rows, inner) @ (inner, columns)``, both C-ordered; columns are a multiple of `block_width`."""
    rows, inner = left.shape
    columns = right.shape[1]
    width, height = block_width(rows, inner), block_height(inner)
    result = np.empty((rows, columns), np.float32)
    pieces = right.reshape(inner, columns // width, width).transpose(1, 0, 2)
    for top in range(0, rows, height):
        part = result[top : top + height]
        out = part.reshape(len(part), columns // width, width).transpose(1, 0, 2)
        np.matmul(left[top : top + height], pieces, out=out)
    return result


def padded(columns: int, rows: int, inner: int) -> int:
    """Columns rounded up to what `product` takes."""
    width = block_width(rows, inner)
    return -(-columns // width) * width
