"""Where is Waldo: a template, and a detector that is learned, slid over crowds of people who look nearly like him."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from lab.crowds import HEIGHT, Crowd, draw_crowd, draw_template
from lab.detector import FIELD, STRIDE, Detector, Scene, learn
from lab.drawing import GREEN, RED, panels, save
from lab.tables import Table
from lab.topics.catalogue import Figures, Step
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
UNSEEN = 1000  # seed of the first crowd that nothing was learned from
SMALL = 240, 360  # height and width of the crowd that is drawn with its maps
TILE = 128
LEARNED = "learned, hard negatives"


@dataclass(frozen=True)
class Place:
    """A place that a method likes: its middle in pixels of the scene, and the score."""

    x: float
    y: float
    score: float


@dataclass(frozen=True)
class Answer:
    """How much every place is like Waldo: entry (row, column) is for the middle ``first + stride * (column, row)``."""

    scores: Scores
    stride: int
    first: float

    def places(self) -> list[Place]:
        """The best places, best first, none of them the neighbour of a better one."""
        window = APART // self.stride, APART // self.stride
        peaks = find_peaks(self.scores, window, MOST, threshold=-np.inf, overlap=0.0, subpixel=False)
        return [
            Place(self.first + self.stride * peak.column, self.first + self.stride * peak.row, peak.score)
            for peak in peaks
        ]

    def ahead(self, centre: NDArray[np.float64]) -> int:
        """How many places are better than the best one near to a centre; 0 if he is found, at most ``MOST``."""
        for number, place in enumerate(self.places()):
            if np.hypot(place.x - centre[0], place.y - centre[1]) <= NEAR:
                return number
        return MOST


@dataclass(frozen=True)
class Wanted:
    """Who is looked for.

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
        """Waldo of the drawn crowds, with crowds that hold him several times."""
        seen = [draw_crowd(seed, (320, 480), WALDOS) for seed in range(crowds)]
        return cls(*draw_template(), [Scene(crowd.pixels, crowd.centres) for crowd in seen])

    @classmethod
    def cut(cls, scene: Pixels, box: Box) -> Wanted:
        """Whoever is in a box of a scene; what is not he is learned from the rest of it."""
        left, top, width, height = box
        rows, columns = slice(round(top), round(top + height)), slice(round(left), round(left + width))
        template = scene[rows, columns]
        centre = np.array([[left + width / 2, top + height / 2]])
        return cls(template, np.ones(template.shape[:2], np.float32), [Scene(scene, centre)])

    def by_template(self, scene: Pixels, method: str, scales: tuple[float, ...] = (1.0,), q: float = 0.0) -> Answer:
        """The best score over the scales, by a method of ``scs.matching``; -1 where the template does not fit."""
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
        """What the templates say of a scene."""
        return {
            "ZNCC": self.by_template(scene, "ccoeff_normed"),
            "ZNCC, three sizes": self.by_template(scene, "ccoeff_normed", SCALES),
            "SCS, three sizes": self.by_template(scene, "scs_centred", SCALES, Q),
        }


def by_detector(detector: Detector, scene: Pixels) -> Answer:
    """What a detector says of every place that it sees whole."""
    return Answer(detector.map(scene), STRIDE, FIELD / 2)


def seek(wanted: Wanted, scene: Pixels, *, steps: int, seed: int = 0, on_step: OnStep) -> dict[str, Answer]:
    """What the templates say of a scene, and a detector that is learned for it, with hard negatives.

    Args:
        wanted: who is looked for.
        scene: ``(H, W, 3)``, in which he is about as large as in what is wanted.
        steps: of learning, in each of three rounds.
        seed: decides the learning.
        on_step: called with the number of steps done so far, and of all.
    """
    detector = learn(wanted.scenes, steps=steps, seed=seed, on_step=on_step)
    return {**wanted.templates(scene), LEARNED: by_detector(detector, scene)}


def run(quick: bool, step: Step) -> Figures:
    """Learn with and without hard negatives, and look for Waldo in crowds that nothing was learned from."""
    size = (320, 480) if quick else (640, 960)
    count, steps, crowds = (3, 20, 2) if quick else (20, 80, LEARNED_FROM)
    total = 6 * steps + count
    detectors = _detectors(steps, crowds, lambda done, _: step(done, total))
    wanted = Wanted.drawn(crowds)
    ahead: dict[str, list[int]] = {}
    for number in range(count):
        crowd = draw_crowd(UNSEEN + number, size)
        for name, answer in _answers(wanted, detectors, crowd).items():
            ahead.setdefault(name, []).append(answer.ahead(crowd.centres[0]))
        step(6 * steps + number + 1, total)
    scene = draw_crowd(UNSEEN, size).pixels
    tiled, whole = (detectors[LEARNED].map(scene, tile) for tile in (TILE, max(size)))
    return {
        "crowds": count,
        "size": [size[1], size[0]],
        "steps": steps,
        "learned_from": [crowds, WALDOS],
        "parameters": sum(each.numel() for each in detectors[LEARNED].parameters()),
        "ahead": ahead,
        "tiles": {"side": TILE, "differ_by": float(np.abs(tiled - whole).max()), "of": float(np.abs(whole).max())},
    }


