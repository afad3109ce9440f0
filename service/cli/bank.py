"""``scs bank``."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TypeVar

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console

from models.bank.graph import Template
from models.bank.write import write_bank
from scs.errors import OptionError, ScsError
from service.cli import options
from service.cli.local import settings_for
from service.pictures.decode import decode_cutout, decode_image, decode_mask
from service.pictures.header import is_grey

Read = TypeVar("Read")
Weights = NDArray[np.float64]


class BankMethod(StrEnum):
    """How the templates of a bank are compared with patches."""

    scs = "scs"
    scs_centred = "scs_centred"


def bank(
    name: Annotated[str, typer.Argument(help="The model's name.")],
    templates: Annotated[list[Path], typer.Argument(help="Pictures; each is called by its file's name.")],
    method: Annotated[BankMethod, typer.Option(help="As in /match.")] = BankMethod.scs_centred,
    p: Annotated[float, typer.Option(min=1, help="Exponent: larger is sharper.")] = 2.0,
    q: Annotated[float, typer.Option(min=0, help="Noise floor, in the units of a patch's norm.")] = 0.0,
    mask: Annotated[
        list[Path] | None,
        typer.Option(help="Which pixels count, white for all; one, or one each. Else a template's transparency says."),
    ] = None,
    grey: Annotated[
        bool | None, typer.Option("--grey/--colour", help="Grey where every template is, unless given.")
    ] = None,
    repository: Annotated[
        Path | None, typer.Option(help="Folder of models to write to; SCS_MODEL_REPOSITORY unless given.")
    ] = None,
    version: Annotated[int | None, typer.Option(min=1, help="A version not taken; the next one unless given.")] = None,
    json: options.Json = False,
) -> None:
    """Write a bank of templates as a model: it names the best template in a picture, and maps where each one fits.

    Example: scs bank faces eye.png nose.png --repository my-models
    """
    settings = settings_for(repository)
    if "model_repository" not in settings.model_fields_set:
        raise OptionError("a bank needs a folder of your own: name one with --repository or SCS_MODEL_REPOSITORY")
    masks = mask or []
    if len(masks) not in (0, 1, len(templates)):
        raise OptionError(f"there may be one mask, or one for each of {len(templates)} templates; {len(masks)} came")
    contents = [path.read_bytes() for path in templates]
    if grey is None:
        grey = all(
            _said_of(path, is_grey, content, settings.max_pixels)
            for path, content in zip(templates, contents, strict=True)
        )
    weights: list[Weights | None] = [
        _said_of(path, decode_mask, path.read_bytes(), settings.max_pixels) for path in masks
    ]
    if len(weights) == 1:
        weights *= len(templates)
    made = [
        _said_of(path, _template, path.stem, content, weight, 1 if grey else 3, settings.max_pixels)
        for path, content, weight in zip(templates, contents, weights or [None] * len(templates), strict=True)
    ]
    with Console(stderr=True).status(f"writing {name}: {len(made)} templates, each looked for in itself"):
        card = write_bank(name, made, settings.model_repository, method=method.value, p=p, q=q, version=version)
    if json:
        print(card.model_dump_json(indent=2))
        return
    where = settings.model_repository / name / str(card.version) / card.file_name
    print(f"{where}: {len(made)} templates, each found in itself")
    print(f"try: scs predict photo.jpg --model {name} --repository {settings.model_repository}")


def _said_of(path: Path, read: Callable[..., Read], *arguments: Any) -> Read:
    try:
        return read(*arguments)
    except ScsError as error:
        raise type(error)(f"'{path.name}': {error}") from error


def _template(label: str, content: bytes, weights: Weights | None, channels: int, max_pixels: int) -> Template:
    if weights is not None:
        return Template(label, decode_image(content, channels=channels, max_pixels=max_pixels).pixels, weights)
    picture, opacity = decode_cutout(content, channels=channels, max_pixels=max_pixels)
    return Template(label, picture.pixels, None if opacity is None else opacity / 255)
