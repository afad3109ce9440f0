"""Robustness of an exported model to corrupted images, measured without torch."""

from __future__ import annotations

from collections.abc import Callable

from models.datasets.corruptions import CORRUPTIONS, SEVERITIES, corrupt
from models.datasets.dataset import Dataset
from models.evaluation.accuracy import Evaluation, judge, logits_of
from models.runtime.load import RunnableModel

CORRUPTED_VIEWS = len(CORRUPTIONS) * len(SEVERITIES)


def evaluate_corrupted(
    model: RunnableModel,
    dataset: Dataset,
    on_images: Callable[[int], None] = lambda done: None,
    most: int | None = None,
) -> dict[str, list[Evaluation]]:
    """Evaluate a model on the test images under every corruption and severity of :mod:`models.datasets.corruptions`.

    Args:
        model: an exported model.
        dataset: its test images are used.
        on_images: called with the number of images done so far; each counts ``CORRUPTED_VIEWS`` times.
        most: images that the model takes together, where its card says so.

    Returns:
        For each corruption by name, what came of severities 1 to 5.
    """
    found: dict[str, list[Evaluation]] = {}
    done = 0
    for name in CORRUPTIONS:
        found[name] = []
        for severity in SEVERITIES:
            images = corrupt(dataset.test_images, name, severity)
            logits = logits_of(model, images, lambda more, before=done: on_images(before + more), most)  # type: ignore[misc]
            found[name].append(judge(logits, dataset.test_labels, dataset.classes))
            done += len(images)
    return found
