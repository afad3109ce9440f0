"""The style of the laboratory's pictures: one width, few colours that nearly everybody can tell apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

# Okabe and Ito (2008).
BLUE, GREEN, RED = "#0072b2", "#009e73", "#d55e00"
ORANGE, SKY, PURPLE = "#e69f00", "#56b4e9", "#cc79a7"
GREY = "#888888"
WIDTH = 10.0  # inches, and at DPI dots each a page is a thousand pixels wide
DPI = 100


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


def show(axes: Axes, pixels: NDArray[Any], title: str, cmap: str = "gray", **limits: float) -> None:
    """Show a picture under its title, without axes; ``vmin`` and ``vmax`` may say what is black and what is white."""
    axes.imshow(pixels, cmap=cmap, **limits)  # type: ignore[arg-type]
    axes.set_title(title, fontsize=10)
    axes.set_axis_off()
