"""Measure a model that was exported on images that were spoilt. Needs no torch."""

from __future__ import annotations

from collections.abc import Callable

from models.datasets.corruptions import CORRUPTIONS, SEVERITIES, corrupt
from models.datasets.dataset import Dataset
from models.evaluation.accuracy import Evaluation, judge, logits_of
from models.runtime.load import RunnableModel

CORRUPTED_VIEWS = len(CORRUPTIONS) * len(SEVERITIES)


def evaluate_corrupted(
    model: RunnableModel, dataset: Dataset, on_images: Callable[[int], None] = lambda done: None
) -> dict[str, list[Evaluation]]:
    """Show a model every test image of a data set once more, spoilt in each way of :mod:`models.datasets.corruptions`.

    Args:
        model: an exported model.
        dataset: its test images are used.
        on_images: called with the number of images done so far; each counts ``CORRUPTED_VIEWS`` times.

    Returns:
        For each corruption by name, what came of severities 1 to 5.
    """
    found: dict[str, list[Evaluation]] = {}
    done = 0
    for name in CORRUPTIONS:
        found[name] = []
        for severity in SEVERITIES:
            images = corrupt(dataset.test_images, name, severity)
            logits = logits_of(model, images, lambda more, before=done: on_images(before + more))  # type: ignore[misc]
            found[name].append(judge(logits, dataset.test_labels, dataset.classes))
            done += len(images)
    return found
