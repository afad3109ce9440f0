"""Exercises: what a 1x1 convolution is, why f*g = g*f, when position matters, a word in sound, and text."""

from __future__ import annotations

from pathlib import Path

from lab.exercises import audio, commuting, pointwise, position, text
from lab.tables import Table
from lab.topics.catalogue import Figures, Step

EXERCISES = {"commuting": commuting, "pointwise": pointwise, "position": position, "audio": audio, "text": text}


def run(quick: bool, step: Step) -> Figures:
    """Do the exercises one after the other."""
    found = {}
    for number, (name, exercise) in enumerate(EXERCISES.items()):
        found[name] = exercise.run(quick)
        step(number + 1, len(EXERCISES))
    return found


def tables(figures: Figures) -> dict[str, Table]:
    """Make a table for each exercise, and a second one for text."""
    made = {name: exercise.table(figures[name]) for name, exercise in EXERCISES.items()}
    return made | {"read": text.accuracies(figures["text"])}


def draw(figures: Figures, folder: Path) -> list[Path]:
    """Draw a picture for each exercise."""
    kinds = {"pointwise": "jpg", "audio": "jpg"}
    return [
        exercise.draw(figures[name], folder / f"{name}.{kinds.get(name, 'png')}")
        for name, exercise in EXERCISES.items()
    ]
