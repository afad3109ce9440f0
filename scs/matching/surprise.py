"""Significance of matches: peak-to-sidelobe ratio, and the chance of such a score where the template is absent."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from scs.errors import OptionError
from scs.matching.peaks import Peak, Scores, find_peaks

# How many of the highest scores tell how the others fall off, how many of the gaps between them are set aside, and how
# few are too few. The first two were chosen on photographs, and bench/presence.py measures them on others.
_RIVALS = 30
_GAPS_ASIDE = 2
# Where the highest maxima are this nearly alike, copies are looked for among so many, above a gap so much wider than
# usual.
_ALIKE, _MOST_COPIES, _GAP_OF_COPIES = 0.5, 400, 30
_FEWEST = 8

# The largest float32 below 1 is as much as a score says of a perfect match.
_NEARLY_ONE = 1 - 2.0**-24

# Where a map has too few places to judge by, a cosine of this much counts as present.
_USUAL_THRESHOLD = 0.8


@dataclass(frozen=True)
class Surprise:
    """The significance of a peak: its peak-to-sidelobe ratio, its chance, and whether the template is present.

    ``psr`` is the peak-to-sidelobe ratio: by how many standard deviations the score is above the mean of the map, both
    taken outside the windows around the peaks. None where the map has nothing outside them, or only one value.

    ``chance`` is the probability, above 0, that a scene like this would have such a score somewhere if the template
    were absent. ``present`` is whether that is below the level. Both are None where the scene has too few places.
    """

    psr: float | None
    chance: float | None
    present: bool | None


def judge(
    scores: Scores,
    peaks: Sequence[Peak],
    window: tuple[int, int],
    *,
    p: float = 1.0,
    trials: int = 1,
    level: float = 0.01,
) -> list[Surprise]:
    """Compute how significant the scores of peaks are, from the other scores of the same map.

    Scenes differ in how much of them looks like a template by accident, so each is its own measure. Cosines of
    unrelated windows are, by Fisher's transform, nearly normal, so the squares of their inverse hyperbolic tangents
    fall off exponentially. How fast is read off the map's 30 highest local maxima, or half of them where there are
    fewer than 60, none nearer to another than a quarter of the window. The k-th gap between exponential numbers in
    falling order, times k, is exponential again and has the same mean for every k (Rényi). The two largest are set
    aside, since they are where scores of the template itself end, be it there once or several times, and accidents
    begin. The chance allows for what the mean of so few gaps leaves uncertain.

    What looks like the template throughout is surprising, be it the template or its double: a letter of a text, a
    window of a house.

    Args:
        scores: ``(H, W)`` within [-1, 1], where higher is better: a cosine, or a cosine sharpened by ``p``.
        peaks: of that map; their scores may be from a finer search.
        window: height and width of the template.
        p: exponent > 0 that sharpened the scores.
        trials: as how many maps were searched for the best, such as poses; those alike make it an upper bound.
        level: chance below which the template is taken to be present.

    Returns:
        One for each peak, in their order.

    Raises:
        OptionError: scores that are not within [-1, 1] have no angle.

    Source:
        Sidelobe ratio: Bolme et al., "Visual Object Tracking using Adaptive Correlation Filters" (2010). Gaps: Rényi,
        "On the theory of order statistics" (1953).
    """
    if scores.size and max(-float(scores.min()), float(scores.max())) > 1 + 1e-4:
        raise OptionError(f"surprise is told of scores within [-1, 1]; {scores.min():.6g} to {scores.max():.6g} came")
    rivals = _without_copies(scores, window, p)
    sidelobe = _sidelobe(scores, peaks, window)
    return [_surprise(peak.score, rivals, sidelobe, p, trials, level) for peak in peaks]


def present(told: Surprise, cosine: float) -> bool:
    """Tell whether a template is present: by its chance or, where that is unknown, by a cosine of 0.8 or more."""
    return cosine >= _USUAL_THRESHOLD if told.present is None else told.present


def _surprise(
    score: float, rivals: NDArray[np.float64], sidelobe: tuple[float, float], p: float, trials: int, level: float
) -> Surprise:
    mean, deviation = sidelobe
    psr = (score - mean) / deviation if deviation > 0 else None
    if rivals.size < _FEWEST:
        return Surprise(psr, None, None)
    chance = _chance(float(_evidence(score, p)), rivals, trials)
    return Surprise(psr, chance, chance < level)


def _without_copies(scores: Scores, window: tuple[int, int], p: float) -> NDArray[np.float64]:
    """Evidence of the highest local maxima, in falling order, less those that many copies of the template give.

    Two copies do not count anyway. Where there are so many that they would be their own rivals, they stand above a gap
    that accidents do not leave: 30 times the usual one has a probability of about 1e-9, and what is below it explains
    less than half as much of the template.
    """
    rivals = _evidence(_rivals(scores, window, 2 * _RIVALS + 1), p)
    if rivals.size <= _RIVALS or rivals[_RIVALS] < _ALIKE * rivals[0]:
        return rivals
    rivals = _evidence(_rivals(scores, window, _MOST_COPIES), p)
    gaps = np.arange(1, rivals.size) * -np.diff(rivals)
    explained = np.tanh(np.sqrt(rivals)) ** 2
    wide = (gaps > _GAP_OF_COPIES * np.median(gaps)) & (explained[1:] < explained[:-1] / 2)
    splits = np.flatnonzero(wide)
    splits = splits[rivals.size - 1 - splits >= _FEWEST]
    return rivals[splits[-1] + 1 :] if splits.size else rivals


def _rivals(scores: Scores, window: tuple[int, int], most: int) -> list[float]:
    apart = max(1, window[0] // 4), max(1, window[1] // 4)
    return [peak.score for peak in find_peaks(scores, apart, most, overlap=0, subpixel=False)]


def _evidence(scores: Any, p: float) -> NDArray[np.float64]:
    """Squares of the Fisher transforms of the cosines behind the scores; nothing speaks for a cosine below 0."""
    cosines = np.clip(np.asarray(scores, np.float64), 0, 1) ** (1 / p)
    evidence: NDArray[np.float64] = np.arctanh(cosines.clip(max=_NEARLY_ONE)) ** 2
    return evidence


def _chance(evidence: float, rivals: NDArray[np.float64], trials: int) -> float:
    """Chance that one of the highest rivals, whose gaps tell their mean, comes as high as the evidence."""
    count = min(_RIVALS, rivals.size // 2)
    ranks = np.arange(1, count + 1)
    gaps = np.sort(ranks * (rivals[:count] - rivals[1 : count + 1]))
    expected = np.cumsum(1 / np.arange(count, 0, -1))  # of exponential numbers with mean 1, in rising order
    used = count - _GAPS_ASIDE
    mean = max(gaps[:used].sum() / expected[:used].sum(), float(np.finfo(np.float64).tiny))
    above = max(0.0, evidence - float(rivals[count]))
    # With the mean of `used` gaps in place of the true one, an exponential tail becomes a Pareto tail.
    logarithm = math.log(trials * count) - used * math.log1p(above / (used * mean))
    chance = -math.expm1(-math.exp(min(logarithm, 700)))
    return max(chance, float(np.finfo(np.float64).tiny))


def _sidelobe(scores: Scores, peaks: Sequence[Peak], window: tuple[int, int]) -> tuple[float, float]:
    """Mean and standard deviation of the map outside the windows around its peaks; of nothing they are 0."""
    outside = np.full(scores.shape, 255, np.uint8)
    down, right = (size // 2 for size in window)
    for peak in peaks:
        row, column = round(peak.row), round(peak.column)
        outside[max(0, row - down) : row + down + 1, max(0, column - right) : column + right + 1] = 0
    mean, deviation = cv2.meanStdDev(np.ascontiguousarray(scores), mask=outside)
    return float(mean[0, 0]), float(deviation[0, 0])
