"""Measure a model that was exported: accuracy with its interval, and where it errs. Needs no torch."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.card import AccuracyCard
from models.datasets import Dataset
from models.runtime import RunnableModel

_BATCH = 200
_Z_95 = 1.959963984540054


@dataclass(frozen=True)
class Evaluation:
    """What a model made of the test images: ``confusion[true, predicted]`` counts them."""

    classes: tuple[str, ...]
    confusion: npt.NDArray[np.int64]

    @property
    def images(self) -> int:
        """How many images were shown."""
        return int(self.confusion.sum())

    @property
    def correct(self) -> int:
        """How many were put in their class."""
        return int(self.confusion.trace())

    @property
    def accuracy(self) -> float:
        """Share put in their class."""
        return self.correct / self.images

    @property
    def recall(self) -> npt.NDArray[np.float64]:
        """For each class, the share of its images that were recognised; 0 where it had none."""
        return _share(self.confusion.diagonal(), self.confusion.sum(1))

    @property
    def precision(self) -> npt.NDArray[np.float64]:
        """For each class, the share of the images put there that belonged there; 0 where none was put."""
        return _share(self.confusion.diagonal(), self.confusion.sum(0))

    def interval(self) -> tuple[float, float]:
        """The 95% Wilson interval of the accuracy."""
        return wilson_interval(self.correct, self.images)

    def card(self, dataset: str, note: str) -> AccuracyCard:
        """The part of a model's card that these figures fill."""
        low, high = (round(bound, 4) for bound in self.interval())
        return AccuracyCard(
            dataset=dataset,
            note=note,
            images=self.images,
            correct=self.correct,
            accuracy=self.accuracy,
            low=low,
            high=high,
        )


def evaluate(
    model: RunnableModel, dataset: Dataset, on_images: Callable[[int], None] = lambda done: None
) -> Evaluation:
    """Show a model every test image of a data set.

    Args:
        model: an exported model.
        dataset: its test images are used.
        on_images: called with the number of images done so far.
    """
    classes = len(dataset.classes)
    confusion = np.zeros((classes, classes), np.int64)
    for start in range(0, len(dataset.test_images), _BATCH):
        images = dataset.test_images[start : start + _BATCH]
        predicted = model.logits(images).argmax(1)
        np.add.at(confusion, (dataset.test_labels[start : start + _BATCH], predicted), 1)
        on_images(start + len(images))
    return Evaluation(dataset.classes, confusion)


def wilson_interval(correct: int, images: int) -> tuple[float, float]:
    """The 95% interval of a share that was counted.

    Source:
        E. B. Wilson, "Probable inference, the law of succession, and statistical inference" (1927).
    """
    share, z2 = correct / images, _Z_95**2
    centre = (share + z2 / (2 * images)) / (1 + z2 / images)
    half = _Z_95 / (1 + z2 / images) * math.sqrt(share * (1 - share) / images + z2 / (4 * images**2))
    return max(0.0, centre - half), min(1.0, centre + half)


def _share(part: npt.NDArray[np.int64], whole: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    return np.divide(part, whole, out=np.zeros(len(whole)), where=whole > 0)