def tables(figures: Figures) -> dict[str, Table]:
    """How often each way finds Waldo, and how many it takes for him sooner than him."""
    rows = []
    for name, ahead in figures["ahead"].items():
        counts = [f"{sum(number < most for number in ahead)} of {figures['crowds']}" for most in (1, 10)]
        rows.append([name, *counts, f"{np.median(ahead):g}", str(max(ahead))])
    return {"found": Table(["way", "found", "among its best ten", "others before him, median", "most"], rows)}


def draw(figures: Figures, folder: Path) -> list[Path]:
    """A small crowd nobody has seen with what each way says of it, and whom each takes for Waldo in a large one."""
    columns, rows = figures["size"]
    crowds = figures["learned_from"][0]
    wanted, detectors = Wanted.drawn(crowds), _detectors(figures["steps"], crowds)
    small, large = draw_crowd(UNSEEN, SMALL), draw_crowd(UNSEEN, (rows, columns))
    found = _answers(wanted, detectors, small)
    shown = {name: found[name] for name in ("ZNCC, three sizes", "SCS, three sizes", LEARNED)}
    (x, y) = small.centres[0]
    return [
        save(draw_answers(small.pixels, shown, (x - 12, y - 20, 24, 40)), folder / "waldo.jpg"),
        _draw_rivals(large, _answers(wanted, detectors, large), folder / "rivals.jpg"),
    ]


def draw_answers(scene: Pixels, found: dict[str, Answer], box: Box | None = None) -> Figure:
    """A scene, and each map with the best place in it.

    Args:
        scene: ``(H, W, 3)``.
        found: answers by their names.
        box: where he is, drawn in green if it is known.
    """
    rows = -(-(1 + len(found)) // 2)
    figure, axes = panels(rows, 2, rows * (5 * scene.shape[0] / scene.shape[1] + 0.3))
    _show(axes[0], scene, "where is Waldo?")
    for each, (name, answer) in zip(axes[1:], found.items(), strict=False):
        _show(each, scene, name)
        height, width = np.array(answer.scores.shape) * answer.stride
        edge = answer.first - answer.stride / 2
        lowest = float(np.quantile(answer.scores, 0.8))
        extent = edge, edge + width, edge + height, edge
        each.imshow(answer.scores, cmap="magma", vmin=lowest, extent=extent, interpolation="nearest")
        best = answer.places()[0]
        _outline(each, (best.x - FIELD / 2, best.y - FIELD / 2, FIELD, FIELD), RED)
    for each in axes[1 + len(found) :]:
        each.set_axis_off()
    for each in axes[: 1 + len(found)]:
        each.set(xlim=(0, scene.shape[1]), ylim=(scene.shape[0], 0))
        if box:
            _outline(each, box, GREEN)
    return figure


_learned: dict[tuple[int, int, int], Detector] = {}  # so that drawing does not learn again


def _detectors(steps: int, crowds: int, on_step: OnStep = lambda done, total: None) -> dict[str, Detector]:
    """With as many steps of learning for both."""
    found = {}
    for number, (name, rounds) in enumerate((("learned, any negatives", 1), (LEARNED, 3))):
        key = rounds, 3 * steps // rounds, crowds
        if key not in _learned:
            before = 3 * steps * number
            _learned[key] = learn(
                Wanted.drawn(crowds).scenes,
                rounds=rounds,
                steps=3 * steps // rounds,
                on_step=lambda done, _, before=before: on_step(before + done, 6 * steps),  # type: ignore[misc]
            )
        found[name] = _learned[key]
    return found


def _answers(wanted: Wanted, detectors: dict[str, Detector], crowd: Crowd) -> dict[str, Answer]:
    learned = {name: by_detector(detector, crowd.pixels) for name, detector in detectors.items()}
    return {**wanted.templates(crowd.pixels), **learned}


def _draw_rivals(crowd: Crowd, found: dict[str, Answer], path: Path) -> Path:
    """The places that each way likes best, from the left; Waldo in a green frame."""
    count, side = 10, HEIGHT // 2
    figure, axes = panels(len(found), count, 1.02 * len(found))
    grid = iter(axes)
    padded = np.pad(crowd.pixels, ((side, side), (side, side), (0, 0)), mode="edge")
    for name, answer in found.items():
        for number, place in enumerate(answer.places()[:count]):
            each, row, column = next(grid), round(place.y), round(place.x)
            _show(each, padded[row : row + 2 * side, column : column + 2 * side], "")
            if np.hypot(*(np.array([place.x, place.y]) - crowd.centres[0])) <= NEAR:
                _outline(each, (1, 1, 2 * side - 3, 2 * side - 3), GREEN)
            if not number:
                each.set_ylabel(name.replace(", ", "\n"), fontsize=8)
    return save(figure, path)


def _show(axes: Axes, picture: Pixels, title: str) -> None:
    axes.imshow(picture)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    axes.set_title(title, fontsize=10)


def _outline(axes: Axes, box: Box, colour: str) -> None:
    axes.add_patch(Rectangle(box[:2], box[2], box[3], fill=False, edgecolor=colour, lw=2.5))
