"""Convolution does not mind which of two is the signal and which the kernel: f*g = g*f. Correlation does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from lab.convolution import Array, convolve, correlate
from lab.drawing import BLUE, GREEN, RED, panels, save
from lab.tables import Table


def pair() -> tuple[Array, Array]:
    """Return a signal of steps ``(40,)``, and a kernel ``(12,)`` that rises at once and falls off."""
    signal = np.repeat([0.0, 1.0, 0.3, 0.0, 0.7], 8)
    return signal, np.exp(-np.arange(12) / 3)


def run(quick: bool) -> dict[str, Any]:
    """Exchange signal and kernel, for convolution and for correlation."""
    f, g = pair()
    return {
        name: float(np.abs(made(f, g, "full") - made(g, f, "full")).max())
        for name, made in (("convolution", convolve), ("correlation", correlate))
    }


def table(figures: dict[str, Any]) -> Table:
    """Make the table: how far the two orders are apart."""
    rows = [[name, f"{apart:.0e}" if apart < 1e-6 else f"{apart:.2f}"] for name, apart in figures.items()]
    return Table(["", "largest difference of the two orders"], rows)


def draw(figures: dict[str, Any], path: Path) -> Path:
    """Draw both, and what either order makes of them."""
    f, g = pair()
    figure, axes = panels(1, 3, 2.6)
    axes[0].step(np.arange(f.size), f, color="black", label="f")
    axes[0].plot(g, color=GREEN, label="g")
    for each, made in zip(axes[1:], (convolve, correlate), strict=True):
        each.plot(made(f, g, "full"), color=BLUE, lw=3.5, alpha=0.5, label="f, g")
        each.plot(made(g, f, "full"), color=RED, lw=1, label="g, f")
        each.set_title(made.__name__, fontsize=10)
    axes[0].set_title("two signals", fontsize=10)
    for each in axes:
        each.legend(frameon=False, fontsize=8)
    return save(figure, path)
