"""``scs evaluate``."""

from __future__ import annotations

import json as json_format
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from models.cards import catalogue
from models.cards.card import ModelCard
from models.evaluation.accuracy import Evaluation
from models.evaluation.accuracy import evaluate as measure
from models.training.allocator import keep_freed_memory
from scs.errors import DataError, MissingPackageError, ModelError, OptionError
from service.cli import options
from service.cli.data import open_dataset
from service.cli.findings import Finding
from service.cli.local import open_model, settings_for
from service.cli.shifting import find_shifted
from service.settings import Settings

if TYPE_CHECKING:
    from models.onnx.as_torch import TorchGraph


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
    attacks: Annotated[
        bool,
        typer.Option("--attacks", help="Attack it too, by FGSM and PGD on 1,000 of the images; needs torch."),
    ] = False,
    shifts: Annotated[
        bool,
        typer.Option("--shifts", help="Shift 1,000 of the images, and tell how far each layer follows."),
    ] = False,
    write_card: Annotated[
        bool,
        typer.Option("--write-card", help="Put what --shifts finds for one pixel into the model's card."),
    ] = False,
    json: options.Json = False,
) -> None:
    """Measure an exported model on the test images of the data set it was trained on.

    Example: scs evaluate cifar10-scs --data ~/data --corruptions
    """
    settings = settings_for(repository)
    model = open_model(settings, name, version)
    if write_card:
        _check_writable(settings, shifts)
    if model.card.accuracy is None:
        raise DataError(f"the card of {name} needs to name a data set; it names none")
    graph = _graph(settings, model.card) if attacks else None
    dataset = open_dataset(model.card.accuracy.dataset, data, download)
    if list(dataset.classes) != model.card.labels:
        raise DataError(f"{name} needs data of its own classes; {dataset.name} has others")

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:

        def progressing(what: str, images: int) -> Callable[[int], None]:
            task = bar.add_task(what, total=images)
            return lambda done: bar.update(task, completed=done)

        result = measure(model.runtime, dataset, progressing(name, len(dataset.test_images)))
        findings = [Finding(_figures(model.card, result), lambda: _print(model.card, result))]
        if corruptions:
            from service.cli.robustness import find_spoilt  # here, because it brings OpenCV

            findings.append(find_spoilt(model, dataset, result.accuracy, progressing))
        if shifts:
            entry = catalogue.find(settings.model_repository, model.card.name, model.card.version)
            findings.append(find_shifted(model, dataset, progressing, entry if write_card else None))
        if graph:
            from service.cli.robustness import find_attacked

            findings.append(find_attacked(graph, dataset, progressing))
    if json:
        print(json_format.dumps({key: value for each in findings for key, value in each.figures.items()}, indent=2))
        return
    for each in findings:
        each.show()
    if len(findings) == 1:
        _print_confusion(result)


def _check_writable(settings: Settings, shifts: bool) -> None:
    if not shifts:
        raise OptionError("--write-card writes what --shifts finds; that was not asked for")
    if "model_repository" not in settings.model_fields_set:
        raise OptionError("--write-card needs a folder to write to: name it with --repository or SCS_MODEL_REPOSITORY")


def _graph(settings: Settings, card: ModelCard) -> TorchGraph:
    """The model's file in torch, for its gradients."""
    try:
        from models.onnx.as_torch import TorchGraph
    except ImportError as error:
        raise MissingPackageError(f"--attacks needs {error.name}: pip install 'scs-serve[train]'") from None
    if card.format != "onnx":
        raise ModelError(f"--attacks needs a model that is ONNX; {card.name} is {card.format}")
    keep_freed_memory()
    return TorchGraph(catalogue.find(settings.model_repository, card.name, card.version).verified_bytes())


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
