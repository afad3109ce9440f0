"""A head: one layer of sharpened cosine similarity whose kernels are pictures, and the classes' scores by it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.teaching.space import Space, Wide
from models.teaching.taught import Views

_EPS = 1e-6  # as in the op, see models.onnx.op


@dataclass(frozen=True)
class Sharpness:
    """Exponent ``p``, and noise floor ``q`` in units of the vectors' length."""

    p: float
    q: float


@dataclass(frozen=True, eq=False)
class Kernels:
    """Kernels ``(K, channels)`` in a space, each the mean of some pictures of a class, whose number is its owner."""

    vectors: Wide
    owners: NDArray[np.int64]

    def shares(self, classes: int) -> Wide:
        """Return ``(classes, K)``, by which kernels' answers are averaged to scores of classes."""
        owned = self.owners == np.arange(classes)[:, None]
        shares: Wide = owned / np.maximum(owned.sum(1, keepdims=True), 1)
        return shares


@dataclass(frozen=True, eq=False)
class Head:
    """A head that is ready to be asked.

    Attributes:
        space: in which features are compared.
        kernels: of the classes.
        classes: how many there are.
        sharpness: of the similarity.
        temperature: what scores are multiplied by to be logits.
        threshold: score below which a picture is none of the classes; None to name a class always.
    """

    space: Space
    kernels: Kernels
    classes: int
    sharpness: Sharpness
    temperature: float
    threshold: float | None

    def scores(self, views: Views) -> Wide:
        """Return the scores ``(N, classes)`` of pictures ``(N, P, channels)``, within [-1, 1]: the best of P views."""
        return self.scores_of_placed(self.space.place(views))

    def scores_of_placed(self, placed: Wide) -> Wide:
        """Return the scores of pictures that are in the head's space already, ``(N, P, channels)``."""
        similarities = similarity(placed.reshape(-1, placed.shape[2]), self.kernels.vectors, self.sharpness)
        scores = similarities @ self.kernels.shares(self.classes).T
        best: Wide = scores.reshape(*placed.shape[:2], self.classes).max(1)
        return best

    def logits(self, views: Views) -> Wide:
        """Return the logits of pictures: of every class, and of none of them where there is a threshold."""
        scores = self.scores(views)
        return self.to_logits(scores, None if self.threshold is None else np.full(len(scores), self.threshold))

    def to_logits(self, scores: Wide, thresholds: Wide | None) -> Wide:
        """Return the logits of scores ``(N, classes)``, and of none of the classes by thresholds ``(N,)`` if any."""
        if thresholds is not None:
            scores = np.concatenate([scores, thresholds[:, None]], 1)
        return self.temperature * scores


def similarity(x: Wide, w: Wide, sharpness: Sharpness) -> Wide:
    """Return the sharpened cosine similarities ``(N, K)`` of vectors ``(N, channels)`` and ``(K, channels)``."""
    norms = [np.sqrt((each**2).sum(1) + 1e-12) + sharpness.q for each in (x, w)]
    return sharpened((x @ w.T) / (norms[0][:, None] * norms[1]), sharpness.p)


def sharpened(cosines: Wide, p: float) -> Wide:
    """Sharpen cosines by the exponent p, as the op does."""
    raised: Wide = cosines * (np.abs(cosines) + _EPS) ** (p - 1)
    return raised


def make_kernels(placed: Wide, labels: NDArray[np.int64], most: int) -> Kernels:
    """Make kernels of pictures in a space: the mean of each class, or of each of its clusters.

    Args:
        placed: ``(N, channels)``.
        labels: their classes.
        most: clusters of a class; a class has no more of them than half of its pictures.
    """
    vectors: list[Wide] = []
    owners: list[int] = []
    for label in np.unique(labels).tolist():
        own = placed[labels == label]
        means = cluster(own, max(1, min(most, len(own) // 2)))
        vectors += means
        owners += [label] * len(means)
    return Kernels(np.stack(vectors), np.array(owners, np.int64))


def cluster(vectors: Wide, count: int) -> Sequence[Wide]:
    """Return the means of ``count`` clusters (Lloyd's algorithm, from the vectors that lie farthest apart)."""
    if count == 1:
        return [vectors.mean(0)]
    chosen = [int(((vectors - vectors.mean(0)) ** 2).sum(1).argmax())]
    while len(chosen) < count:
        apart = np.min([((vectors - vectors[i]) ** 2).sum(1) for i in chosen], axis=0)
        chosen.append(int(apart.argmax()))
    means = vectors[chosen]
    for _ in range(8):
        squares = (means**2).sum(1) - 2 * vectors @ means.T
        nearest = squares.argmin(1)
        means = np.stack([vectors[nearest == i].mean(0) if (nearest == i).any() else means[i] for i in range(count)])
    return list(means)
