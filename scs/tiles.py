"""Maps of large pictures tile by tile, with just enough overlap that every value stays the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scs.errors import OptionError

Array = NDArray[Any]


@dataclass(frozen=True)
class Span:
    """A tile along one axis: the pixels that it is given, and which of the entries made of them are its own."""

    pixels: slice
    entries: slice


def spans(length: int, *, size: int, stride: int = 1, offset: int = 0, tile: int = 512) -> Iterator[Span]:
    """Cut an axis into tiles that contain the receptive fields of all their entries.

    Args:
        length: pixels of the axis.
        size: pixels that an entry of the map sees: entry ``i`` from ``offset + i * stride`` on.
        stride: pixels between neighbouring entries.
        offset: first pixel of the first entry; below 0 where padding is seen.
        tile: pixels that a tile answers for; it is given up to ``size + stride`` more.

    Raises:
        OptionError: a size, a stride or a tile that cannot be.

    Example:
        >>> [(span.pixels.start, span.pixels.stop) for span in spans(10, size=3, tile=4)]
        [(0, 6), (4, 10)]
    """
    if size < 1 or stride < 1 or tile < stride:
        came = f"size {size}, stride {stride}, tile {tile}"
        raise OptionError(f"a tile needs a size and a stride of 1 or more, and at least a stride itself; {came} came")
    count = tile // stride
    first = 0
    while True:
        # Steps of a stride, so that what is halved inside is halved at the same places.
        start = max(0, (offset + first * stride) // stride * stride)
        stop = offset + (first + count - 1) * stride + size
        skipped = first - start // stride
        if stop + stride > length:  # nothing whole is left behind it: what sees padding there is this tile's too
            yield Span(slice(start, length), slice(skipped, None))
            return
        yield Span(slice(start, stop), slice(skipped, skipped + count))
        first += count


def tiled(
    maps: Callable[[Array], Array], picture: Array, *, size: int, stride: int = 1, offset: int = 0, tile: int = 512
) -> Array:
    """Compute maps of a picture tile by tile, equal to those of the whole picture, in the memory of a tile.

    Args:
        maps: called with parts of the picture, ``(h, w)`` or ``(h, w, C)``; answers ``(..., h', w')``. Each entry may
            depend on the pixels that it sees and on nothing else, such as the part's mean.
        picture: ``(H, W)`` or ``(H, W, C)``.
        size: pixels that an entry sees, along either axis; on a model's card that is ``receptive_field.size``.
        stride: likewise; see :func:`spans`.
        offset: likewise.
        tile: pixels along a side that a tile answers for.

    Returns:
        ``(..., H', W')``, what ``maps(picture)`` is.

    Raises:
        OptionError: see :func:`spans`.

    Example:
        >>> from scs.matching.scores import score_map
        >>> scene = np.random.default_rng(0).integers(0, 256, (300, 400), np.uint8)
        >>> whole = score_map(scene, scene[:16, :16]).scores
        >>> parts = tiled(lambda part: score_map(part, scene[:16, :16]).scores, scene, size=16, tile=100)
        >>> parts.shape == whole.shape, bool(np.abs(parts - whole).max() < 1e-5)
        (True, True)
    """
    height, width = picture.shape[:2]
    along = {"size": size, "stride": stride, "offset": offset, "tile": tile}
    columns = list(spans(width, **along))
    rows = []
    for row in spans(height, **along):
        parts = [maps(picture[row.pixels, column.pixels])[..., row.entries, column.entries] for column in columns]
        rows.append(np.concatenate(parts, axis=-1))
    return np.concatenate(rows, axis=-2)
