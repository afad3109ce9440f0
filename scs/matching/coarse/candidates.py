"""The candidates of a shrunk map: those that may be matches are followed, and scored as the whole map would."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scs.matching.arrays import Array
from scs.matching.coarse.follow import Follower
from scs.matching.coarse.plan import Plan, Size
from scs.matching.nms import suppress_windows
from scs.matching.options import Search
from scs.matching.peaks import Peak, local_maxima, refined
from scs.matching.scores import score_map

Places = NDArray[np.intp]
Scores = NDArray[np.float32]

SURE = 0.8  # Pearson's r of the best match, below which the whole map is asked
_SPARE = 12  # places that are followed beside the matches that are asked for
_MOST = 96  # of more places, as in a texture, the whole map tells faster,
_MOST_SHARE = 3  # unless its pixels are so many times as many as the numbers that following the places compares
_SLACK = 0.12  # by how much less than expected a match may score in the shrunk scene; measured by bench/coarse.py
_AROUND = 12  # places on each side of a match of which the exact map is made


@dataclass(frozen=True)
class Candidate:
    """A match by its exact scores.

    Attributes:
        peak: its place in the scene, between the pixels, and its score.
        small: its index in the flattened shrunk map.
    """

    peak: Peak
    small: int


class Candidates:
    """The candidates for one template.

    Args:
        scene: ``(H, W, C)``.
        template: ``(h, w, C)``.
        plan: by how much both were shrunk.
        corner: row and column of the scene where the shrunk one begins.
        scores: the map of the shrunk scene, Pearson's r.
    """

    def __init__(self, scene: Array, template: Array, plan: Plan, corner: Size, scores: Scores) -> None:
        self._scene, self._template, self._plan, self.scores = scene, template, plan, scores
        height, width = template.shape[:2]
        self.size: Size = height, width
        self.window: Size = height // plan.factor, width // plan.factor
        inner = (height % plan.factor) // 2, (width % plan.factor) // 2  # where the template's first block begins
        self._shift = corner[0] - inner[0], corner[1] - inner[1]
        self._last = scene.shape[0] - height, scene.shape[1] - width
        self.maxima = local_maxima(scores)
        self._values = scores.ravel()[self.maxima]
        self._follower = Follower(template, plan.factor)
        self._followed: dict[int, tuple[int, int, float]] = {}

    @property
    def promising(self) -> bool:
        """Whether a match may be among them whose score is above ``SURE``."""
        return bool(self._values.size) and float(self._values.max()) >= self._least(SURE)

    def matches(self, search: Search) -> list[Candidate] | None:
        """Find the best matches, best first; None where too many places might be one."""
        threshold = None if search.threshold is None else search.unsharpened(search.threshold)
        apart = suppress_windows(self.scores, self.maxima, self.window, search.top + _SPARE, search.overlap)
        self._follow(apart)
        # As good as the last of those asked for: what is less cannot push it out.
        level = SURE if threshold is None else threshold
        if len(apart) >= search.top:
            level = max(level, sorted(self._followed[place][2] for place in apart)[-search.top])
        others = self.maxima[self._values >= self._least(level)].tolist()
        if len(others) > max(_MOST, self._scene.size // (_MOST_SHARE * self._follower.numbers)):
            return None
        self._follow(others)
        found = sorted(self._followed.items(), key=lambda item: (-round(item[1][2], 5), item[1]))
        matches = list(self._exact([(place, row, column) for place, (row, column, _) in found], search))
        return matches if search.top == 1 or self._alone(matches, level, search.overlap) else None

    def places(self, small: list[int]) -> list[tuple[int, int]]:
        """Rows and columns of the scene that places of the shrunk map lead to."""
        self._follow(small)
        return [self._followed[place][:2] for place in small]

    def corrected(self) -> Scores:
        """The shrunk map with exact scores where they are known, others scaled as those of rivals are on average."""
        known = [(place, score) for place, (_, _, score) in self._followed.items()]
        places, exact = np.array([place for place, _ in known], np.intp), np.array([score for _, score in known])
        rivals = exact < SURE
        shares = exact[rivals] / np.maximum(self.scores.ravel()[places[rivals]], 1e-3)
        scores = self.scores * np.float32(np.clip(np.median(shares), 0.5, 1.0) if shares.size else 1.0)
        scores.ravel()[places] = np.clip(exact, -1, 1)
        return scores

    def _alone(self, matches: list[Candidate], level: float, overlap: float) -> bool:
        """Whether no place is high that no match covers, and none right where a match's cover ends, as on a ridge.

        There lie matches of the whole map that are no maxima of the shrunk one.
        """
        high = np.argwhere(self.scores >= self._least(level)) * self._plan.factor + np.array(self._shift)
        steps = [np.abs(high - (round(one.peak.row), round(one.peak.column))) for one in matches]
        covered = [_overlap(self.size, step) > overlap for step in steps]
        nearly = [_overlap(self.size, np.maximum(step - self._plan.factor, 0)) > overlap for step in steps]
        ridge = any(bool((near & ~there).any()) for near, there in zip(nearly, covered, strict=True))
        return not ridge and bool(np.logical_or.reduce(covered).all()) if matches else not len(high)

    def _least(self, score: float) -> float:
        """What a match of that score has, at least, in the shrunk scene."""
        return self._plan.likeness * score - _SLACK

    def _follow(self, small: list[int]) -> None:
        new = [place for place in small if place not in self._followed]
        if not new:
            return
        rows, columns = np.divmod(np.array(new, np.intp), self.scores.shape[1])
        starts = np.stack([rows, columns], 1) * self._plan.factor + np.array(self._shift)
        places, scores = self._follower.follow(self._scene, starts)
        for place, (row, column), score in zip(new, places.tolist(), scores.tolist(), strict=True):
            self._followed[place] = row, column, score

    def _exact(self, found: list[tuple[int, int, int]], search: Search) -> Iterator[Candidate]:
        """Matches that overlap little, of places best first."""
        kept: list[tuple[int, int]] = []
        for small, row, column in found:
            if len(kept) == search.top:
                return
            if self._covered((row, column), kept, search.overlap):
                continue
            top, peak = self._summit(row, column, search)
            if self._covered(top, kept, search.overlap):
                continue
            if peak.score > (0.0 if search.threshold is None else search.threshold):
                kept.append(top)
                self._followed[small] = round(peak.row), round(peak.column), search.unsharpened(peak.score)
                yield Candidate(peak, small)

    def _covered(self, place: tuple[int, int], kept: list[tuple[int, int]], overlap: float) -> bool:
        return bool(kept) and bool((_overlap(self.size, np.abs(np.array(kept) - place)) > overlap).any())

    def _summit(self, row: int, column: int, search: Search) -> tuple[tuple[int, int], Peak]:
        """Climb to the highest place near another; the result is that place, and its peak between the places.

        All that is nearer than two pixels of the shrunk scene overlaps too much to be another match.
        """
        reach = min(2 * self._plan.factor, _AROUND)
        while True:
            top, left = max(row - _AROUND, 0), max(column - _AROUND, 0)
            last_row, last_column = min(row + _AROUND, self._last[0]), min(column + _AROUND, self._last[1])
            part = self._scene[top : last_row + self.size[0], left : last_column + self.size[1]]
            scores = score_map(part, self._template, search.method, p=search.p).scores
            first_row, first_column = max(row - top - reach, 0), max(column - left - reach, 0)
            near = scores[first_row : row - top + reach + 1, first_column : column - left + reach + 1]
            i, j = (int(index) for index in np.unravel_index(int(near.argmax()), near.shape))
            best = top + first_row + i, left + first_column + j
            if max(abs(best[0] - row), abs(best[1] - column)) <= 1:
                peak = refined(scores, best[0] - top, best[1] - left, search.exponent)
                return best, Peak(peak.row + top, peak.column + left, peak.score)
            row, column = best


def _overlap(size: Size, step: NDArray[Any]) -> NDArray[Any]:
    """Intersection over union of windows and others that many rows and columns away, ``(..., 2)``."""
    shared = np.maximum(size[0] - step[..., 0], 0) * np.maximum(size[1] - step[..., 1], 0)
    share: NDArray[Any] = shared / (2 * size[0] * size[1] - shared)
    return share
