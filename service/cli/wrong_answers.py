"""The pictures that ``scs evaluate --out`` writes: the confusion, and the wrong answers that it is surest of."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from models.cards.card import ModelCard
from models.datasets.dataset import Dataset
from models.evaluation.accuracy import Evaluation, most_wrong
from models.evaluation.calibration import log_softmax
from models.runtime.load import Array
from service.pictures.captioned import Captioned, draw_captioned
from service.pictures.confusion import draw_confusion

PICTURES = ("confusion.png", "wrong.png")
_MOST_WRONG = 24


def write_pictures(
    folder: Path, card: ModelCard, dataset: Dataset, names: Sequence[str], logits: Array, result: Evaluation
) -> None:
    """Write both pictures into a folder, which is made where it is missing.

    Args:
        folder: where they shall lie.
        card: of the model.
        dataset: whose test images were measured.
        names: of the test images; none to number them.
        logits: of the test images, ``(N, classes)``.
        result: what came of them.
    """
    low, high = result.interval()
    title = (
        f"{card.name} {card.version} on {dataset.name}: {result.accuracy:.1%} of {result.images:,} right "
        f"({low:.1%} to {high:.1%})"
    )
    folder.mkdir(parents=True, exist_ok=True)
    draw_confusion(result.confusion, result.classes, title).save(folder / PICTURES[0])
    wrong = most_wrong(logits, dataset.test_labels, _MOST_WRONG)
    shown = [
        _captioned(dataset, result, logits[number], number, names[number] if names else f"number {number}")
        for number in wrong
    ]
    count = result.images - result.correct
    of = (
        f"the {len(wrong)} that it is surest of, of {count:,} wrong answers"
        if count > len(wrong)
        else f"{count} wrong answers"
    )
    draw_captioned(shown, f"{card.name} {card.version} on {dataset.name}: {of}").save(folder / PICTURES[1])


def _captioned(dataset: Dataset, result: Evaluation, logits: Array, number: int, name: str) -> Captioned:
    shares = np.exp(log_softmax(logits[None])[0])
    said, true = int(logits.argmax()), int(dataset.test_labels[number])
    return Captioned(
        dataset.test_images[number],
        f"says {result.classes[said]}, {shares[said]:.0%}",
        f"is {result.classes[true]}, {shares[true]:.0%}; {name}",
    )
