"""``scs activations``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from scs.errors import OptionError
from service.api.activations import ActivationOptions, ActivationsResponse
from service.api.files import Upload
from service.cli import options
from service.cli.files import read_file
from service.cli.local import open_model, settings_for
from service.client.client import Client
from service.pictures.colour_maps import to_png
from service.tasks.activations.activate import activate
from service.tasks.activations.answer import to_npz, to_response
from service.tasks.activations.contact_sheet import draw_activations

_NPZ = "application/x-npz"


def activations(
    image: Annotated[Path, typer.Argument(help="A picture.")],
    out: Annotated[
        Path | None, typer.Option(help="Write one picture of all layers (.png), or the raw numbers (.npz).")
    ] = None,
    model: options.Model = None,
    version: options.Version = None,
    layers: Annotated[str, typer.Option(help="all, or names with commas between them.")] = "all",
    channels: Annotated[str, typer.Option(help="topN, all, or numbers with commas between them.")] = "top4",
    class_name: Annotated[str | None, typer.Option("--class", help="Add the exact map of this class.")] = None,
    template: Annotated[Path | None, typer.Option(help="A picture to look for in every layer.")] = None,
    box: Annotated[str | None, typer.Option(help="x,y,width,height: look for what is in this box.")] = None,
    peaks: Annotated[int, typer.Option(min=1, help="Places to name in each layer.")] = 5,
    resize: Annotated[str, typer.Option(help="none, card, or pixels of the longer side.")] = "none",
    overlay: Annotated[bool, typer.Option("--overlay", help="Lay the heatmaps over the picture.")] = False,
    repository: options.Repository = None,
    url: options.Url = None,
    api_key: options.ApiKey = None,
    json: options.Json = False,
) -> None:
    """Show what every layer of a network sees in a picture.

    Example: scs activations photo.jpg --out heat.png --class cat
    """
    wanted = options.checked(
        ActivationOptions,
        model=model,
        version=version,
        layers=layers,
        channels=channels,
        box=box,
        peaks=peaks,
        resize=resize,
        overlay=overlay,
        **{"class": class_name},
    )
    upload = Upload([read_file(image)], None if template is None else read_file(template))
    as_numbers = out is not None and out.suffix.lower() == ".npz"
    if out and not as_numbers and out.suffix.lower() != ".png":
        raise OptionError(f"--out is a .png or a .npz file; '{out.name}' came")
    content = b""
    if url:
        client = Client(url, api_key)
        if out:
            content = client.activations_as(_NPZ if as_numbers else "image/png", upload, wanted)
        answer = client.activations(upload, wanted)
    else:
        settings = settings_for(repository)
        seen = activate(open_model(settings, model, version), upload, wanted, settings)
        if out:
            content = to_npz(seen) if as_numbers else to_png(draw_activations(seen, overlay))
        answer = to_response(seen, overlay)
    if out:
        out.write_bytes(content)
    if json:
        print(answer.model_dump_json(indent=2))
    else:
        _print(answer)


def _print(answer: ActivationsResponse) -> None:
    best = answer.classes[0]
    title = f"{answer.model} {answer.version}: {best.label}, {best.shown}"
    matched = any(layer.match for layer in answer.layers)
    headings = ["layer", "channels", "map", "sees", "most energy"] + (["best place: x, y, score"] if matched else [])
    table = Table(*headings, title=title, title_justify="left")
    for layer in answer.layers:
        count, height, width = layer.shape
        strongest = ", ".join(str(energy.channel) for energy in layer.energies[:4])
        field = layer.receptive_field
        sees = f"{field.size} px" if field.across == field.size else f"{field.across} x {field.size} px"
        row = [layer.name, str(count), f"{width} x {height}", sees, strongest]
        if layer.match and layer.match.peaks:
            peak = layer.match.peaks[0]
            row.append(f"{peak.x:.0f}, {peak.y:.0f}, {peak.score:.3f}")
        table.add_row(*row)
    Console().print(table)
    if answer.class_map:
        seen = answer.class_map
        print(f"{seen.label}: mean {seen.mean:+.4f} and bias {seen.bias:+.4f} make the logit {seen.logit:+.4f}")
