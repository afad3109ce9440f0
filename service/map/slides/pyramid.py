"""Maps of slides as OME-Zarr 0.4: a pyramid of levels, each of half the size of the one above it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.map.packages import needed_for

Maps = NDArray[np.float32]
Merge = Callable[[NDArray[Any], tuple[int, ...]], NDArray[Any]]  # of an array, over axes

_SMALLEST = 256  # pixels of the longer side of the last level


def create_maps(folder: Path, shape: tuple[int, int, int], tile: tuple[int, int]) -> None:
    """Create the largest level of maps ``(C, H, W)``, float32, all 0, with a chunk a tile; one that is there stays."""
    with needed_for("maps of slides"):
        import zarr

    if not (folder / "0").exists():
        _create(zarr.open_group(folder, mode="a", zarr_format=2), 0, shape, tile)


def write_tile(folder: Path, maps: Maps, top: int, left: int) -> None:
    """Write maps ``(C, h, w)`` into the largest level; they cover whole chunks, which no other process writes to."""
    import zarr

    array = zarr.open_array(folder / "0", mode="r+")
    array[:, top : top + maps.shape[1], left : left + maps.shape[2]] = maps


def finish_pyramid(folder: Path, names: Sequence[str], scale: float, merge: Merge) -> None:
    """Write the smaller levels of maps, and what their sizes and channels are.

    Args:
        folder: of the maps.
        names: of the channels.
        scale: pixels of the slide for one of the largest level.
        merge: makes one value of four neighbours, ``np.max`` or ``np.mean``.
    """
    import zarr

    group = zarr.open_group(folder, mode="r+")
    above: Any = group["0"]
    levels = 1
    while max(above.shape[1:]) > _SMALLEST:
        channels, height, width = above.shape
        tile = above.chunks[1:]
        below = _create(group, levels, (channels, -(-height // 2), -(-width // 2)), tile)
        for top in range(0, below.shape[1], tile[0]):
            for left in range(0, below.shape[2], tile[1]):
                part = above[:, 2 * top : 2 * (top + tile[0]), 2 * left : 2 * (left + tile[1])]
                halved = _halved(part, merge)
                below[:, top : top + halved.shape[1], left : left + halved.shape[2]] = halved
        above, levels = below, levels + 1
    group.attrs["multiscales"] = [
        {
            "version": "0.4",
            "name": folder.name,
            "axes": [{"name": "c", "type": "channel"}, *({"name": axis, "type": "space"} for axis in "yx")],
            "datasets": [
                {
                    "path": str(level),
                    "coordinateTransformations": [{"type": "scale", "scale": [1, *2 * [scale * 2**level]]}],
                }
                for level in range(levels)
            ],
        }
    ]
    group.attrs["channels"] = list(names)


def _create(group: Any, level: int, shape: tuple[int, int, int], tile: tuple[int, int]) -> Any:
    return group.create_array(
        str(level),
        shape=shape,
        chunks=(shape[0], *tile),
        dtype="float32",
        fill_value=0.0,
        chunk_key_encoding={"name": "v2", "separator": "/"},
        overwrite=True,
    )


def _halved(maps: Maps, merge: Merge) -> NDArray[Any]:
    channels, height, width = maps.shape
    even = np.pad(maps, ((0, 0), (0, height % 2), (0, width % 2)), mode="edge")
    return merge(even.reshape(channels, even.shape[1] // 2, 2, even.shape[2] // 2, 2), (2, 4))
