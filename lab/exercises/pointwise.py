"""A 1x1 convolution is a dense layer that is applied to every pixel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import skimage.data

from lab.convolution import Array, correlate
from lab.drawing import panels, save, show
from lab.tables import Table

MIXES = {"light": (0.3, 0.6, 0.1), "red less green": (1.0, -1.0, 0.0), "yellow less blue": (0.5, 0.5, -1.0)}


def by_convolution(picture: Array, weights: Array) -> Array:
    """Correlate a picture ``(C, H, W)`` with kernels ``(K, C)`` of 1x1; ``(K, H, W)``."""
    return correlate(picture, weights[:, :, None, None])


def by_dense(picture: Array, weights: Array) -> Array:
    """Apply one dense layer ``(K, C)`` to the channels of each pixel of ``(C, H, W)``; ``(K, H, W)``."""
    pixels = picture.reshape(len(picture), -1).T  # (H * W, C)
    return (pixels @ weights.T).T.reshape(-1, *picture.shape[1:])


def run(quick: bool) -> dict[str, Any]:
    """Compare both on a photograph and on random numbers of many channels."""
    random = np.random.default_rng(0)
    cases = {
        "photograph, 3 to 3": (_photograph(), np.array(list(MIXES.values()))),
        "random, 64 to 32": (random.normal(size=(64, 24, 24)), random.normal(size=(32, 64))),
    }
    return {
        name: {
            "parameters": int(weights.size),
            "difference": float(np.abs(by_convolution(x, weights) - by_dense(x, weights)).max()),
        }
        for name, (x, weights) in cases.items()
    }


def table(figures: dict[str, Any]) -> Table:
    """Make the table: parameters, and the largest difference."""
    rows = [[name, f"{each['parameters']:,}", f"{each['difference']:.0e}"] for name, each in figures.items()]
    return Table(["channels", "weights", "largest difference"], rows)


def draw(figures: dict[str, Any], path: Path) -> Path:
    """Draw a photograph and what three kernels of 1x1 make of it."""
    made = by_convolution(_photograph(), np.array(list(MIXES.values())))
    figure, axes = panels(1, 4, 2.7)
    show(axes[0], skimage.data.astronaut(), "photograph")
    for each, name, pixels in zip(axes[1:], MIXES, made, strict=True):
        show(each, pixels, f"1x1: {name}")
    return save(figure, path)


def _photograph() -> Array:
    return np.asarray(skimage.data.astronaut().transpose(2, 0, 1), np.float64)
