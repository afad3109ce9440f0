"""The verdict on matches: whether what was looked for is there, by what it explains and by what rivals it has.

Two questions are asked. How well does the template explain the pixels of the window (see ``explained``)? And does
a gap part it from what is not the template? Copies of the template are told from rivals by the widest gap below them,
wherever in the ranking that is, so that neither many copies nor many equal rivals hide each other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from scs.errors import OptionError
from scs.matching.peaks import Field, Peak, Places, Scores
from scs.matching.presence.explained import Explained

Vector = NDArray[np.float64]

# Weights of the evidence; docs/decisions.md tells on which scenes they were chosen, and on which they were not.
# Of one; angle of the cosine; logarithm of the worst spot; gap to the rival; logarithm of the structure that is left;
# strain of the fit.
WEIGHTS = (-17.9, 5.05, -1.5, 6.1, -2.15, -1.9)
_GAP = 3  # which of them
_MOST_LIKENESS, _MOST_WORST, _MOST_GAP = 2.0, 0.5, 1.0
_NEARLY_ONE = 0.9967
# A scene with several copies has more of them: evidence for one that is so far apart from the rivals.
_SEVERAL, _APART, _COMPANY = 3, 0.5, 1.5
# The very same pixels need no further evidence.
_SAME_EVIDENCE = 5.0

# Rivals that are looked at beside the matches, and more of them as long as no gap shows among them.
_RIVALS, _MOST_RIVALS, _GAP_THAT_SHOWS, _LEAST_GAP = 8, 1024, 0.15, 0.05
_ACCIDENTS = 61  # of the highest places, a quarter of the window apart, by which rivals are compared with each other
_EXCESSES = 10, 30  # accidents whose mean excess tells how they fall off
_LEAST_EXCESS = 0.02  # of the evidence of the best of them
# Where nothing tells how the template explains the pixels: mean excesses above the rivals.
_CLEAR, _NO_RIVAL = 8.0, 19.0

Look = Callable[[Sequence[Peak]], list[Explained]]


@dataclass(frozen=True)
class Verdict:
    """The verdict on a match.

    Attributes:
        evidence: above 0 the template is present. No probability; 5 and more is as sure as it gets.
        explained: share of the window's contrast that the template explains, noise aside, 0 to 1; None where that is
            not looked at.
        rival: score of the best place that is no copy of the template; None where there is none.
        psr: peak-to-sidelobe ratio: by how many standard deviations the score is above the mean of the map, outside
            the windows around the matches; None where there is nothing outside them, or only one value.
        signs: what ``WEIGHTS`` weigh; none where something else decided.
    """

    evidence: float
    explained: float | None
    rival: float | None
    psr: float | None
    signs: tuple[float, ...] = ()

    @property
    def present(self) -> bool:
        """Whether the template is there."""
        return self.evidence > 0


def judge(
    scores: Scores,
    peaks: Sequence[Peak],
    window: tuple[int, int],
    look: Look | None = None,
    *,
    explained: Sequence[Explained] | None = None,
    p: float = 1.0,
    maxima: Places | None = None,
) -> list[Verdict]:
    """Judge matches, all of one template.

    Args:
        scores: ``(H, W)`` within [-1, 1], where higher is better: a cosine, or a cosine sharpened by ``p``.
        peaks: the matches as places of that map; their scores may be from a finer search.
        window: height and width of the template.
        look: tells how well the template explains places; None where that cannot be told, as for ``parts``.
        explained: how well it explains the matches, where that is known already.
        p: exponent > 0 that sharpened the scores.
        maxima: local maxima of the map above 0, where they are known.

    Returns:
        One for each peak, in their order.

    Raises:
        OptionError: scores that are not within [-1, 1] have no angle.

    Source:
        Sidelobe ratio: Bolme et al., "Visual Object Tracking using Adaptive Correlation Filters" (2010).
    """
    if scores.size and max(-float(scores.min()), float(scores.max())) > 1 + 1e-4:
        raise OptionError(f"a verdict is on scores within [-1, 1]; {scores.min():.6g} to {scores.max():.6g} came")
    if not peaks:
        return []
    field = Field(scores, maxima)
    sidelobe = field.sidelobe(peaks, window)
    if look is None:
        ranking = _Ranking(field, window, p)
        return [_by_rank(peak, ranking, _ratio(peak, sidelobe)) for peak in peaks]
    rivals = _Rivals(peaks, explained, field, window, look)
    told = [_verdict(one, rivals, _ratio(peak, sidelobe)) for peak, one in zip(peaks, rivals.matches, strict=True)]
    return [_in_company(one) for one in told] if sum(one.present for one in told) >= _SEVERAL else told


def _in_company(verdict: Verdict) -> Verdict:
    """Judge a match once more where others are present: copies are told from what is none by the gap between them."""
    if not verdict.signs or verdict.signs[_GAP] < _APART:
        return verdict
    return replace(verdict, evidence=verdict.evidence + _COMPANY)


def _verdict(explained: Explained, rivals: _Rivals, psr: float | None) -> Verdict:
    share = explained.fine**2
    gap, rival = rivals.below(_likeness(explained))
    if explained.same:
        return Verdict(_SAME_EVIDENCE, share, rival, psr)
    signs = (
        1.0,
        min(_angle(explained.fine), _MOST_LIKENESS),
        math.log(min(explained.worst, _MOST_WORST) + 0.05),
        min(gap, _MOST_GAP),
        math.log(explained.structure + 0.1),
        explained.strain,
    )
    return Verdict(float(np.dot(WEIGHTS, signs)), share, rival, psr, signs)


def _by_rank(peak: Peak, ranking: _Ranking, psr: float | None) -> Verdict:
    """The verdict where only the ranking tells: matches stand out of the best place below the widest gap."""
    rival = ranking.rival(peak.score)
    evidence = ranking.surprise(peak.score, rival) - _CLEAR
    return Verdict(evidence, None, rival, psr)


class _Rivals:
    """The places that were looked at, by how well the template explains them; more of them until a gap shows.

    Attributes:
        matches: how well it explains the matches.
    """

    def __init__(
        self,
        peaks: Sequence[Peak],
        known: Sequence[Explained] | None,
        field: Field,
        window: tuple[int, int],
        look: Look,
    ) -> None:
        apart = max(2, window[0] // 4), max(2, window[1] // 4)
        most = len(peaks) + _RIVALS
        taken, told = list(peaks), list(known or ())
        while True:
            listed = field.highest(window, most)
            for place in listed:
                if not any(_near(place, other, apart) for other in taken):
                    taken.append(place)
            told += look(taken[len(told) :])
            seen = [(_likeness(one), place.score) for one, place in zip(told, taken, strict=True)]
            seen.sort(key=lambda pair: -pair[0])
            self._likenesses = np.array([likeness for likeness, _ in seen])
            self._scores = [score for _, score in seen]
            self._gaps = -np.diff(self._likenesses)
            showing = self._gaps.size and self._gaps.max() >= _GAP_THAT_SHOWS
            if showing or len(listed) < most or most >= _MOST_RIVALS or self._likenesses[-1] < 1.0:
                break
            most *= 4
        self._complete = len(listed) < most
        self.matches = told[: len(peaks)]

    def below(self, likeness: float) -> tuple[float, float | None]:
        """How far a likeness is above the best rival, and that rival's score."""
        if self._complete and (not self._gaps.size or self._gaps.max() < _LEAST_GAP):
            return _MOST_GAP, None  # all that there is is alike: nothing else than copies
        first = int(np.searchsorted(-self._likenesses, -likeness - 1e-12))
        gaps = self._gaps[first:]
        if not gaps.size:
            return 0.0, self._scores[-1]
        split = first + int(gaps.argmax())
        return likeness - float(self._likenesses[split + 1]), max(self._scores[split + 1 :])


