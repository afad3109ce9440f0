"""The command ``scs evaluate``."""

from __future__ import annotations

import json as json_format
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from models.cards import catalogue
from models.cards.card import ModelCard
from models.cards.catalogue import Entry
from models.datasets.dataset import Dataset
from models.training.allocator import keep_freed_memory
from scs.errors import DataError, MissingPackageError, ModelError, OptionError
from service.cli import options
from service.cli.dataset import open_dataset
from service.cli.local_models import open_model, own_repository, settings_for
from service.cli.measurement import measure_accuracy, measure_attacks, measure_corruptions, measure_shifts
from service.cli.printing.accuracy import print_confusion
from service.cli.progress import image_bars

if TYPE_CHECKING:
    from models.runtime.differentiable import Differentiable

Name = Annotated[str, typer.Argument(help="A model of the repository.")]
Corruptions = Annotated[
    bool, typer.Option("--corruptions", help="Measure it on spoilt images too: ten corruptions at severities 1 to 5.")
]
Attacks = Annotated[
    bool, typer.Option("--attacks", help="Attack it too, by FGSM and PGD on 1,000 of the images; needs torch.")
]
Shifts = Annotated[
    bool, typer.Option("--shifts", help="Shift 1,000 of the images, and tell how far each layer follows.")
]
WriteCard = Annotated[
    bool, typer.Option("--write-card", help="Put what --shifts finds for one pixel into the model's card.")
]


def evaluate(
    name: Name,
    data: options.Data = None,
    download: options.Download = False,
    version: options.Version = None,
    repository: options.Repository = None,
    corruptions: Corruptions = False,
    attacks: Attacks = False,
    shifts: Shifts = False,
    write_card: WriteCard = False,
    json: options.Json = False,
) -> None:
    """Measure an exported model on the test images of the data set it was trained on.

    Example: scs evaluate cifar10-scs --data ~/data --corruptions
    """
    settings = settings_for(repository)
    model = open_model(settings, name, version)
    if write_card and not shifts:
        raise OptionError("--write-card writes what --shifts finds; that was not asked for")
    if write_card:
        own_repository(settings, "--write-card")
    if model.card.accuracy is None:
        raise DataError(f"the card of {name} needs to name a data set; it names none")
    entry = catalogue.find(settings.model_repository, model.card.name, model.card.version)
    graph = _graph(entry, model.card) if attacks else None
    dataset = _dataset(model.card, model.card.accuracy.dataset, data, download)

    with image_bars() as bar:
        result, accuracy = measure_accuracy(model, dataset, bar)
        measurements = [accuracy]
        if corruptions:
            measurements.append(measure_corruptions(model, dataset, result.accuracy, bar))
        if shifts:
            measurements.append(measure_shifts(model, dataset, entry if write_card else None, bar))
        if graph:
            measurements.append(measure_attacks(graph, dataset, bar))
    if json:
        print(json_format.dumps({key: value for each in measurements for key, value in each.figures.items()}, indent=2))
        return
    for each in measurements:
        each.show()
    if len(measurements) == 1:
        print_confusion(result)


def _graph(entry: Entry, card: ModelCard) -> Differentiable:
    """Load the model's file into torch, which gives its gradients."""
    try:
        from models.runtime.differentiable import RuntimeGraph, differentiable
    except ImportError as error:
        raise MissingPackageError(f"--attacks needs {error.name}: pip install 'scs-serve[train]'") from None
    if card.format != "onnx":
        raise ModelError(f"--attacks needs a model that is ONNX; {card.name} is {card.format}")
    keep_freed_memory()
    graph = differentiable(entry.verified_bytes())
    if isinstance(graph, RuntimeGraph):
        graph.passes("logits")  # to say at once which operator has no rule
    return graph


def _dataset(card: ModelCard, name: str, folder: Path | None, download: bool) -> Dataset:
    dataset = open_dataset(name, folder, download)
    if list(dataset.classes) != card.labels:
        raise DataError(f"{card.name} needs data of its own classes; {dataset.name} has others")
    return dataset
