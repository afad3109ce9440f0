"""The command ``scs activations``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from models.explain.methods import METHODS
from service.api.activations import ActivationOptions, ActivationsResponse
from service.api.files import Upload
from service.cli import options
from service.cli.files import read_file
from service.cli.local_models import open_model, settings_for
from service.cli.printing.activations import print_activations
from service.cli.printing.plain import say_json
from service.client import Client, questions
from service.pictures.colour_maps import to_png
from service.settings import Settings
from service.tasks.activations.activate import activate
from service.tasks.activations.answer import to_npz, to_response
from service.tasks.activations.contact_sheet import draw_activations

Image = Annotated[Path, typer.Argument(help="A picture.")]
Out = Annotated[Path | None, typer.Option(help="Write one picture of all layers (.png), or the raw numbers (.npz).")]
Layers = Annotated[str, typer.Option(help="all, or names with commas between them.")]
Channels = Annotated[str, typer.Option(help="topN, all, or numbers with commas between them.")]
ClassName = Annotated[
    str | None, typer.Option("--class", help="Add a map of this class: a label, or a number, as in '#3'.")
]
MethodName = Annotated[str | None, typer.Option("--method", help=f"How the class is explained: {', '.join(METHODS)}.")]
ClassLayer = Annotated[str | None, typer.Option(help="Layer that the class is explained by; the last unless named.")]
Template = Annotated[Path | None, typer.Option(help="A picture to look for in every layer.")]
Box = Annotated[str | None, typer.Option(help="x,y,width,height: look for what is in this box.")]
Peaks = Annotated[int, typer.Option(min=1, help="Places to name in each layer.")]
Resize = Annotated[
    str | None, typer.Option(help="none, card, or pixels of the longer side; none unless given, where it can be.")
]
Overlay = Annotated[bool, typer.Option("--overlay", help="Lay the heatmaps over the picture.")]

_MEDIA = {".png": "image/png", ".npz": "application/x-npz"}


def activations(
    image: Image,
    out: Out = None,
    model: options.Model = None,
    version: options.Version = None,
    layers: Layers = "all",
    channels: Channels = "top4",
    class_name: ClassName = None,
    method: MethodName = None,
    class_layer: ClassLayer = None,
    template: Template = None,
    box: Box = None,
    peaks: Peaks = 5,
    resize: Resize = None,
    overlay: Overlay = False,
    repository: options.Repository = None,
    url: options.Url = None,
    api_key: options.ApiKey = None,
    json: options.Json = False,
) -> None:
    """Show what every layer of a network sees in a picture.

    Example: scs activations photo.jpg --out heat.png --class cat
    """
    named = {"model": model, "version": version, "layers": layers, "channels": channels, "class": class_name}
    explained = {"method": method, "class_layer": class_layer}
    wanted = options.checked(
        ActivationOptions, **named, **explained, box=box, peaks=peaks, resize=resize, overlay=overlay
    )
    upload = Upload([read_file(image)], None if template is None else read_file(template))
    form = options.suffix_of(out, "--out", "a .png or a .npz file", _MEDIA)
    options.check_apart(out, "--out", [image, template])
    if url:
        answer, content = _ask(Client(url, api_key), upload, wanted, form)
    else:
        answer, content = _here(settings_for(repository), upload, wanted, form)
    if out:
        out.write_bytes(content)
    if json:
        say_json(answer.model_dump_json(indent=2))
    else:
        print_activations(answer)


def _ask(server: Client, upload: Upload, wanted: ActivationOptions, form: str) -> tuple[ActivationsResponse, bytes]:
    """Ask a server; return its answer, and the content of a file with that suffix (empty without one)."""
    question = questions.activation_files(upload, wanted)
    content = server.ask(questions.as_bytes(question, _MEDIA[form])) if form else b""
    return server.ask(question), content


def _here(
    settings: Settings, upload: Upload, wanted: ActivationOptions, form: str
) -> tuple[ActivationsResponse, bytes]:
    """Return the same as ``_ask``, computed in this process."""
    seen = activate(open_model(settings, wanted.model, wanted.version), upload, wanted, settings)
    content = b""
    if form:
        content = to_npz(seen) if form == ".npz" else to_png(draw_activations(seen, wanted.overlay))
    return to_response(seen, wanted.overlay), content