class _Ranking:
    """The highest places of a map, a quarter of the window apart, by their evidence: squared Fisher transforms."""

    def __init__(self, field: Field, window: tuple[int, int], p: float) -> None:
        self._field, self._p = field, p
        self._apart = max(1, window[0] // 4), max(1, window[1] // 4)
        self._list(_ACCIDENTS)

    def _list(self, most: int) -> None:
        places = self._field.highest(self._apart, most, overlap=0)
        self._full = len(places) == most < _MOST_RIVALS
        self._scores = np.array([place.score for place in places])
        self._evidence = self._transformed(self._scores)

    def rival(self, score: float) -> float | None:
        """The best score below the widest gap under a score, among the highest places."""
        below = self._scores[self._scores < score - 1e-9]
        if below.size < 2:
            return None
        evidence = self._transformed(np.concatenate([[score], below]))
        gaps = -np.diff(evidence[: _EXCESSES[0] + 1])
        return float(below[int(gaps.argmax())])

    def surprise(self, score: float, rival: float | None) -> float:
        """By how many mean excesses of the rivals a score is above the best of them."""
        if rival is None:
            return _NO_RIVAL
        below = self._evidence[self._scores <= rival + 1e-9]
        if self._full and below.size <= max(_EXCESSES):
            self._list(_MOST_RIVALS)
            below = self._evidence[self._scores <= rival + 1e-9]
        best = float(self._transformed(np.array([rival]))[0])
        own = float(self._transformed(np.array([score]))[0])
        return (own - best) / max(self._excess(below), _LEAST_EXCESS * best, 1e-6)

    def _excess(self, evidence: Vector) -> float:
        """Mean excess of the highest: robust to ties, which make the gaps between neighbours vanish."""
        means = [float((evidence[:count] - evidence[count]).mean()) for count in _EXCESSES if evidence.size > count]
        if means:
            return max(*means, 1e-6) if len(means) > 1 else max(means[0], 1e-6)
        return max(float((evidence - evidence[-1]).mean()), 1e-6) if evidence.size > 3 else 9.0

    def _transformed(self, scores: Vector) -> Vector:
        cosines = np.clip(scores.astype(np.float64), 0, 1) ** (1 / self._p)
        evidence: Vector = np.arctanh(cosines.clip(max=1 - 1e-7)) ** 2
        return evidence


def _near(place: Peak, other: Peak, apart: tuple[int, int]) -> bool:
    return abs(place.row - other.row) < apart[0] and abs(place.column - other.column) < apart[1]


def _likeness(explained: Explained) -> float:
    return (_angle(explained.fine) + _angle(explained.coarse)) / 2


def _angle(cosine: float) -> float:
    return math.atanh(min(max(cosine, 0.0), _NEARLY_ONE))


def _ratio(peak: Peak, sidelobe: tuple[float, float]) -> float | None:
    mean, deviation = sidelobe
    return (peak.score - mean) / deviation if deviation > 0 else None
