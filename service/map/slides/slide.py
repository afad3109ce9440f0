"""Reading of slides: those of scanners by OpenSlide, TIFF by tifffile, and OME-Zarr."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from scs.errors import ImageError, OptionError
from service.api.files import shown_name
from service.map.packages import needed_for
from service.pictures.folder import files_in

Pixels = NDArray[Any]
Read = Callable[[int, int, int, int], Pixels]  # top, left, height, width

# What OpenSlide reads and nothing else here does; https://openslide.org/formats/
SCANNED = (".svs", ".ndpi", ".mrxs", ".scn", ".vms", ".vmu", ".bif", ".svslide")
_TIFF = (".tif", ".tiff", ".btf", ".tf8")
_COLOURS = (1, 3)


@dataclass(frozen=True, eq=False)
class Level:
    """A slide at one of its sizes.

    Attributes:
        height: pixels.
        width: pixels.
        scale: pixels of the largest level by those of this one, along either side.
        read: reads a part, ``(h, w, C)``, C 1 or 3, as ``read(top, left, height, width)``.
    """

    height: int
    width: int
    scale: float
    read: Read


def is_slide(path: Path, max_pixels: int) -> bool:
    """Return whether a file is a slide: by its name; a TIFF by having more pixels; a Zarr by its levels."""
    if path.suffix.lower() in SCANNED:
        return True
    if path.is_dir():
        return bool(_multiscales(path))
    if path.suffix.lower() not in _TIFF:
        return False
    import tifffile

    try:
        with tifffile.TiffFile(path) as file:
            return bool(file.pages.first.imagewidth * file.pages.first.imagelength > max_pixels)
    except Exception:  # whatever a damaged file brings about; as a picture it is refused by what it lacks
        return False


def are_slides(inputs: Iterable[str], max_pixels: int) -> bool:
    """Return whether any of the inputs is a slide, or a folder with a scanned one in it."""
    paths = [Path(each) for each in inputs]
    folders = [path for path in paths if path.is_dir() and not _multiscales(path)]
    scanned = (file.suffix.lower() in SCANNED for folder in folders for file in files_in(folder))
    return any(is_slide(path, max_pixels) for path in paths) or any(scanned)


@lru_cache(2)
def open_level(path: bytes, number: int) -> Level:
    """Open a slide at one of its levels, once in a process.

    Args:
        path: of the file, or folder.
        number: of the level, 0 the largest.

    Raises:
        ImageError: it cannot be read.
        OptionError: it has no such level, or its pixels are of another kind.
        MissingPackageError: what reads it is not installed.
    """
    whole = Path(os.fsdecode(path))
    if whole.suffix.lower() in SCANNED:
        opened = _scanned(whole)
    else:
        opened = _zarr_levels(whole) if whole.is_dir() else _tiff_levels(whole)
    if number >= len(opened.levels):
        opened.close()
        raise OptionError(f"{shown_name(str(whole))} has levels 0 to {len(opened.levels) - 1}; {number} came")
    level = opened.levels[number]
    weakref.finalize(level, opened.close)
    return level


class _Opened(NamedTuple):
    levels: list[Level]
    close: Callable[[], object]


def _scanned(path: Path) -> _Opened:
    with needed_for("a scanned slide"):
        import openslide

    try:
        slide = openslide.OpenSlide(path)
    except openslide.OpenSlideError as error:
        raise ImageError(f"a slide that OpenSlide reads was needed: {error}") from None
    blank = "#" + slide.properties.get(openslide.PROPERTY_NAME_BACKGROUND_COLOR, "ffffff")

    def reader(level: int, scale: float) -> Read:
        def read(top: int, left: int, height: int, width: int) -> Pixels:
            from PIL import Image

            try:
                part = slide.read_region((round(left * scale), round(top * scale)), level, (width, height))
            except openslide.OpenSlideError as error:
                raise ImageError(f"the slide is damaged: {error}") from None
            below = Image.new("RGBA", part.size, blank)  # where nothing was scanned
            return np.asarray(Image.alpha_composite(below, part).convert("RGB"))

        return read

    largest = slide.level_dimensions[0][1]
    sizes = [(height, width, _scale(largest, height)) for width, height in slide.level_dimensions]
    levels = [Level(height, width, scale, reader(i, scale)) for i, (height, width, scale) in enumerate(sizes)]
    return _Opened(levels, slide.close)


def _tiff_levels(path: Path) -> _Opened:
    import tifffile

    with needed_for("a tiled TIFF"):
        import zarr
    try:
        file = tifffile.TiffFile(path)
        series = file.series[0]
        arrays = [zarr.open_array(series.aszarr(level=i), mode="r") for i in range(len(series.levels))]
    except Exception as error:  # tifffile's, zarr's and Python's own
        raise ImageError(f"a TIFF that is whole was needed: {error}") from None
    return _Opened(_levels([_placed(path, array, series.axes.lower()) for array in arrays]), file.close)


def _zarr_levels(path: Path) -> _Opened:
    import zarr

    (multiscale, *_) = _multiscales(path)
    axes = "".join(axis["name"] for axis in multiscale["axes"])
    arrays = [zarr.open_array(path / dataset["path"], mode="r") for dataset in multiscale["datasets"]]
    return _Opened(_levels([_placed(path, array, axes) for array in arrays]), lambda: None)


def _multiscales(folder: Path) -> list[dict[str, Any]]:
    """The pyramids of an OME-Zarr, of either version; none where it is something else."""
    try:
        import zarr

        attributes = dict(zarr.open_group(folder, mode="r").attrs)
    except Exception:  # no zarr, no group, or not even a folder of Zarr
        return []
    ome: Any = attributes.get("ome", attributes)
    found: list[dict[str, Any]] = ome.get("multiscales", [])
    return found


def _levels(placed: list[tuple[int, int, Read]]) -> list[Level]:
    largest = placed[0][0]
    return [Level(height, width, _scale(largest, height), read) for height, width, read in placed]


def _scale(largest: int, height: int) -> float:
    """Pixels of the largest level by those of another: a whole number where its height is that, rounded."""
    whole = round(largest / height)
    return float(whole) if abs(largest - height * whole) < whole else largest / height


def _placed(path: Path, array: Any, axes: str) -> tuple[int, int, Read]:
    """Height and width of an array whose axes are named, and what reads a part of it as ``(h, w, C)``."""
    axes = axes.replace("s", "c")
    sizes = dict(zip(axes, array.shape, strict=True))
    others = [axis for axis in axes if axis not in "yxc" and sizes[axis] > 1]
    if not {"y", "x"} <= sizes.keys() or others or sizes.get("c", 1) not in _COLOURS:
        raise OptionError(
            f"{shown_name(str(path))} needs to be one picture of 1 or 3 channels; its axes {axes} are {array.shape}"
        )

    def read(top: int, left: int, height: int, width: int) -> Pixels:
        wanted = {"y": slice(top, top + height), "x": slice(left, left + width), "c": slice(None)}
        try:
            part = np.asarray(array[tuple(wanted.get(axis, 0) for axis in axes)])
        except Exception as error:  # each codec raises classes of its own
            raise ImageError(f"the slide is damaged: {error}") from None
        kept = [axis for axis in axes if axis in "yxc"]
        if "c" not in kept:
            part, kept = part[..., None], [*kept, "c"]
        return np.ascontiguousarray(part.transpose([kept.index(axis) for axis in "yxc"]))

    return sizes["y"], sizes["x"], read
