"""The threshold below which a picture is none of the classes, and how often it is wrong either way."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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
        of_others: ``(N,)``, of each picture that was left out, the threshold that the other classes set.
    """

    threshold: float | None
    false_alarms: Counted | None
    misses: Counted | None
    of_others: Wide | None


@dataclass(frozen=True, eq=False)
class Scored:
    """Best scores of pictures ``(N,)``, and the class of each ``(N,)``; other things have a number each, below 0."""

    scores: Wide
    classes: NDArray[np.int64]

    def without(self, label: int) -> Wide:
        """Return the scores of all other classes."""
        found: Wide = self.scores[self.classes != label]
        return found

    def of(self, label: int) -> Wide:
        """Return the scores of a class."""
        found: Wide = self.scores[self.classes == label]
        return found


def set_threshold(inside: Scored, outside: Scored, most_false_alarms: float | None) -> Rejection:
    """Set the threshold, and count what it does to classes that it was not set by.

    The pictures of each class are counted by a threshold that all others set: what sets a threshold flatters it.

    Args:
        inside: pictures of the classes that were left out.
        outside: pictures of other things, and of each class by a head that was not taught it.
        most_false_alarms: see :func:`choose_threshold`.
    """
    threshold = choose_threshold(inside.scores, outside.scores, most_false_alarms)
    if threshold is None:
        return Rejection(None, None, None, None)
    of_others = np.empty(len(inside.scores))
    alarms = 0
    for label in np.unique(np.concatenate([inside.classes, outside.classes])).tolist():
        others = choose_threshold(inside.without(label), outside.without(label), most_false_alarms)
        used = threshold if others is None else others
        alarms += int((outside.of(label) >= used).sum())
        of_others[inside.classes == label] = used
    misses = int((inside.scores < of_others).sum())
    return Rejection(threshold, _counted(alarms, outside), _counted(misses, inside), of_others)


def _counted(count: int, of: Scored) -> Counted | None:
    return Counted(count, len(of.scores)) if len(of.scores) else None


def choose_threshold(inside: Wide, outside: Wide, most_false_alarms: float | None) -> float | None:
    """Choose a threshold by the best scores of pictures of the classes, and of pictures of other things.

    It lies in the middle between two scores, such that the share of false alarms and the share of misses are least in
    sum (Youden's index; of several such places the widest), or such that there are no more false alarms than is
    allowed. Where no other things are known, a twentieth of the pictures is missed.

    Args:
        inside: ``(N,)``, of pictures of the classes.
        outside: ``(M,)``, of pictures of other things.
        most_false_alarms: that are allowed, as a share of M.

    Returns:
        The threshold; None where there are no scores.
    """
    if not len(inside) and not len(outside):
        return None
    scores = np.unique(np.concatenate([inside, outside]))
    middles = np.concatenate([[scores[0] - 0.01], (scores[1:] + scores[:-1]) / 2, [scores[-1] + 0.01]])
    misses = np.searchsorted(np.sort(inside), middles) / max(1, len(inside))
    alarms = 1 - np.searchsorted(np.sort(outside), middles) / max(1, len(outside))
    if not len(outside):
        chosen = int(np.flatnonzero(misses <= _USUAL_MISSES)[-1])
    elif most_false_alarms is not None or not len(inside):
        chosen = int(np.flatnonzero(alarms <= (most_false_alarms or 0.0))[0])
    else:
        sums = misses + alarms
        least = np.flatnonzero(sums <= sums.min() + 1e-12)
        chosen = int(least[np.diff(scores, prepend=scores[0], append=scores[-1])[least].argmax()])
    return float(middles[chosen])
