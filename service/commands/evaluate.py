"""``scs evaluate``."""

from __future__ import annotations

import json as json_format
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from models import catalogue
from models.card import CARD_FILE, ModelCard
from models.card import write_card as write
from models.datasets import evenly
from models.equivariance import MOST_IMAGES, equivariance_error
from models.evaluation import Evaluation
from models.evaluation import evaluate as measure
from models.freed_memory import keep_freed_memory
from scs.errors import DataError, MissingPackageError, ModelError, OptionError
from service.commands import options
from service.commands.data import open_dataset
from service.commands.local import open_model, settings_for
from service.commands.shifting import SHIFTS, print_shifted, shifted_figures
from service.settings import Settings

if TYPE_CHECKING:
    from models.torch_graph import TorchGraph

_ATTACKED = 1_000  # images


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
    attacked = evenly(dataset.test_images, _ATTACKED), evenly(dataset.test_labels, _ATTACKED)

    tables: list[Callable[[], None]] = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:

        def progress(what: str, images: int) -> Callable[[int], None]:
            task = bar.add_task(what, total=images)
            return lambda done: bar.update(task, completed=done)

        images = len(dataset.test_images)
        result = measure(model.runtime, dataset, progress(name, images))
        figures = _figures(model.card, result)
        if corruptions:
            # Here, because it brings OpenCV, which a service does without until something is to be matched.
            from models.spoilt import CORRUPTED_VIEWS, evaluate_corrupted
            from service.commands.robustness import print_spoilt, spoilt_figures

            spoilt = evaluate_corrupted(model.runtime, dataset, progress("spoilt", images * CORRUPTED_VIEWS))
            figures |= spoilt_figures(spoilt)
            tables.append(lambda: print_spoilt(result.accuracy, spoilt))
        if shifts:
            chosen = evenly(dataset.test_images, MOST_IMAGES)
            found = equivariance_error(model.runtime, model.card, chosen, SHIFTS, progress("shifted", len(chosen)))
            figures |= shifted_figures(found)
            tables.append(lambda: print_shifted(model.card, found))
            if write_card:
                entry = catalogue.find(settings.model_repository, model.card.name, model.card.version)
                card = model.card.model_copy(update={"equivariance": found[0].card(dataset.name)})
                write(card, entry.folder / CARD_FILE)
        if graph:
            from models.attacks import attack, check_gradients
            from service.commands.robustness import attacked_figures, print_attacked

            withstood = attack(graph, *attacked, progress("attacked", len(attacked[0])))
            check = check_gradients(graph, *attacked)
            figures |= attacked_figures(withstood, check)
            tables.append(lambda: print_attacked(withstood, check))
    if json:
        print(json_format.dumps(figures, indent=2))
        return
    _print(model.card, result)
    for show in tables or [lambda: _print_confusion(result)]:
        show()


def _check_writable(settings: Settings, shifts: bool) -> None:
    if not shifts:
        raise OptionError("--write-card writes what --shifts finds; that was not asked for")
    if "model_repository" not in settings.model_fields_set:
        raise OptionError("--write-card needs a folder to write to: name it with --repository or SCS_MODEL_REPOSITORY")


def _graph(settings: Settings, card: ModelCard) -> TorchGraph:
    """The model's file in torch, for its gradients."""
    try:
        from models.torch_graph import TorchGraph
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
