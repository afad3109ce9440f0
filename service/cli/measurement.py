"""The measurements of ``scs evaluate``, each with its figures for programs and its table for people."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from models.datasets.dataset import Dataset, affordable, evenly
from models.evaluation.accuracy import Evaluation, judge, logits_of
from models.evaluation.equivariance import MOST_IMAGES, equivariance_error
from models.runtime.load import Array
from service.cli.printing.accuracy import accuracy_figures, print_accuracy
from service.cli.printing.shifts import print_shifts, shift_figures
from service.cli.progress import ImageBar
from service.repository.loader import LoadedModel

if TYPE_CHECKING:
    from models.runtime.differentiable import Differentiable

_ATTACKED = 1_000  # images
_SHIFTS = (1, 2, 4, 8)  # pixels; the first is the card's


@dataclass(frozen=True)
class Measurement:
    """The result of one measurement: its figures, a function that prints them, and what a card says of it.

    Attributes:
        figures: by name, as JSON has them.
        show: prints them.
        on_card: parts of a model's card by their names.
    """

    figures: dict[str, object]
    show: Callable[[], None]
    on_card: dict[str, object] = field(default_factory=dict)


def measure_accuracy(
    model: LoadedModel, dataset: Dataset, bar: ImageBar, note: str = ""
) -> tuple[Array, Evaluation, Measurement]:
    """Measure the accuracy on all test images; the logits ``(N, classes)`` come first.

    The card says with it what it said of the same data set before, else ``note``.
    """
    shown = bar(model.card.name, len(dataset.test_images))
    logits = logits_of(model.runtime, dataset.test_images, shown, model.card.serving.max_batch_size)
    result = judge(logits, dataset.test_labels, dataset.classes)
    before = model.card.accuracy
    card = result.card(dataset.name, before.note if before and before.dataset == dataset.name else note)
    figures = accuracy_figures(model.card, result)
    return logits, result, Measurement(figures, lambda: print_accuracy(model.card, result), {"accuracy": card})


def measure_corruptions(model: LoadedModel, dataset: Dataset, clean: float, bar: ImageBar) -> Measurement:
    """Measure the accuracy on corrupted test images; ``clean`` is that on the images as they are."""
    from models.evaluation.corrupted import CORRUPTED_VIEWS, evaluate_corrupted  # here, because it brings OpenCV
    from service.cli.printing.corruptions import corruption_figures, print_corruptions

    views = len(dataset.test_images) * CORRUPTED_VIEWS
    corrupted = evaluate_corrupted(model.runtime, dataset, bar("spoilt", views), model.card.serving.max_batch_size)
    return Measurement(corruption_figures(corrupted), lambda: print_corruptions(clean, corrupted))


def measure_shifts(model: LoadedModel, dataset: Dataset, bar: ImageBar) -> Measurement:
    """Measure the equivariance error on shifted test images; a card has that of one pixel."""
    images = evenly(dataset.test_images, affordable(MOST_IMAGES, dataset.test_images))
    found = equivariance_error(model.runtime, model.card, images, _SHIFTS, bar("shifted", len(images)))
    on_card: dict[str, object] = {"equivariance": found[0].card(dataset.name)}
    return Measurement(shift_figures(found), lambda: print_shifts(model.card, found), on_card)


def measure_attacks(graph: Differentiable, dataset: Dataset, bar: ImageBar) -> Measurement:
    """Measure the accuracy under adversarial attack; ``graph`` is the model in torch, for its gradients."""
    from models.evaluation.attacks import attack, check_gradients  # here, because it brings torch
    from service.cli.printing.attacks import attack_figures, print_attacks

    count = affordable(_ATTACKED, dataset.test_images)
    images, labels = evenly(dataset.test_images, count), evenly(dataset.test_labels, count)
    withstood = attack(graph, images, labels, bar("attacked", len(images)))
    check = check_gradients(graph, images, labels)
    return Measurement(attack_figures(withstood, check), lambda: print_attacks(withstood, check))
