"""The threshold below which a picture is none of the classes, and how often it is wrong either way."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.evaluation.accuracy import wilson_interval
from models.teaching.space import Wide

_USUAL_MISSES = 0.05  # share of pictures that are missed where no other things are known


@dataclass(frozen=True)
class Counted:
    """How many of some pictures."""

    count: int
    of: int

    @property
    def share(self) -> float:
        """Share of all, 0 to 1."""
        return self.count / self.of

    def interval(self) -> tuple[float, float]:
        """Return the 95% Wilson interval of the share."""
        return wilson_interval(self.count, self.of)


@dataclass(frozen=True)
class Rejection:
    """A threshold of scores, and what it does; None where there were no pictures to count.

    Attributes:
        threshold: score below which a picture is none of the classes; None where nothing is known to set it by.
        false_alarms: pictures of other things that were given a class.
        misses: pictures of the classes that were left out and not given any.
    """

    threshold: float | None
    false_alarms: Counted | None
    misses: Counted | None


def choose_threshold(best: Wide, outside: Wide, most_false_alarms: float | None) -> Rejection:
    """Choose a threshold by the best scores of pictures of the classes, and of pictures of other things.

    It lies in the middle between two scores, such that the share of false alarms and the share of misses are least in
    sum (Youden's index; of several such places the widest), or such that there are no more false alarms than is
    allowed. Where no other things are known, a twentieth of the pictures is missed.

    Args:
        best: ``(N,)``, best scores of pictures of the classes that were left out.
        outside: ``(M,)``, of pictures of other things.
        most_false_alarms: that are allowed, as a share of M.
    """
    if not len(best) and not len(outside):
        return Rejection(None, None, None)
    scores = np.unique(np.concatenate([best, outside]))
    middles = np.concatenate([[scores[0] - 0.01], (scores[1:] + scores[:-1]) / 2, [scores[-1] + 0.01]])
    misses = np.searchsorted(np.sort(best), middles) / max(1, len(best))
    alarms = 1 - np.searchsorted(np.sort(outside), middles) / max(1, len(outside))
    if not len(outside):
        chosen = int(np.flatnonzero(misses <= _USUAL_MISSES)[-1])
    elif most_false_alarms is not None or not len(best):
        chosen = int(np.flatnonzero(alarms <= (most_false_alarms or 0.0))[0])
    else:
        sums = misses + alarms
        least = np.flatnonzero(sums <= sums.min() + 1e-12)
        chosen = int(least[np.diff(scores, prepend=scores[0], append=scores[-1])[least].argmax()])
    threshold = float(middles[chosen])
    return Rejection(threshold, _above(outside, threshold), _below(best, threshold))


def _above(scores: Wide, threshold: float) -> Counted | None:
    return Counted(int((scores >= threshold).sum()), len(scores)) if len(scores) else None


def _below(scores: Wide, threshold: float) -> Counted | None:
    return Counted(int((scores < threshold).sum()), len(scores)) if len(scores) else None
