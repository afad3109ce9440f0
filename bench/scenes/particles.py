"""Particles under a microscope: one kind among others, in noise up to three times as strong as they are."""

import numpy as np

from scenes.drawn import Drawn, scattered, side_for

KINDS = ("ring", "disc", "crescent", "pair", "cross")


def particles(rng, copies):
    """A picture with so many particles of one kind, and some of the others."""
    side = int(rng.integers(21, 34))
    wanted = str(rng.choice(KINDS))
    others = [kind for kind in KINDS if kind != wanted]
    strangers = int(rng.integers(0, 12))
    span = side_for(copies + strangers, (side, side), 300)
    places = scattered(rng, (span, span), (side, side), copies + strangers, gap=1)
    field = np.zeros((span, span))
    copies = min(copies, len(places))
    for number, (row, column) in enumerate(places):
        kind = wanted if number < copies else str(rng.choice(others))
        field[row : row + side, column : column + side] += rng.uniform(0.85, 1.15) * _particle(side, kind)
    template = _particle(side, wanted)
    grain = rng.choice([0.05, 0.3, 1.0, 1.8]) * template.std() / 0.35
    field += grain * 0.35 * rng.standard_normal(field.shape)
    contrast = 40.0
    scene = (110 + contrast * field).round().clip(0, 255).astype(np.uint8)
    return Drawn(scene, (110 + contrast * template).round().astype(np.uint8), places[:copies])


def _particle(side, kind):
    steps = np.arange(side) - (side - 1) / 2
    x, y = np.meshgrid(steps, steps)
    radius = 0.3 * side

    def blob(dx, dy, width):
        return np.exp(-((x - dx) ** 2 + (y - dy) ** 2) / (2 * width**2))

    if kind == "ring":
        return 1.2 * np.exp(-((np.hypot(x, y) - radius) ** 2) / (2 * (0.08 * side) ** 2))
    if kind == "disc":
        return 1 / (1 + np.exp((np.hypot(x, y) - radius) / (0.04 * side)))
    if kind == "crescent":
        return blob(0, 0, radius) - blob(radius * 0.6, 0, radius * 0.7)
    if kind == "pair":
        return blob(-radius * 0.7, 0, radius / 2) + blob(radius * 0.7, 0, radius / 2)
    return (np.abs(x) < 0.07 * side) * (np.abs(y) < radius) * 1.0 + (np.abs(y) < 0.07 * side) * (np.abs(x) < radius)
