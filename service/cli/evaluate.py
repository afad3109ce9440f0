"""The command ``scs evaluate``."""

from __future__ import annotations

import json as json_format
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from models.cards import catalogue
from models.cards.card import CARD_FILE, ModelCard
from models.cards.card import write_card as write
from models.cards.catalogue import Entry
from models.datasets.own import open_own
from models.datasets.published import DATASETS
from models.training.allocator import keep_freed_memory
from scs.errors import DataError, MissingPackageError, ModelError, OptionError
from service.cli import options
from service.cli.dataset import open_dataset
from service.cli.local_models import open_model, own_repository, settings_for
from service.cli.measurement import measure_accuracy, measure_attacks, measure_corruptions, measure_shifts
from service.cli.own_data import Chosen, to_evaluate
from service.cli.printing.accuracy import print_confusion
from service.cli.printing.plain import say
from service.cli.progress import image_bars
from service.cli.wrong_answers import PICTURES, write_pictures
from service.settings import Settings

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
Out = Annotated[
    Path | None,
    typer.Option(help="Folder for pictures: confusion, and the wrong answers that it is surest of.", file_okay=False),
]
WriteCard = Annotated[
    bool,
    typer.Option(
        "--write-card", help="Put the accuracy, and what --shifts finds for one pixel, into the model's card."
    ),
]


def evaluate(
    name: Name,
    data: options.OwnData = None,
    download: options.Download = False,
    version: options.Version = None,
    repository: options.Repository = None,
    corruptions: Corruptions = False,
    attacks: Attacks = False,
    shifts: Shifts = False,
    write_card: WriteCard = False,
    skip_broken: options.SkipBroken = False,
    out: Out = None,
    json: options.Json = False,
) -> None:
    """Measure a model on the test images of the data set it was trained on, or on pictures of your own.

    Example: scs evaluate bolts --data photos --out measured    (photos/CLASS/*.jpg)
    Example: scs evaluate cifar10-scs --data ~/data --corruptions
    """
    settings = settings_for(repository)
    model = open_model(settings, name, version)
    if write_card:
        own_repository(settings, "--write-card")
    if shifts and model.card.class_map is None:
        raise OptionError(f"--shifts needs a model with a class map; {name} has none")
    entry = catalogue.find(settings.model_repository, model.card.name, model.card.version)
    graph = _graph(entry, model.card) if attacks else None
    chosen = _chosen(model.card, data, download, settings, skip_broken)
    dataset = chosen.dataset

    with image_bars() as bar:
        logits, result, accuracy = measure_accuracy(model, dataset, bar, chosen.sentence)
        measurements = [accuracy]
        if corruptions:
            measurements.append(measure_corruptions(model, dataset, result.accuracy, bar))
        if shifts:
            measurements.append(measure_shifts(model, dataset, bar))
        if graph:
            measurements.append(measure_attacks(graph, dataset, bar))
    if write_card:
        found = {part: value for each in measurements for part, value in each.on_card.items()}
        write(model.card.model_copy(update=found), entry.folder / CARD_FILE)
    if out:
        write_pictures(out, model.card, dataset, chosen.names, logits, result)
    if json:
        print(json_format.dumps({key: value for each in measurements for key, value in each.figures.items()}, indent=2))
        return
    for each in measurements:
        each.show()
        if each is accuracy and chosen.sentence:
            say(chosen.sentence)
    if write_card:
        say(f"written to the card of {model.card.name} {model.card.version}")
    if out:
        say(f"written to {out}: {', '.join(PICTURES)}")
    elif len(measurements) == 1:
        print_confusion(result)


def _graph(entry: Entry, card: ModelCard) -> Differentiable:
    """Load the model's file into torch, which gives its gradients."""
    try:
        from models.runtime.differentiable import differentiable
    except ImportError as error:
        raise MissingPackageError(f"--attacks needs {error.name}: pip install 'scs-serve[train]'") from None
    if card.format != "onnx":
        raise ModelError(f"--attacks needs a model that is ONNX; {card.name} is {card.format}")
    keep_freed_memory()
    return differentiable(entry.verified_bytes(), one_by_one=card.serving.max_batch_size == 1)


def _chosen(card: ModelCard, path: Path | None, download: bool, settings: Settings, skip_broken: bool) -> Chosen:
    """Open what to measure on: a data set that is published, or somebody's own pictures."""
    named = card.accuracy.dataset if card.accuracy else ""
    is_published = named in DATASETS and (card.training is None or card.training.data is None)
    if is_published and not _may_be_own(path, named):
        dataset = open_dataset(named, path, download)
        if list(dataset.classes) != card.labels:
            raise DataError(f"{card.name} needs data of its own classes; {dataset.name} has others")
        return Chosen(dataset)
    if path is None:
        raise DataError(f"an evaluation of {card.name} needs pictures with their classes: name them with --data")
    return to_evaluate(open_own(path), card, settings, skip_broken)


def _may_be_own(path: Path | None, published: str) -> bool:
    """Return whether ``--data`` has pictures of somebody's own: a table, arrays or folders, and no published file."""
    if path is None or (path / f"{published}.npz").is_file():
        return False
    return path.is_file() or (path.is_dir() and any(each.is_dir() for each in path.iterdir()))
