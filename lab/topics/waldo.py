"""Where is Waldo: a template and a learned detector, slid over crowds of people who look nearly like him."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lab.crowds import HEIGHT, Crowd, draw_crowd
from lab.detector import Detector, learn
from lab.drawing import GREEN, panels, save
from lab.tables import Table
from lab.topics.catalogue import Figures, Step
from lab.waldo import (
    LEARNED,
    LEARNED_FROM,
    NEAR,
    WALDOS,
    Answer,
    OnStep,
    Wanted,
    by_detector,
    draw_answers,
    outline,
    show_picture,
)

UNSEEN = 1000  # seed of the first crowd that nothing was learned from
SMALL = 240, 360  # height and width of the crowd that is drawn with its maps
TILE = 128


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
    """Make the table: how often each way finds Waldo, and how many others it ranks above him."""
    rows = []
    for name, ahead in figures["ahead"].items():
        counts = [f"{sum(number < most for number in ahead)} of {figures['crowds']}" for most in (1, 10)]
        rows.append([name, *counts, f"{np.median(ahead):g}", str(max(ahead))])
    return {"found": Table(["way", "found", "among its best ten", "others before him, median", "most"], rows)}


def draw(figures: Figures, folder: Path) -> list[Path]:
    """Draw a small unseen crowd with each way's map of it, and whom each way takes for Waldo in a large one."""
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


_learned: dict[tuple[int, int, int], Detector] = {}  # so that drawing does not learn again


def _detectors(steps: int, crowds: int, on_step: OnStep = lambda done, total: None) -> dict[str, Detector]:
    """Train detectors with and without hard negatives, with equally many steps for both."""
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
            show_picture(each, padded[row : row + 2 * side, column : column + 2 * side], "")
            if np.hypot(*(np.array([place.x, place.y]) - crowd.centres[0])) <= NEAR:
                outline(each, (1, 1, 2 * side - 3, 2 * side - 3), GREEN)
            if not number:
                each.set_ylabel(name.replace(", ", "\n"), fontsize=8)
    return save(figure, path)
