"""Overlap-save: a scene is cut into overlapping blocks, each transformed by itself.

Small blocks fit the processor's caches and keep rounding local; large ones waste less on the overlap.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

# Measured with OpenCV's transform: lengths with other factors are slow, as are multiples of 128, whose columns fall
# into the same few lines of the cache. Blocks that leave the cache are slower too, and round off more.
_ODD_PARTS = (1, 3, 5, 9, 15, 45, 135, 405, 1215, 3645, 10935)
_MOST_DOUBLINGS = 6
_CACHED_PIXELS = 200_000
_SLOWDOWN_A_DOUBLING = 0.3
# What starting a block costs, in units of one pixel's transform, and what waking the threads does that share several.
_COST_OF_A_BLOCK = 12_000
_COST_OF_WAKING = 50_000

Size = tuple[int, int]


@dataclass(frozen=True)
class Block:
    """A rectangle of places: its first row and column, and how many rows and columns of them."""

    row: int
    column: int
    rows: int
    columns: int


@functools.lru_cache(maxsize=256)
def plan_blocks(places: tuple[int, int], template: tuple[int, int], threads: int) -> tuple[Size, list[Block]]:
    """Choose the size of transform with the least cost, and cut the score map into blocks for it (overlap-save).

    Args:
        places: rows and columns of the map of scores.
        template: height and width of the template.
        threads: blocks that are worked on at once.
    """
    options = [
        (_cost(places, template, (height, width), threads), (height, width))
        for height in _lengths(places[0], template[0], shortest=1)
        for width in _lengths(places[1], template[1], shortest=2)
    ]
    _, size = min(options)
    most = size[0] - template[0] + 1, size[1] - template[1] + 1
    return size, cut(places, most)


def cut(places: tuple[int, int], most: tuple[int, int]) -> list[Block]:
    """Cut a map into blocks of nearly equal size, none with more rows or columns than ``most``."""
    rows, columns = (_even_parts(length, limit) for length, limit in zip(places, most, strict=True))
    return [Block(row, column, height, width) for row, height in rows for column, width in columns]


def _even_parts(length: int, limit: int) -> list[tuple[int, int]]:
    count = math.ceil(length / limit)
    edges = [round(i * length / count) for i in range(count + 1)]
    return [(start, end - start) for start, end in zip(edges, edges[1:], strict=False)]


def _cost(places: tuple[int, int], template: tuple[int, int], size: tuple[int, int], threads: int) -> float:
    count = math.prod(math.ceil(p / (s - t + 1)) for p, s, t in zip(places, size, template, strict=True))
    pixels = math.prod(size)
    slowdown = 1 + _SLOWDOWN_A_DOUBLING * max(0.0, math.log2(pixels / _CACHED_PIXELS))
    one = pixels * math.log2(pixels + 1) * slowdown / 16 + _COST_OF_A_BLOCK
    waking = _COST_OF_WAKING if min(count, threads) > 1 else 0
    return waking + math.ceil(count / threads) * one + 0.02 * count * one


def _lengths(places: int, template: int, shortest: int) -> list[int]:
    """Lengths of transforms worth trying: from one place a block to all of them at once."""
    whole = places + template - 1
    if whole == shortest == 1:
        return [1]
    lengths = [length for length in _fast_lengths() if template <= length < whole]
    return [*lengths, next((length for length in _fast_lengths() if length >= whole), whole + whole % 2)]


@functools.cache
def _fast_lengths() -> list[int]:
    return sorted({odd << doublings for odd in _ODD_PARTS for doublings in range(1, _MOST_DOUBLINGS + 1)})
