"""Evaluation of an exported model without torch: accuracy with its interval, confusion matrix, calibration."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.cards.card import MOST_CONFUSED, AccuracyCard
from models.datasets.dataset import Dataset, Images, Labels
from models.evaluation.calibration import Calibration, calibration_of, log_softmax
from models.runtime.load import Array, RunnableModel

_BATCH = 200
_BATCH_PIXELS = 200 * 64 * 64  # fewer images of more than 64 pixels a side: their maps take memory
_Z_95 = 1.959963984540054


@dataclass(frozen=True)
class Evaluation:
    """The results of a model on test images: the confusion matrix ``confusion[true, predicted]`` and calibration."""

    classes: tuple[str, ...]
    confusion: npt.NDArray[np.int64]
    calibration: Calibration

    @property
    def images(self) -> int:
        """Number of test images."""
        return int(self.confusion.sum())

    @property
    def correct(self) -> int:
        """Number of images that were classified correctly."""
        return int(self.confusion.trace())

    @property
    def accuracy(self) -> float:
        """Share of images that were classified correctly, 0 to 1."""
        return self.correct / self.images

    @property
    def recall(self) -> npt.NDArray[np.float64]:
        """For each class, the share of its images that were recognised; 0 where it had none."""
        return _share(self.confusion.diagonal(), self.confusion.sum(1))

    @property
    def precision(self) -> npt.NDArray[np.float64]:
        """For each class, the share of the images predicted as it that belong to it; 0 where it was never predicted."""
        return _share(self.confusion.diagonal(), self.confusion.sum(0))

    def interval(self) -> tuple[float, float]:
        """Return the 95% Wilson interval of the accuracy."""
        return wilson_interval(self.correct, self.images)

    def card(self, dataset: str, note: str) -> AccuracyCard:
        """Return these figures as the accuracy part of a model card."""
        low, high = (round(bound, 4) for bound in self.interval())
        return AccuracyCard(
            dataset=dataset,
            note=note,
            images=self.images,
            correct=self.correct,
            accuracy=self.accuracy,
            low=low,
            high=high,
            confusion=self.confusion.tolist() if len(self.classes) <= MOST_CONFUSED else None,
        )


def evaluate(
    model: RunnableModel, dataset: Dataset, on_images: Callable[[int], None] = lambda done: None
) -> Evaluation:
    """Evaluate a model on every test image of a data set.

    Args:
        model: an exported model.
        dataset: its test images are used.
        on_images: called with the number of images done so far.
    """
    logits = logits_of(model, dataset.test_images, on_images)
    return judge(logits, dataset.test_labels, dataset.classes)


def logits_of(
    model: RunnableModel,
    images: Images,
    on_images: Callable[[int], None] = lambda done: None,
    most: int | None = None,
) -> Array:
    """Compute the logits ``(N, classes)`` of images ``(N, H, W, C)``, with batches in parallel on a thread pool.

    Args:
        model: an exported model.
        images: at least one.
        on_images: called with the number of images done so far.
        most: that the model takes together, where its card says so.
    """
    count = max(1, min(most or _BATCH, _BATCH, _BATCH_PIXELS // (images.shape[1] * images.shape[2])))
    batches = [images[start : start + count] for start in range(0, len(images), count)]
    found: list[Array] = []
    with ThreadPoolExecutor(model.concurrent_runs) as pool:
        for logits in pool.map(model.logits, batches):
            found.append(logits)
            on_images(sum(map(len, found)))
    return np.concatenate(found)


def most_wrong(logits: Array, labels: Labels, most: int) -> list[int]:
    """Return which images were put into another class, those first that the model is surest of.

    Args:
        logits: ``(N, classes)``.
        labels: ``(N,)``, the true classes.
        most: how many to return at most.
    """
    wrong = np.flatnonzero(logits.argmax(1) != labels)
    surest = np.argsort(-log_softmax(logits[wrong]).max(1), kind="stable") if len(wrong) else wrong
    return [int(number) for number in wrong[surest][:most]]


def judge(logits: Array, labels: Labels, classes: tuple[str, ...]) -> Evaluation:
    """Compare logits ``(N, classes)`` with the true classes ``(N,)``."""
    confusion = np.zeros((len(classes), len(classes)), np.int64)
    np.add.at(confusion, (labels, logits.argmax(1)), 1)
    return Evaluation(classes, confusion, calibration_of(logits, labels))


def wilson_interval(correct: int, images: int) -> tuple[float, float]:
    """Return the 95% Wilson score interval of a proportion.

    Source:
        E. B. Wilson, "Probable inference, the law of succession, and statistical inference" (1927).
    """
    share, z2 = correct / images, _Z_95**2
    centre = (share + z2 / (2 * images)) / (1 + z2 / images)
    half = _Z_95 / (1 + z2 / images) * math.sqrt(share * (1 - share) / images + z2 / (4 * images**2))
    return max(0.0, centre - half), min(1.0, centre + half)


def _share(part: npt.NDArray[np.int64], whole: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    return np.divide(part, whole, out=np.zeros(len(whole)), where=whole > 0)
