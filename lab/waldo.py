"""Search for one figure in a crowd: by a template of it, and by a detector that is learned from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from lab.crowds import HEIGHT, draw_crowd, draw_template
from lab.detector import FIELD, STRIDE, Detector, Scene, learn
from lab.drawing import GREEN, RED, panels
from scs.errors import OptionError
from scs.matching.peaks import find_peaks
from scs.matching.scores import score_map

Pixels = NDArray[np.uint8]
Scores = NDArray[np.float32]
Box = tuple[float, float, float, float]  # x, y, width, height
OnStep = Callable[[int, int], None]

SCALES = 0.85, 1.0, 1.15
Q = 1000.0  # noise floor of SCS in grey levels
NEAR = FIELD / 3  # pixels from his middle that count as found
APART = FIELD // 2  # pixels between two places that count as two
MOST = 500  # places that are ranked
LEARNED_FROM, WALDOS = 6, 12  # crowds, and how often he is in each
LEAST_BOX = 8  # pixels on either side
LEARNED = "learned, hard negatives"


@dataclass(frozen=True)
class Place:
    """A detection: its middle in pixels of the scene, and the score."""

    x: float
    y: float
    score: float


@dataclass(frozen=True)
class Answer:
    """A map of scores for Waldo: entry (row, column) is for the middle ``first + stride * (column, row)``."""

    scores: Scores
    stride: int
    first: float

    def places(self) -> list[Place]:
        """Find the best places, best first, none of them the neighbour of a better one (NMS)."""
        window = APART // self.stride, APART // self.stride
        peaks = find_peaks(self.scores, window, MOST, threshold=-np.inf, overlap=0.0, subpixel=False)
        return [
            Place(self.first + self.stride * peak.column, self.first + self.stride * peak.row, peak.score)
            for peak in peaks
        ]

    def ahead(self, centre: NDArray[np.float64]) -> int:
        """Count the places that are better than the best one near to a centre; 0 if he is found, at most ``MOST``."""
        for number, place in enumerate(self.places()):
            if np.hypot(place.x - centre[0], place.y - centre[1]) <= NEAR:
                return number
        return MOST


@dataclass(frozen=True)
class Wanted:
    """The target of a search: a template, its mask, and scenes to learn from.

    Attributes:
        template: ``(h, w, 3)``, about as large as he is in the scenes.
        mask: ``(h, w)``, how much of each pixel is he.
        scenes: to learn from.
    """

    template: Pixels
    mask: Scores
    scenes: list[Scene]

    @classmethod
    def drawn(cls, crowds: int = LEARNED_FROM) -> Wanted:
        """Make the target Waldo of the drawn crowds, with crowds that hold him several times."""
        seen = [draw_crowd(seed, (320, 480), WALDOS) for seed in range(crowds)]
        return cls(*draw_template(), [Scene(crowd.pixels, crowd.centres) for crowd in seen])

    @classmethod
    def cut(cls, scene: Pixels, box: Box) -> Wanted:
        """Make a target of whoever is in a box of a scene; the rest of the scene gives the negatives."""
        left, top, width, height = box
        rows, columns = slice(round(top), round(top + height)), slice(round(left), round(left + width))
        template = scene[rows, columns]
        centre = np.array([[left + width / 2, top + height / 2]])
        return cls(template, np.ones(template.shape[:2], np.float32), [Scene(scene, centre)])

    def by_template(self, scene: Pixels, method: str, scales: tuple[float, ...] = (1.0,), q: float = 0.0) -> Answer:
        """Score a scene by the template, the best over the scales, by a method of ``scs.matching``.

        Where the template does not fit, the score is -1.
        """
        best = np.full(scene.shape[:2], -1, np.float32)
        for scale in scales:
            height, width = (round(scale * side) for side in self.template.shape[:2])
            way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
            pixels, weights = (
                cv2.resize(each, (width, height), interpolation=way) for each in (self.template, self.mask)
            )
            scores = score_map(scene, pixels, method, mask=weights, q=q).scores
            place = best[height // 2 :, width // 2 :][: scores.shape[0], : scores.shape[1]]
            np.maximum(place, scores, out=place)
        return Answer(best, 1, 0.5)

    def templates(self, scene: Pixels) -> dict[str, Answer]:
        """Score a scene by the templates: ZNCC, and ZNCC and SCS at three sizes."""
        return {
            "ZNCC": self.by_template(scene, "ccoeff_normed"),
            "ZNCC, three sizes": self.by_template(scene, "ccoeff_normed", SCALES),
            "SCS, three sizes": self.by_template(scene, "scs_centred", SCALES, Q),
        }


def by_detector(detector: Detector, scene: Pixels) -> Answer:
    """Score every place of a scene that a detector sees whole."""
    return Answer(detector.map(scene), STRIDE, FIELD / 2)


def seek(wanted: Wanted, scene: Pixels, *, steps: int, seed: int = 0, on_step: OnStep) -> dict[str, Answer]:
    """Score a scene by the templates, and by a detector that is trained for it, with hard negatives.

    Args:
        wanted: who is looked for.
        scene: ``(H, W, 3)``, in which he is about as large as in what is wanted.
        steps: of learning, in each of three rounds.
        seed: decides the learning.
        on_step: called with the number of steps done so far, and of all.
    """
    detector = learn(wanted.scenes, steps=steps, seed=seed, on_step=on_step)
    return {**wanted.templates(scene), LEARNED: by_detector(detector, scene)}


@dataclass(frozen=True)
class Search:
    """The result of a search: the scene at the size that it was searched at, and each way's scores.

    Attributes:
        pixels: ``(H, W, 3)``.
        found: answers by their names.
        factor: pixels of a side here by pixels of the same side of the scene as it came.
        box: who was looked for, in these pixels, where a box said so.
    """

    pixels: Pixels
    found: dict[str, Answer]
    factor: float
    box: Box | None

    @property
    def side(self) -> float:
        """Side of the window of a place, in pixels of the scene as it came."""
        return FIELD / self.factor

    def places(self, most: int) -> dict[str, list[Place]]:
        """Return the best places of each way, best first, in pixels of the scene as it came."""
        return {
            name: [Place(each.x / self.factor, each.y / self.factor, each.score) for each in answer.places()[:most]]
            for name, answer in self.found.items()
        }

    def draw(self) -> Figure:
        """Draw the scene, and the map of each way."""
        return draw_answers(self.pixels, self.found, self.box)


def search(scene: Pixels | None, box: Box | None, *, tall: int, steps: int, seed: int, on_step: OnStep) -> Search:
    """Resize a scene so that people have the size that a detector sees, learn who is wanted, and look for him.

    Args:
        scene: ``(H, W, 3)``; a crowd is drawn where there is none.
        box: who is looked for in it, and what is not he is learned from the rest; without one it is the drawn Waldo.
        tall: pixels of a figure in the scene, where there is no box.
        steps: of learning, in each of three rounds.
        seed: decides the crowd, where one is drawn, and the learning.
        on_step: called with the number of steps done so far, and of all.

    Raises:
        OptionError: the box is too small or not inside the scene, or the scene too small for somebody of that size.
    """
    whole = draw_crowd(seed).pixels if scene is None else scene
    height, width = whole.shape[:2]
    if box and (min(box[2:]) < LEAST_BOX or box[1] + box[3] > height or box[0] + box[2] > width):
        came = ",".join(f"{number:g}" for number in box)
        least = f"{LEAST_BOX}x{LEAST_BOX}"
        raise OptionError(f"--box is at least {least} and inside the scene, {width}x{height} here; {came} came")
    factor = FIELD / max(box[2:]) if box else HEIGHT / tall
    pixels = np.asarray(cv2.resize(whole, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA), np.uint8)
    if min(pixels.shape[:2]) < 2 * FIELD:
        raise OptionError(f"the scene is {width}x{height}, too small for somebody of that size in it")
    small = (box[0] * factor, box[1] * factor, box[2] * factor, box[3] * factor) if box else None
    wanted = Wanted.cut(pixels, small) if small else Wanted.drawn()
    found = seek(wanted, pixels, steps=steps, seed=seed, on_step=on_step)
    return Search(pixels, found, factor, small)


def draw_answers(scene: Pixels, found: dict[str, Answer], box: Box | None = None) -> Figure:
    """Draw a scene, and each map with the best place in it.

    Args:
        scene: ``(H, W, 3)``.
        found: answers by their names.
        box: where he is, drawn in green if it is known.
    """
    rows = -(-(1 + len(found)) // 2)
    figure, axes = panels(rows, 2, rows * (5 * scene.shape[0] / scene.shape[1] + 0.3))
    show_picture(axes[0], scene, "where is Waldo?")
    for each, (name, answer) in zip(axes[1:], found.items(), strict=False):
        show_picture(each, scene, name)
        height, width = np.array(answer.scores.shape) * answer.stride
        edge = answer.first - answer.stride / 2
        lowest = float(np.quantile(answer.scores, 0.8))
        extent = edge, edge + width, edge + height, edge
        each.imshow(answer.scores, cmap="magma", vmin=lowest, extent=extent, interpolation="nearest")
        best = answer.places()[0]
        outline(each, (best.x - FIELD / 2, best.y - FIELD / 2, FIELD, FIELD), RED)
    for each in axes[1 + len(found) :]:
        each.set_axis_off()
    for each in axes[: 1 + len(found)]:
        each.set(xlim=(0, scene.shape[1]), ylim=(scene.shape[0], 0))
        if box:
            outline(each, box, GREEN)
    return figure


def show_picture(axes: Axes, picture: Pixels, title: str) -> None:
    """Show a picture under its title, in a frame without ticks."""
    axes.imshow(picture)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    axes.set_title(title, fontsize=10)


def outline(axes: Axes, box: Box, colour: str) -> None:
    """Frame a box of a picture."""
    axes.add_patch(Rectangle(box[:2], box[2], box[3], fill=False, edgecolor=colour, lw=2.5))
