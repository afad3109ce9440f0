"""The style of the laboratory's pictures: one width, few colours that nearly everybody can tell apart."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

# Okabe and Ito (2008).
BLUE, GREEN, RED = "#0072b2", "#009e73", "#d55e00"
ORANGE, SKY, PURPLE = "#e69f00", "#56b4e9", "#cc79a7"
GREY = "#888888"
WIDTH = 10.0  # inches, and at DPI dots each a page is a thousand pixels wide
DPI = 100
_FRAMES, _COLOURS = 28, 24  # of an animation
_HOLD_MS, _FRAME_MS = 1500, 160


def panels(rows: int, columns: int, height: float, *, share: bool = False) -> tuple[Figure, list[Axes]]:
    """Make a figure of panels, row after row, without the frame's upper and right side.

    Args:
        rows: of panels.
        columns: of panels.
        height: of the figure, in inches; it is ``WIDTH`` wide.
        share: whether all panels have the same axes.
    """
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    axes = list(np.ravel(figure.subplots(rows, columns, squeeze=False, sharex=share, sharey=share)))
    for each in axes:
        each.spines[["top", "right"]].set_visible(False)
    return figure, axes


def save(figure: Figure, path: Path) -> Path:
    """Write a picture, and return its path."""
    figure.savefig(path, dpi=DPI, pil_kwargs={"optimize": True})
    return path


def early_steps(count: int) -> list[int]:
    """Choose which of so many steps to show, from 0: most of them early, where most happens."""
    chosen: list[int] = (np.unique(np.geomspace(1, count, _FRAMES).round().astype(int)) - 1).tolist()
    return chosen


def as_frame(figure: Figure) -> Image.Image:
    """Return a figure as a frame of an animation."""
    drawn = BytesIO()
    figure.savefig(drawn, dpi=DPI)
    return Image.open(drawn).convert("RGB")


def save_animation(frames: Sequence[Image.Image], path: Path) -> Path:
    """Write frames of one size as a GIF that goes on for ever and rests at its ends, and return its path."""
    few = [frame.quantize(_COLOURS, dither=Image.Dither.NONE) for frame in frames]
    durations = [_HOLD_MS, *[_FRAME_MS] * (len(few) - 2), 2 * _HOLD_MS]
    few[0].save(path, save_all=True, append_images=few[1:], duration=durations, loop=0, optimize=True)
    return path


def show(axes: Axes, pixels: NDArray[Any], title: str, cmap: str = "gray", **limits: float) -> None:
    """Show a picture under its title, without axes; ``vmin`` and ``vmax`` may say what is black and what is white."""
    axes.imshow(pixels, cmap=cmap, **limits)  # type: ignore[arg-type]
    axes.set_title(title, fontsize=10)
    axes.set_axis_off()
