"""Follow places of a shrunk scene down to its own pixels, by trying all places around them at each finer level."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scs.compiled import compiled
from scs.matching.arrays import Array
from scs.matching.coarse.plan import Size, shrunk
from scs.matching.presence.averaged import average_along
from scs.matching.threads import available_threads, shared_pool

Places = NDArray[np.intp]

# Numbers of a template that are compared at a level, and at the last one: of more, rows are left out.
_MOST_NUMBERS, _MOST_AT_LAST = 2**13, 2**16
# Levels at which rivals are followed no further: a template is told from others by so many pixels.
_ENOUGH = 2**12
_LIKELY = 0.6  # Pearson's r of what is followed all the way
_MANY = 2**18  # numbers of all places: fewer are compared sooner than threads are woken
_REACH = 2  # places that are tried on each side, at each level: it lies at most one and a half away
_SIDE = 2 * _REACH + 1
_CLIMBS = 4  # times that places are tried at the last level, where the best lies at the rim of them, as on a ridge


@dataclass(frozen=True, eq=False)
class _Level:
    """Every so many rows of a template shrunk by a factor.

    Attributes:
        factor: that it was shrunk by.
        step: from one of the rows to the next.
        unit: ``(rows, w, C)``, less their mean and divided by their norm.
        corner: row and column of the first block.
    """

    factor: int
    step: int
    unit: NDArray[np.float32]
    corner: Size


class Follower:
    """Follows places to where a template fits best.

    Args:
        template: ``(h, w, C)``.
        factor: that the scene was shrunk by where the places come from.
    """

    def __init__(self, template: Array, factor: int) -> None:
        self._size = template.shape[:2]
        self._levels = []
        while factor > 1:
            factor //= 2
            self._levels.append(_level(template, factor))

    @property
    def numbers(self) -> int:
        """Numbers of the template that are compared with each of the windows around a place, at the finest level."""
        return self._levels[-1].unit.size

    def follow(self, scene: Array, places: Places) -> tuple[Places, NDArray[np.float32]]:
        """Find the best places near others.

        Args:
            scene: ``(H, W, C)``.
            places: ``(N, 2)``, rows and columns of windows of the scene, at most half the factor away.

        Returns:
            Rows and columns ``(N, 2)``, and Pearson's r there, to some digits. Of places that score too little to be a
            match both are those of a coarser level.
        """
        if not len(places):
            return places, np.empty(0, np.float32)
        last = np.array([scene.shape[0] - self._size[0], scene.shape[1] - self._size[1]])
        places = np.clip(places, 0, last)
        lines = scene.reshape(scene.shape[0], -1)
        if len(places) * self.numbers < _MANY:
            return self._follow(lines, places, last)
        threads = available_threads()
        parts = [part for part in np.array_split(places, threads) if len(part)]
        done = list(shared_pool(threads).map(lambda part: self._follow(lines, part, last), parts))
        return np.concatenate([found for found, _ in done]), np.concatenate([scores for _, scores in done])

    def _follow(self, lines: Array, places: Places, last: Places) -> tuple[Places, NDArray[np.float32]]:
        places = places.copy()
        scores = np.empty(len(places), np.float32)
        left = np.arange(len(places))
        for level in self._levels:
            moved, told = places[left], scores[left]
            _to_best_around(
                lines, level.unit, level.factor, level.step, level.corner[0], level.corner[1], last, moved, told
            )
            places[left], scores[left] = moved, told
            if level.unit.size * level.step >= _ENOUGH:
                left = left[told > _LIKELY]
        return places, scores


def _level(template: Array, factor: int) -> _Level:
    small, corner = shrunk(template, factor)
    step = max(1, small.size // (_MOST_NUMBERS if factor > 1 else _MOST_AT_LAST))
    rows = small[::step]
    unit = rows - rows.mean((0, 1))
    return _Level(factor, step, np.ascontiguousarray(unit / max(float(np.linalg.norm(unit)), 1e-12)), corner)


@compiled
def _to_best_around(
    lines: Array,
    unit: NDArray[np.float32],
    factor: int,
    step: int,
    top: int,
    left: int,
    last: Places,
    places: Places,
    scores: NDArray[np.float32],
) -> None:
    """Move each place, within reach, to where the shrunk template fits best."""
    listed, width, channels = unit.shape
    height = (listed - 1) * step + 1
    weights = unit.reshape(listed, width * channels)
    pixels = np.zeros((height + _SIDE - 1, (width + _SIDE - 1) * channels), np.float32)
    near = np.empty((_SIDE, _SIDE), np.float32)
    for number in range(len(places)):
        for _ in range(_CLIMBS):
            first_row = max(places[number, 0] - _REACH * factor, 0)
            first_column = max(places[number, 1] - _REACH * factor, 0)
            rows = min(_SIDE, (last[0] - first_row) // factor + 1)
            columns = min(_SIDE, (last[1] - first_column) // factor + 1)
            wanted = height + rows - 1, width + columns - 1
            _shrink(lines, first_row + top, first_column + left, factor, step, wanted, channels, pixels)
            for row in range(rows):
                _score_row(pixels[row:], weights, step, channels, near[row])
            best, down, right = np.float32(-2), 0, 0
            for row in range(rows):
                for column in range(columns):
                    if near[row, column] > best:
                        best, down, right = near[row, column], row, column
            places[number, 0], places[number, 1] = first_row + down * factor, first_column + right * factor
            scores[number] = best
            inside = 0 < down < _SIDE - 1 and 0 < right < _SIDE - 1
            if factor > 1 or best < np.float32(_LIKELY) or inside:
                break


@compiled
def _score_row(
    pixels: NDArray[np.float32],
    weights: NDArray[np.float32],
    step: int,
    channels: int,
    scores: NDArray[np.float32],
) -> None:
    """Pearson's r of a template with five windows side by side, all of them in one pass over their pixels."""
    listed, line = weights.shape
    sums, squares = np.zeros(pixels.shape[1], np.float32), np.zeros(pixels.shape[1], np.float32)
    a, b, c, d, e = np.float32(0), np.float32(0), np.float32(0), np.float32(0), np.float32(0)
    for i in range(listed):
        values, shares = pixels[i * step], weights[i]
        for j in range(sums.size):
            sums[j] += values[j]
            squares[j] += values[j] * values[j]
        second, third = values[channels:], values[2 * channels :]
        fourth, fifth = values[3 * channels :], values[4 * channels :]
        for j in range(line):
            share = shares[j]
            a += values[j] * share
            b += second[j] * share
            c += third[j] * share
            d += fourth[j] * share
            e += fifth[j] * share
    scores[0], scores[1], scores[2], scores[3], scores[4] = a, b, c, d, e
    for column in range(_SIDE):
        start, energy = column * channels, np.float32(0)
        for j in range(start, start + line):
            energy += squares[j]
        for channel in range(channels):
            total = np.float32(0)
            for j in range(line // channels):
                total += sums[start + channel + j * channels]
            energy -= total * total / np.float32(listed * (line // channels))
        scores[column] = scores[column] / np.sqrt(energy) if energy > np.float32(1e-12) else np.float32(0)


@compiled
def _shrink(
    lines: Array,
    top: int,
    left: int,
    factor: int,
    step: int,
    size: tuple[int, int],
    channels: int,
    out: NDArray[np.float32],
) -> None:
    """Average blocks of a part of a scene, less their mean, so that sums lose no digits.

    Rows that no place has in common with the template's are left out.
    """
    share = np.float32(1) / np.float32(factor * factor)
    first, length, wide = left * channels, size[1] * factor * channels, size[1] * channels
    down = np.empty(length, np.float32)
    whole, count = np.float64(0), 0
    for row in range(size[0]):
        if row % step >= _SIDE:
            continue
        across = out[row]
        if factor == 1:
            line = lines[top + row, first : first + length]
            for j in range(length):
                across[j] = np.float32(line[j])
        else:
            down[:] = 0
            for i in range(factor):
                line = lines[top + row * factor + i, first : first + length]
                for j in range(length):
                    down[j] += np.float32(line[j])
            average_along(down, factor, channels, share, across[:wide])
        total = np.float32(0)
        for j in range(wide):
            total += across[j]
        whole += total
        count += wide
    mean = np.float32(whole / count)
    for row in range(size[0]):
        if row % step < _SIDE:
            values = out[row]
            for j in range(wide):
                values[j] -= mean
