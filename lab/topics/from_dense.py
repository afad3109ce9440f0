"""From a dense layer to a convolution: the weights that each step saves, and the errors near the border."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import get_args

import numpy as np
import skimage.data
from numpy.typing import NDArray

from lab.convolution import Border, correlate
from lab.drawing import BLUE, GREEN, RED, panels, save, show
from lab.named_kernels import gaussian
from lab.tables import Table, percent
from lab.topics.catalogue import Figures, Step
from scs import parameters

Picture = NDArray[np.float64]

INPUTS, OUTPUTS = (32, 32, 3), (28, 28, 64)
STEPS: dict[str, Callable[[parameters.Shape, parameters.Shape], int]] = {
    "dense": parameters.dense,
    "the same everywhere": parameters.shared,
    "local": parameters.local,
    "both: convolution": parameters.convolution,
}
LENGTH, WINDOW = 24, 5  # of the signal whose matrices are drawn, and of its kernel
SIDE, SEEN = 32, 64  # of a picture cut out, and of what is around it, with a margin for every layer
DEPTHS = (1, 2, 4, 8)
COLOURS: dict[Border, str] = {"zero": RED, "circular": BLUE, "reflecting": GREEN}


def run(quick: bool, step: Step) -> Figures:
    """Count the weights of each step, and measure the error of a layer near a border that was padded."""
    trials = 20 if quick else 200
    random = np.random.default_rng(0)
    photographs = [skimage.data.camera(), *np.moveaxis(skimage.data.astronaut(), 2, 0)]
    squares = {border: np.zeros((len(DEPTHS), SIDE // 2)) for border in get_args(Border)}
    truth = np.zeros(len(DEPTHS))
    for trial in range(trials):
        photograph = photographs[trial % len(photographs)]
        row, column = random.integers(0, np.array(photograph.shape) - SEEN)
        around = photograph[row : row + SEEN, column : column + SEEN].astype(np.float64)
        around -= around.mean()
        truth += _measure(around, squares)
        step(trial + 1, trials)
    rings = np.bincount(_ring().ravel())
    return {
        "parameters": {name: count(INPUTS, OUTPUTS) for name, count in STEPS.items()},
        "drawn": {name: count((1, LENGTH, 1), (1, LENGTH - WINDOW + 1, 1)) for name, count in STEPS.items()},
        "trials": trials,
        "depths": list(DEPTHS),
        "touched": [1 - ((SIDE - 2 * depth) / SIDE) ** 2 for depth in DEPTHS],
        "wrong": {  # by depth: root of the mean square, in that of what is right
            border: np.sqrt(sums.sum(1) / truth).tolist() for border, sums in squares.items()
        },
        "by_ring": {  # at the largest depth, by distance from the border
            border: np.sqrt((sums[-1] / rings) / (truth[-1] / SIDE**2)).tolist() for border, sums in squares.items()
        },
    }


def tables(figures: Figures) -> dict[str, Table]:
    """Make the tables: weights by step, and errors by border."""
    convolved = figures["parameters"]["both: convolution"]
    counts = [[name, f"{count:,}", f"{count / convolved:,.0f}"] for name, count in figures["parameters"].items()]
    borders = [
        [f"{depth}", percent(figures["touched"][i]), *(percent(wrong[i], 1) for wrong in figures["wrong"].values())]
        for i, depth in enumerate(figures["depths"])
    ]
    return {
        "parameters": Table(["layer", "weights", "times a convolution's"], counts),
        "borders": Table(["layers of 3x3", "outputs touched", *figures["wrong"]], borders),
    }


def draw(figures: Figures, folder: Path) -> list[Path]:
    """Draw the matrices of the steps, and the errors of the borders."""
    return [_draw_matrices(figures, folder / "matrices.png"), _draw_borders(figures, folder / "borders.png")]


def _measure(around: Picture, squares: dict[Border, NDArray[np.float64]]) -> NDArray[np.float64]:
    """Add the squared errors by depth and ring; the result is the sum of the squares of what is right, by depth.

    What is right is what the same layers make of the whole picture, which goes on beyond the part that is cut out.
    """
    margin = (SEEN - SIDE) // 2
    inside = (slice(margin, -margin),) * 2
    right = around
    cut: dict[Border, Picture] = dict.fromkeys(squares, around[inside])
    kernel = np.outer(*[gaussian(1.0, radius=1)] * 2)
    energy = []
    for depth in range(1, DEPTHS[-1] + 1):
        right = correlate(right, kernel)
        cut = {border: correlate(picture, kernel, "same", border) for border, picture in cut.items()}
        if depth in DEPTHS:
            number = DEPTHS.index(depth)
            energy.append((right[inside] ** 2).sum())
            for border, picture in cut.items():
                squares[border][number] += np.bincount(_ring().ravel(), ((picture - right[inside]) ** 2).ravel())
    return np.array(energy)


def _ring() -> NDArray[np.int64]:
    """How far from the border each pixel is, 0 at it."""
    along = np.minimum(np.arange(SIDE), np.arange(SIDE)[::-1])
    return np.minimum(along[:, None], along)


def _draw_matrices(figures: Figures, path: Path) -> Path:
    """Each weight in a colour of its own, places without a weight in white."""
    places = LENGTH - WINDOW + 1
    row, column = np.mgrid[:places, :LENGTH]
    step = column - row
    window = (step >= 0) & (step < WINDOW)
    weights = [
        np.random.default_rng(0).random((places, LENGTH)),
        np.random.default_rng(1).random(2 * LENGTH)[step + places],
        np.where(window, np.random.default_rng(2).random((places, LENGTH)), np.nan),
        np.where(window, np.linspace(0, 1, WINDOW)[np.clip(step, 0, WINDOW - 1)], np.nan),
    ]
    figure, axes = panels(1, 4, 2.7)
    for each, matrix, (name, count) in zip(axes, weights, figures["drawn"].items(), strict=True):
        show(each, matrix, f"{name}: {count} weights", cmap="viridis")
    return save(figure, path)


def _draw_borders(figures: Figures, path: Path) -> Path:
    figure, axes = panels(1, 2, 3.2)
    for border, colour in COLOURS.items():
        axes[0].plot(figures["depths"], 100 * np.array(figures["wrong"][border]), "o-", color=colour, label=border)
        axes[1].plot(100 * np.array(figures["by_ring"][border]), "o-", color=colour, ms=4)
    axes[0].set(xlabel="layers of 3x3", ylabel="error, %", xticks=figures["depths"], ylim=(0, None))
    axes[1].set(xlabel=f"pixels from the border, after {DEPTHS[-1]} layers", ylabel="error, %", ylim=(0, None))
    axes[0].legend(frameon=False)
    return save(figure, path)
