"""``scs evaluate``."""

from __future__ import annotations

import json as json_format
from statistics import mean
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from models.card import ModelCard
from models.corruptions import CORRUPTIONS, SEVERITIES
from models.evaluation import CORRUPTED_VIEWS, Evaluation, evaluate_corrupted
from models.evaluation import evaluate as measure
from scs.errors import DataError
from service.commands import options
from service.commands.data import open_dataset
from service.commands.local import open_model, settings_for


def evaluate(
    name: Annotated[str, typer.Argument(help="A model of the repository.")],
    data: options.Data = None,
    download: options.Download = False,
    version: options.Version = None,
    repository: options.Repository = None,
    corruptions: Annotated[
        bool,
        typer.Option("--corruptions", help="Measure it on spoilt images too: ten corruptions at severities 1 to 5."),
    ] = False,
    json: options.Json = False,
) -> None:
    """Measure an exported model on the test images of the data set it was trained on.

    Example: scs evaluate cifar10-scs --data ~/data --corruptions
    """
    model = open_model(settings_for(repository), name, version)
    if model.card.accuracy is None:
        raise DataError(f"the card of {name} needs to name a data set; it names none")
    dataset = open_dataset(model.card.accuracy.dataset, data, download)
    if list(dataset.classes) != model.card.labels:
        raise DataError(f"{name} needs data of its own classes; {dataset.name} has others")
    images = len(dataset.test_images)
    spoilt: dict[str, list[Evaluation]] = {}
    columns = (TextColumn(name), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(name, total=images * (1 + corruptions * CORRUPTED_VIEWS))
        result = measure(model.runtime, dataset, lambda done: bar.update(task, completed=done))
        if corruptions:
            spoilt = evaluate_corrupted(model.runtime, dataset, lambda done: bar.update(task, completed=images + done))
    if json:
        print(json_format.dumps({**_figures(model.card, result), **_spoilt_figures(spoilt)}, indent=2))
        return
    _print(model.card, result)
    if spoilt:
        _print_spoilt(result, spoilt)
    else:
        _print_confusion(result)


def _figures(card: ModelCard, result: Evaluation) -> dict[str, object]:
    low, high = result.interval()
    return {
        "model": card.name,
        "version": card.version,
        "images": result.images,
        "correct": result.correct,
        "accuracy": result.accuracy,
        "interval_95": [low, high],
        "classes": list(result.classes),
        "recall": result.recall.tolist(),
        "precision": result.precision.tolist(),
        "confusion": result.confusion.tolist(),
        "expected_calibration_error": result.calibration.expected_error,
        "negative_log_likelihood": result.calibration.negative_log_likelihood,
        "reliability": {
            "counts": result.calibration.counts.tolist(),
            "confidence": result.calibration.confidence.tolist(),
            "accuracy": result.calibration.accuracy.tolist(),
        },
    }


def _spoilt_figures(spoilt: dict[str, list[Evaluation]]) -> dict[str, object]:
    """Nothing where nothing was spoilt."""
    if not spoilt:
        return {}
    accuracies = {name: [result.accuracy for result in results] for name, results in spoilt.items()}
    corruptions = {
        name: {
            "unit": CORRUPTIONS[name].unit,
            "amounts": CORRUPTIONS[name].amounts,
            "accuracy": found,
            "mean": mean(found),
        }
        for name, found in accuracies.items()
    }
    return {"corruptions": corruptions, "corrupted_mean": mean(map(mean, accuracies.values()))}


def _print(card: ModelCard, result: Evaluation) -> None:
    low, high = result.interval()
    print(
        f"{card.name} {card.version}: {result.correct:,} of {result.images:,} right, {result.accuracy:.2%} "
        f"(95% interval {low:.2%} to {high:.2%})"
    )
    print(
        f"expected calibration error {result.calibration.expected_error:.2%}, "
        f"negative log-likelihood {result.calibration.negative_log_likelihood:.3f}"
    )
    if card.accuracy and card.accuracy.note:
        print(card.accuracy.note)


def _print_confusion(result: Evaluation) -> None:
    print("\nrows: true class; columns: predicted class")
    headings = [label[:4] for label in result.classes]  # ten classes fit into 80 columns
    table = Table("", *headings, "recall", "precis.", box=None, padding=(0, 1, 0, 0))
    for label, row, recall, precision in zip(
        result.classes, result.confusion, result.recall, result.precision, strict=True
    ):
        table.add_row(label, *(str(count) for count in row), f"{recall:.1%}", f"{precision:.1%}")
    Console().print(table)


def _print_spoilt(result: Evaluation, spoilt: dict[str, list[Evaluation]]) -> None:
    print("\naccuracy on spoilt images, by severity")
    table = Table("", *map(str, SEVERITIES), "mean", "", box=None, padding=(0, 2, 0, 0))
    table.add_row("none", *[""] * len(SEVERITIES), f"{result.accuracy:.1%}")
    means = []
    for name, results in spoilt.items():
        accuracies = [each.accuracy for each in results]
        means.append(mean(accuracies))
        first, *_, last = CORRUPTIONS[name].amounts
        shown = (f"{accuracy:.1%}" for accuracy in [*accuracies, means[-1]])
        table.add_row(name, *shown, f"{first:g} to {last:g} {CORRUPTIONS[name].unit}")
    table.add_row("all", *[""] * len(SEVERITIES), f"{mean(means):.1%}")
    Console().print(table)
