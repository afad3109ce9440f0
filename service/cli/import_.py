"""The command ``scs import``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from models.cards.card import InputCard
from models.imports.checking import Examples, Imported
from models.imports.examples import Example
from models.imports.importing import import_network, next_version
from models.imports.labels import read_labels
from models.imports.sources import open_source
from models.imports.wish import Wish
from models.imports.write import model_name, write
from scs.errors import OptionError
from service.cli import options
from service.cli.files import read_file
from service.cli.local_models import own_repository, settings_for
from service.cli.printing.imports import print_report
from service.settings import Settings
from service.tasks.decoding import decode

Source = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE",
        help="An ONNX file; a folder with one; net.py:make_net, TorchScript, timm:NAME or torchvision:NAME; or a name: "
        "efficientnet-lite0.",
    ),
]
Labels = Annotated[Path | None, typer.Option(help="Names of the classes: one a line, JSON or CSV.", dir_okay=False)]
PreprocessOption = Annotated[
    str | None,
    typer.Option(
        "--preprocess",
        help="imagenet, inception, caffe, tf, 0-1 or none; a JSON file; or numbers: scale=1/255 mean=0.5 deviation=0.5 "
        "order=bgr resize=crop shorter_side=256. Read from what came with the file unless given.",
    ),
]
ExampleOption = Annotated[
    list[str] | None,
    typer.Option("--example", metavar="PICTURE=CLASS", help="A picture and its class; may be given again."),
]
Size = Annotated[str | None, typer.Option(help="Width and height of its pictures, such as 224x224, where any will do.")]
Output = Annotated[str | None, typer.Option(help="The output with the classes, where there are several.")]
Layers = Annotated[str | None, typer.Option(help="Tensors or modules to show, with commas between them.")]
Weights = Annotated[
    Path | None, typer.Option(help="Weights of a network in Python: a file of torch.save.", dir_okay=False)
]
Name = Annotated[str | None, typer.Option(help="The model's name; that of the file unless given.")]
Version = Annotated[int | None, typer.Option(min=1, help="A version not taken; the next one unless given.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Find out and compare, and write nothing.")]


def import_(
    source: Source,
    labels: Labels = None,
    preprocess: PreprocessOption = None,
    example: ExampleOption = None,
    size: Size = None,
    output: Output = None,
    layers: Layers = None,
    weights: Weights = None,
    name: Name = None,
    version: Version = None,
    repository: options.OwnRepository = None,
    dry_run: DryRun = False,
    json: options.Json = False,
) -> None:
    """Import a network: from an ONNX file to predictions and heatmaps, layers and class maps found by itself.

    Example: scs import model.onnx --labels labels.txt --preprocess imagenet --example cat.jpg="Egyptian cat"
    """
    settings = settings_for(repository)
    into = None if dry_run else own_repository(settings, "an import")
    wish = Wish(
        labels=read_labels(labels) if labels else None,
        labels_from=labels.name if labels else "",
        preprocess=preprocess,
        size=parse_size(size),
        output=output,
        layers=[part.strip() for part in layers.split(",")] if layers else None,
    )
    imported = find_out(source, wish, settings, name, version, example or [], weights, into)
    if into is not None:
        folder = write(imported, into)
    if json:
        print(imported.report.model_dump_json(indent=2))
        return
    print_report(imported.report)
    if into is None:
        print("nothing was written: --dry-run")
    else:
        print(f"written to {folder}; try: SCS_MODEL_REPOSITORY={into} SCS_DEFAULT_MODEL={imported.card.name} scs serve")


def find_out(
    source: str,
    wish: Wish,
    settings: Settings,
    name: str | None = None,
    version: int | None = None,
    examples: Sequence[str] = (),
    weights: Path | None = None,
    into: Path | None = None,
) -> Imported:
    """Open a network and make a model of it, showing on stderr that this goes on."""
    pairs = [_parse_example(text) for text in examples]
    with Console(stderr=True).status(f"importing {source}"):
        original = open_source(source, weights, wish.size)
        called = name or model_name(original.name)
        number = version or (next_version(into, called) if into else 1)
        shown: Examples | None = partial(_decoded, pairs, settings) if pairs else None
        return import_network(original, wish, called, number, shown)


def parse_size(text: str | None) -> tuple[int, int] | None:
    """Read ``224x192``, width and height, or one number for both.

    Raises:
        OptionError: it is neither.
    """
    if text is None:
        return None
    found = re.fullmatch(r"([1-9]\d{0,4})(?:x([1-9]\d{0,4}))?", text.strip())
    if found is None:
        raise OptionError(f"--size is width and height in pixels, such as 224x224; '{text[:40]}' came")
    return int(found[1]), int(found[2] or found[1])


def _parse_example(text: str) -> tuple[Path, str]:
    path, separator, label = text.rpartition("=")
    if not separator or not path or not label:
        raise OptionError(f"an example is PICTURE=CLASS, such as cat.jpg=\"tabby\"; '{text[:80]}' came")
    return Path(path), label


def _decoded(pairs: Sequence[tuple[Path, str]], settings: Settings, wanted: InputCard) -> list[Example]:
    """Decode examples as the service would decode them for this network."""
    examples = []
    for path, label in pairs:
        for _, picture in decode([read_file(path)], wanted, "card", settings):
            examples.append(Example(path.name, label, picture.pixels[None]))
    return examples
