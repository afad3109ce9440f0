"""The command ``scs bank``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from models.bank.graph import Template
from models.bank.write import write_bank
from scs.errors import OptionError
from service.api.files import shown_name
from service.cli import options
from service.cli.files import read_bytes
from service.cli.local_models import own_repository, settings_for
from service.cli.printing.plain import plain_console, say, say_json
from service.pictures.decode import decode_cutout, decode_image, decode_mask
from service.pictures.errors import error_about
from service.pictures.header import is_grey

Weights = NDArray[np.float64]


class BankMethod(StrEnum):
    """How the templates of a bank are compared with patches."""

    scs = "scs"
    scs_centred = "scs_centred"


Name = Annotated[str, typer.Argument(help="The model's name.")]
Templates = Annotated[list[Path], typer.Argument(help="Pictures; each is called by its file's name.")]
Method = Annotated[BankMethod, typer.Option(help="As in /match.")]
Exponent = Annotated[float, typer.Option(min=1, help="Exponent: larger is sharper.")]
NoiseFloor = Annotated[float, typer.Option(min=0, help="Noise floor, in the units of a patch's norm.")]
Masks = Annotated[
    list[Path] | None,
    typer.Option(help="Which pixels count, white for all; one, or one each. Else a template's transparency says."),
]
Grey = Annotated[bool | None, typer.Option("--grey/--colour", help="Grey where every template is, unless given.")]
Version = Annotated[int | None, typer.Option(min=1, help="A version not taken; the next one unless given.")]


def bank(
    name: Name,
    templates: Templates,
    method: Method = BankMethod.scs_centred,
    p: Exponent = 2.0,
    q: NoiseFloor = 0.0,
    mask: Masks = None,
    grey: Grey = None,
    repository: options.OwnRepository = None,
    version: Version = None,
    json: options.Json = False,
) -> None:
    """Write a bank of templates as a model: it names the best template in a picture, and maps where each one fits.

    Example: scs bank faces eye.png nose.png --repository my-models
    """
    settings = settings_for(repository)
    into = own_repository(settings, "a bank")
    made = _read_templates(templates, mask or [], grey, settings.max_pixels)
    with plain_console(stderr=True).status(f"writing {name}: {len(made)} templates, each looked for in itself"):
        card = write_bank(name, made, into, method=method.value, p=p, q=q, version=version)
    if json:
        say_json(card.model_dump_json(indent=2))
        return
    say(f"{into / name / str(card.version) / card.file_name}: {len(made)} templates, each found in itself")
    say(f"try: scs predict photo.jpg --model {name} --repository {into}")


def _read_templates(paths: list[Path], masks: list[Path], grey: bool | None, max_pixels: int) -> list[Template]:
    """Read templates, and their masks: none, one for all, or one each; grey where all are grey, unless told."""
    if len(masks) not in (0, 1, len(paths)):
        raise OptionError(f"there may be one mask, or one for each of {len(paths)} templates; {len(masks)} came")
    contents = {path: read_bytes(path) for path in paths}
    if grey is None:
        grey = all(_is_grey(path, content, max_pixels) for path, content in contents.items())
    weights = [_read_mask(path, max_pixels) for path in masks] or [None]
    weights = weights * len(paths) if len(weights) == 1 else weights
    return [
        _template(path, contents[path], each, 1 if grey else 3, max_pixels)
        for path, each in zip(paths, weights, strict=True)
    ]


def _is_grey(path: Path, content: bytes, max_pixels: int) -> bool:
    with error_about(f"'{path.name}'"):
        return is_grey(content, max_pixels)


def _read_mask(path: Path, max_pixels: int) -> Weights | None:
    with error_about(f"'{path.name}'"):
        return decode_mask(read_bytes(path), max_pixels)


def _template(path: Path, content: bytes, weights: Weights | None, channels: int, max_pixels: int) -> Template:
    label = shown_name(path.stem)
    with error_about(f"'{path.name}'"):
        if weights is not None:
            return Template(label, decode_image(content, channels=channels, max_pixels=max_pixels).pixels, weights)
        picture, opacity = decode_cutout(content, channels=channels, max_pixels=max_pixels)
    return Template(label, picture.pixels, None if opacity is None else opacity / 255)
