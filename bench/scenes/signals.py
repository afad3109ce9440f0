"""Electrocardiograms: beats of one shape, extra beats of others, a wandering base line, hum and noise."""

import numpy as np

from scenes.drawn import Drawn

BEAT = 120
# Centre, width and height of the waves P, Q, R, S and T, as shares of a beat and of R.
USUAL = ((0.22, 0.025, 0.12), (0.36, 0.012, -0.12), (0.4, 0.014, 1.0), (0.44, 0.013, -0.22), (0.68, 0.05, 0.28))
WIDE = ((0.4, 0.06, 0.9), (0.6, 0.08, -0.55))
INVERTED = ((0.3, 0.03, 0.1), (0.42, 0.03, -0.8), (0.7, 0.06, 0.3))
SAWTOOTH = ((0.2, 0.06, 0.4), (0.5, 0.06, 0.4), (0.8, 0.06, 0.4))


def heartbeats(rng, copies):
    """A series with so many beats of one shape, among others."""
    shapes = [USUAL, WIDE, INVERTED, SAWTOOTH]
    wanted = int(rng.integers(3))
    total = max(24, round(1.15 * copies))
    kinds = np.full(total, wanted)
    strangers = [kind for kind in range(4) if kind != wanted]
    kinds[rng.permutation(total)[copies:]] = rng.choice(strangers, total - copies)
    parts, corners, length = [], [], 0
    for kind in kinds:
        if kind == wanted:
            corners.append((0, length))
        parts.append(_beat(shapes[kind]) * rng.uniform(0.7, 1.15))
        pause = np.zeros(int(rng.integers(10, 70)))
        parts.append(pause)
        length += BEAT + pause.size
    series = np.concatenate(parts)
    time = np.arange(series.size)
    wander = rng.uniform(0, 0.45) * np.sin(2 * np.pi * time / rng.uniform(700, 2000) + rng.uniform(0, 6))
    hum = rng.uniform(0, 0.1) * np.sin(2 * np.pi * time / 5)
    noise = rng.choice([0.005, 0.02, 0.05, 0.08]) * rng.standard_normal(series.size)
    return Drawn(series + wander + hum + noise, _beat(shapes[wanted]), corners)


def _beat(waves):
    place = np.arange(BEAT) / BEAT
    return sum(height * np.exp(-((place - centre) ** 2) / (2 * width**2)) for centre, width, height in waves)
