"""The fit of a head by leaving pictures out: what is chosen, and what came of the pictures that were left out."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from models.evaluation.calibration import log_softmax
from models.teaching.head import Head, Sharpness, make_kernels
from models.teaching.rejection import Rejection, Scored, set_threshold
from models.teaching.space import Wide, spectrum
from models.teaching.taught import Taught, Views

MOST_ONE_BY_ONE = 60  # pictures that are left out one by one; more are in so many parts:
PARTS = 10
_SHRINKAGES = (1.0, 0.9, 0.7, 0.4)
_CLUSTERS = (1, 3)
_POWERS = (1.0, 2.0, 4.0)
_FLOORS = (0.0, 0.5)
_TEMPERATURES = np.geomspace(2, 100, 18)
_UNFITTED_TEMPERATURE = 3.0  # where no picture can be left out

Indices = NDArray[np.intp]


@dataclass(frozen=True)
class Choice:
    """How a head is made of pictures.

    Attributes:
        shrinkage: of their space, see :class:`models.teaching.space.Spectrum`.
        clusters: kernels of a class at most.
        p: exponent.
        floor: q as a share of the length that pictures have in their space (the median).
    """

    shrinkage: float = 1.0
    clusters: int = 1
    p: float = 1.0
    floor: float = 0.0


@dataclass(frozen=True, eq=False)
class Fitted:
    """A head, and what came of pictures that were left out when it was chosen.

    Attributes:
        head: taught all pictures.
        choice: how it was made.
        asked: which of the pictures of classes were left out and asked; none that is alone in its class.
        logits: of these, each by a head that was taught the others, as :meth:`Head.logits` has them; "none of these" by
            the threshold that the other classes set, so that as many are called so as the rejection has misses.
        rejection: the threshold, and its false alarms and misses.
        most_false_alarms: by which it was set, as :func:`fit` takes them.
    """

    head: Head
    choice: Choice
    asked: Indices
    logits: Wide
    rejection: Rejection
    most_false_alarms: float | None = None


def fit(taught: Taught, most_false_alarms: float | None = None) -> Fitted:
    """Fit a head to pictures by leave-one-out.

    How it is made, and its temperature, are what gives pictures that are left out the best probability of their class
    (least log loss). The threshold of "none of these" is then set by these pictures, by those of classes that are left
    out, and by pictures of other things where there are some.

    Args:
        taught: pictures of two classes or more.
        most_false_alarms: share of other things that may be given a class; unless given, the share that makes most of
            this and of pictures that are missed, see :func:`models.teaching.rejection.choose_threshold`.
    """
    own = taught.of_classes
    groups = _parts(own)
    choice, temperature = Choice(), _UNFITTED_TEMPERATURE
    asked, scores = np.array([], np.intp), np.empty((0, len(own.classes)))
    if groups:
        asked = np.concatenate(groups)
        choice, temperature, scores = _choose(own, groups, own.labels[asked])
    head = make_head(own, choice, temperature)
    inside = Scored(scores.max(1), own.labels[asked])
    rejection = set_threshold(inside, _other_things(own, choice, head, taught.others), most_false_alarms)
    head = replace(head, threshold=rejection.threshold)
    return Fitted(head, choice, asked, head.to_logits(scores, rejection.of_others), rejection, most_false_alarms)


def make_head(own: Taught, choice: Choice, temperature: float) -> Head:
    """Make a head of pictures, without a threshold."""
    ((_, head),) = _heads(own, [choice])
    return replace(head, temperature=temperature)


def _heads(own: Taught, choices: Sequence[Choice]) -> Iterator[tuple[Choice, Head]]:
    """Make a head for each choice; what several have in common is made once."""
    found = spectrum(own.features)
    for shrinkage, alike in itertools.groupby(choices, lambda choice: choice.shrinkage):
        space = found.space(shrinkage)
        placed = space.place(own.features)
        length = float(np.median(np.linalg.norm(placed, axis=1)))
        for clusters, same in itertools.groupby(alike, lambda choice: choice.clusters):
            kernels = make_kernels(placed, own.labels, clusters)
            for choice in same:
                sharpness = Sharpness(choice.p, choice.floor * length)
                yield choice, Head(space, kernels, len(own.classes), sharpness, 1.0, None)


def _choose(own: Taught, groups: Sequence[Indices], labels: NDArray[np.int64]) -> tuple[Choice, float, Wide]:
    """Return the choice and the temperature of least log loss, and the scores by it of what was left out."""
    most = max(own.counts())
    choices = [
        Choice(*values)
        for values in itertools.product(_SHRINKAGES, [n for n in _CLUSTERS if 2 * n <= most + 1], _POWERS, _FLOORS)
    ]
    scores: dict[Choice, list[Wide]] = {choice: [] for choice in choices}
    for group in groups:
        kept = np.ones(len(own.labels), bool)
        kept[group] = False
        alike = itertools.groupby(_heads(own.part(kept), choices), lambda made: made[1].space)
        for space, heads in alike:
            placed = space.place(own.views[group])
            for choice, head in heads:
                scores[choice].append(head.scores_of_placed(placed))
    best: tuple[float, Choice, float, Wide] | None = None
    for choice in choices:
        found = np.concatenate(scores[choice])
        loss, temperature = min((_loss(each * found, labels), float(each)) for each in _TEMPERATURES)
        if best is None or loss < best[0]:
            best = loss, choice, temperature, found
    assert best is not None
    return best[1:]


def _loss(logits: Wide, labels: NDArray[np.int64]) -> float:
    """Return the mean log loss, of targets that are not quite 1: N pictures that are right say no more than that.

    Source:
        J. Platt, "Probabilistic outputs for support vector machines" (1999), section 2.2.
    """
    logs = log_softmax(logits)
    own = logs[np.arange(len(labels)), labels]
    target = (len(labels) + 1) / (len(labels) + 2)
    others = (logs.sum(1) - own) / max(1, logs.shape[1] - 1)
    return -float((target * own + (1 - target) * others).mean())


def _parts(own: Taught) -> list[Indices]:
    """Return the pictures to leave out together: each alone, or parts with an even share of every class.

    Pictures that are all of their class are never left out, since nothing would be left to know them by.
    """
    counts = own.counts()
    order = [i for i in np.argsort(own.labels, kind="stable").tolist() if counts[own.labels[i]] > 1]
    parts = len(order) if len(order) <= MOST_ONE_BY_ONE else PARTS
    return [np.array(order[first::parts], np.intp) for first in range(parts)]


def _other_things(own: Taught, choice: Choice, head: Head, others: Views) -> Scored:
    """Score pictures of other things, and those of each class by a head that was taught the other classes.

    Two classes have to be left to be taught, since what is centred on one class has no direction.
    """
    found, classes = [head.scores(others).max(1)], [-1 - np.arange(len(others))]
    if len(own.classes) > 2:
        parts = min(PARTS, len(own.classes))
        for first in range(parts):
            out = np.isin(own.labels, np.arange(first, len(own.classes), parts))
            ((_, without),) = _heads(own.part(~out), [choice])
            scores = without.scores(own.views[out])
            found.append(scores[:, np.unique(own.labels[~out])].max(1))
            classes.append(own.labels[out])
    return Scored(np.concatenate(found), np.concatenate(classes))
