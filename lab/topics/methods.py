"""The six scores of template matching side by side, each with its map and the box that it finds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import skimage.data
from numpy.typing import NDArray

from lab.drawing import GREEN, RED, panels, save, show
from lab.tables import Table
from lab.topics.catalogue import Figures, Step
from scs.matching.scores import score_map

Picture = NDArray[np.uint8]

METHODS = ("sqdiff", "sqdiff_normed", "ccorr", "ccorr_normed", "ccoeff", "ccoeff_normed")
BOX = (70, 180, 110, 84)  # row, column, height, width of the template in the photograph
NEAR = 3  # pixels either way that a place may be off and is still found
NOISE = 25  # grey levels, standard deviation
CHANGES = ("as it is", "at half the light", "60 brighter", "at half the contrast", "noise", "its negative")


def photograph() -> Picture:
    """Return the scene: scikit-image's astronaut in grey, ``(512, 512)``."""
    weights = np.array([0.299, 0.587, 0.114])
    return np.asarray((skimage.data.astronaut() @ weights).round().astype(np.uint8))


def template() -> Picture:
    """Return the astronaut's face as it is in the photograph."""
    row, column, height, width = BOX
    return photograph()[row : row + height, column : column + width]


def changed(picture: Picture, how: str) -> Picture:
    """Change a picture, one of ``CHANGES``, in bytes as a camera would give them."""
    x = picture.astype(np.float64)
    noise = np.random.default_rng(0).normal(0, NOISE, x.shape)
    made = {
        "as it is": x,
        "at half the light": x / 2,
        "60 brighter": x + 60,
        "at half the contrast": x.mean() + (x - x.mean()) / 2,
        "noise": x + noise,
        "its negative": 255 - x,
    }[how]
    return np.asarray(np.clip(np.rint(made), 0, 255).astype(np.uint8))


def best(scores: NDArray[np.float32], method: str) -> tuple[int, int]:
    """Return row and column of the best score: the smallest of a difference, else the largest."""
    place = scores.argmin() if method.startswith("sqdiff") else scores.argmax()
    row, column = np.unravel_index(place, scores.shape)
    return int(row), int(column)


def run(quick: bool, step: Step) -> Figures:
    """Look for the template in the photograph and in changed ones, by each score."""
    found: dict[str, Any] = {}
    for number, how in enumerate(CHANGES):
        scene = changed(photograph(), how)
        scenes = {method: score_map(scene, template(), method).scores for method in METHODS}
        places = {method: best(scores, method) for method, scores in scenes.items()}
        found[how] = {
            method: {"place": list(place), "score": float(scenes[method][place])} for method, place in places.items()
        }
        step(number + 1, len(CHANGES))
    return {"box": list(BOX), "near": NEAR, "noise": NOISE, "found": found}


def is_found(place: list[int]) -> bool:
    """Tell whether a place is that of the template."""
    return all(abs(came - wanted) <= NEAR for came, wanted in zip(place, BOX, strict=False))


def tables(figures: Figures) -> dict[str, Table]:
    """Make the table: where each score finds the template in a photograph that was changed, and the score there."""
    rows = [[how, *(_cell(each[method]) for method in METHODS)] for how, each in figures["found"].items()]
    return {"found": Table(["photograph", *METHODS], rows)}


def draw(figures: Figures, folder: Path) -> list[Path]:
    """Draw each score's map and the box that it finds."""
    return [_draw_maps(figures, folder / "maps.jpg")]


def _cell(found: dict[str, Any]) -> str:
    return f"{'found' if is_found(found['place']) else 'wrong'}, {found['score']:.2g}"


def _draw_maps(figures: Figures, path: Path) -> Path:
    figure, axes = panels(3, 4, 7.4)
    scene = photograph()
    for number, method in enumerate(METHODS):
        left, right = axes[2 * number : 2 * number + 2]
        scores = score_map(scene, template(), method).scores
        show(left, scores, method)
        show(right, scene, "found" if is_found(figures["found"]["as it is"][method]["place"]) else "wrong")
        row, column = figures["found"]["as it is"][method]["place"]
        left.plot(column, row, "o", ms=9, mfc="none", mew=2, color=GREEN if is_found([row, column]) else RED)
        _outline(right, row, column)
    return save(figure, path)


def _outline(axes: Any, row: int, column: int) -> None:
    height, width = BOX[2:]
    across, down = np.array([0, width, width, 0, 0]), np.array([0, 0, height, height, 0])
    axes.plot(column + across, row + down, color=GREEN if is_found([row, column]) else RED, lw=2)
