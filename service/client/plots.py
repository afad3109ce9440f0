"""Results as plots of matplotlib, which is imported here alone, and only when something is drawn."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from scs.errors import MissingPackageError
from scs.matching.found import Match
from service.api.files import NamedBytes
from service.client.html import ABSENT, PRESENT
from service.colours import Map, scale_for

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Drawn: TypeAlias = tuple[str, Map, bool]  # its name, the numbers (H, W), and whether they are signed

_INCHES = 2.2  # of a heatmap


def bars(labels: Sequence[str], lengths: Sequence[float], axes: Axes | None) -> Axes:
    """Draw bars that go to the right, the first on top."""
    axes = axes or _pyplot().subplots(figsize=(5, 0.4 * len(labels) + 0.6), layout="constrained")[1]
    places = range(len(labels))
    axes.barh(places, lengths, color="#2171b5")
    axes.set_yticks(places, labels)
    axes.set_xlim(0, 1)
    axes.invert_yaxis()
    return axes


def heatmaps(rows: Sequence[Sequence[Drawn]]) -> Figure:
    """Draw heatmaps by the colours of the service, each with its own scale, in rows."""
    from_colours = _matplotlib("colors").ListedColormap
    columns = max(map(len, rows))
    size = (_INCHES * columns, _INCHES * len(rows))
    figure: Figure
    figure, grid = _pyplot().subplots(len(rows), columns, squeeze=False, figsize=size, layout="constrained")
    for axes in grid.flat:
        axes.set_axis_off()
    for line, drawn in zip(grid, rows, strict=True):
        for axes, (name, values, signed) in zip(line, drawn, strict=False):
            scale = scale_for(values, signed)
            colours = from_colours(scale.colours / 255)
            shown = axes.imshow(values, cmap=colours, vmin=scale.low, vmax=scale.high, interpolation="nearest")
            axes.set_title(name, fontsize=8)
            figure.colorbar(shown, ax=axes, ticks=scale.ticks, shrink=0.7)
    return figure


def boxes(scene: NamedBytes | None, size: tuple[int, int], matches: Iterable[Match], axes: Axes | None) -> Axes:
    """Draw a scene of that width and height, and the outline of each match, dashed where it is not present."""
    width, height = size
    axes = axes or _pyplot().subplots(layout="constrained")[1]
    pixels = _pixels(scene)
    if pixels is not None and pixels.shape[:2] == (height, width):
        axes.imshow(pixels, cmap="gray", extent=(0, width, height, 0))
    for match in matches:
        colour, line = (PRESENT, "-") if match.present else (ABSENT, "--")
        axes.plot(*np.vstack([match.corners, match.corners[:1]]).T, color=colour, linestyle=line)
        axes.annotate(f"{match.score:.2f}", match.corners[0], color=colour, fontsize=8, va="bottom")
    axes.set(xlim=(0, width), ylim=(height, 0), aspect="equal")
    return axes


def _pixels(file: NamedBytes | None) -> Any:
    """Return the pixels of a picture; None where there are none that matplotlib reads."""
    if file is None or not file.content:
        return None
    if file.is_npy:
        return np.load(io.BytesIO(file.content))
    from PIL import Image, ImageOps, UnidentifiedImageError  # which matplotlib brings

    try:
        with Image.open(io.BytesIO(file.content)) as picture:
            return np.asarray(ImageOps.exif_transpose(picture).convert("RGB"))
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError):
        return None


def _pyplot() -> Any:
    return _matplotlib("pyplot")


def _matplotlib(name: str) -> Any:
    """Import a module of matplotlib.

    Raises:
        MissingPackageError: it is not installed.
    """
    try:
        return import_module(f"matplotlib.{name}")
    except ModuleNotFoundError as error:
        raise MissingPackageError(f"plot needs matplotlib, which is not installed: pip install {error.name}") from None
