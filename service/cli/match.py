"""``scs match``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from scs.errors import NothingFoundError, OptionError
from service.api.files import MatchUpload
from service.api.match import MatchOptions, MatchResponse
from service.cli import options
from service.cli.signals import MatchFile, read_match_file
from service.client.client import Client
from service.pictures.colour_maps import to_png
from service.settings import read_settings
from service.tasks.match.answer import to_match_npy, to_match_npz, to_match_png, to_match_response
from service.tasks.match.find import find_matches
from service.tasks.match.found_picture import draw_found

_MEDIA = {".png": "image/png", ".npz": "application/x-npz", ".npy": "application/x-npy"}
_WRITERS = {".png": to_match_png, ".npz": to_match_npz, ".npy": to_match_npy}


def match(
    scene: Annotated[
        Path, typer.Argument(help="Where to look: a picture, an array (.npy), or a signal (.wav, .flac, .csv).")
    ],
    templates: Annotated[list[Path] | None, typer.Argument(help="What to look for.", metavar="TEMPLATE…")] = None,
    method: Annotated[
        str, typer.Option(help="ccoeff_normed, another of OpenCV's, scs, scs_centred, or parts.")
    ] = "ccoeff_normed",
    p: Annotated[float, typer.Option(help="Exponent of scs and scs_centred.")] = 2.0,
    q: Annotated[float, typer.Option(help="Their noise floor.")] = 0.0,
    mask: Annotated[
        list[Path] | None, typer.Option(help="Which pixels of the template count; once, or once for each template.")
    ] = None,
    reference: Annotated[Path | None, typer.Option(help="A picture with what to look for, in --box.")] = None,
    box: Annotated[str | None, typer.Option(help="x,y,width,height in the reference.")] = None,
    angles: Annotated[
        str | None, typer.Option(help="Degrees that templates may be turned by: auto, -30:30, 0,90,180.")
    ] = None,
    scales: Annotated[str | None, typer.Option(help="Sizes that they may have: auto, 0.5:2, 1,2.")] = None,
    top: Annotated[int, typer.Option(min=1, help="Most matches of each template.")] = 5,
    threshold: Annotated[float | None, typer.Option(help="Least score of a match.")] = None,
    overlap: Annotated[float, typer.Option(help="Largest overlap of two matches of one template.")] = 0.3,
    out: Annotated[Path | None, typer.Option(help="Draw what was found on the scene (.png).")] = None,
    heatmap: Annotated[
        Path | None, typer.Option(help="Write the best match's scores, drawn (.png) or as numbers (.npy, .npz).")
    ] = None,
    url: options.Url = None,
    api_key: options.ApiKey = None,
    json: options.Json = False,
) -> None:
    """Find templates in a picture, in an array or in a signal.

    Exit status 1 where nothing was found that is more than chance. Places in a signal are samples, from 0; of
    sound the table also says them in seconds.

    Example: scs match photo.jpg part.png --angles auto --out found.png
    """
    wanted = options.checked(
        MatchOptions,
        method=method,
        p=p,
        q=q,
        angles=angles,
        scales=scales,
        top=top,
        threshold=threshold,
        overlap=overlap,
        box=box,
    )
    if out and out.suffix.lower() != ".png":
        raise OptionError(f"--out is a .png file; '{out.name}' came")
    kind = heatmap.suffix.lower() if heatmap else ""
    if heatmap and kind not in _WRITERS:
        raise OptionError(f"--heatmap is a .png, .npz or .npy file; '{heatmap.name}' came")
    settings = read_settings()
    looked_in = read_match_file(scene)
    looked_for = [read_match_file(path) for path in templates or []]
    cut_from = read_match_file(reference) if reference else None
    _check_rates(looked_in, [*looked_for, *([cut_from] if cut_from else [])])
    upload = MatchUpload(
        looked_in.file,
        [each.file for each in looked_for],
        [read_match_file(path).file for path in mask or []],
        cut_from.file if cut_from else None,
    )
    if url:
        client = Client(url, api_key)
        answer = client.match(upload, wanted)
        scores = client.match_as(_MEDIA[kind], upload, wanted) if heatmap else b""
    else:
        with Console(stderr=True).status("matching"):
            found = find_matches(upload, wanted, settings)
            answer = to_match_response(found)
            scores = _WRITERS[kind](found) if heatmap else b""
    if out:
        out.write_bytes(to_png(draw_found(upload.scene, answer, settings.max_pixels)))
    if heatmap:
        heatmap.write_bytes(scores)
    if json:
        print(answer.model_dump_json(indent=2))
    elif answer.matches:
        _print(answer, looked_in.rate)
    _check_found(answer)


def _check_rates(scene: MatchFile, others: list[MatchFile]) -> None:
    for other in others:
        if None not in (scene.rate, other.rate) and scene.rate != other.rate:
            raise OptionError(
                f"signals are compared sample by sample, at one rate; {other.file.name} has {other.rate} a second and "
                f"{scene.file.name} {scene.rate}"
            )


def _print(answer: MatchResponse, rate: int | None) -> None:
    signal = answer.height == 1
    posed = answer.options.angles is not None or answer.options.scales is not None
    pose = ["angle", "scale"] if posed else []
    place = ["position", *(["seconds"] if rate else [])] if signal else ["x", "y"]
    table = Table(title=answer.options.method, title_justify="left")
    table.add_column("template", overflow="fold")
    for heading in ("score", *place, *pose, "present", "chance", "psr"):
        table.add_column(heading, no_wrap=True)
    for found in answer.matches:
        start = found.x - found.width / 2
        where = [f"{start:.2f}", *([f"{start / rate:.4f}"] if rate else [])]
        table.add_row(
            found.name,
            f"{found.score:.4g}",
            *(where if signal else [f"{found.x:.1f}", f"{found.y:.1f}"]),
            *([f"{found.angle:.1f}", f"{found.scale:.3f}"] if posed else []),
            "yes" if found.present else "no",
            "" if found.chance is None else f"{found.chance:.0e}",
            "" if found.psr is None else f"{found.psr:.1f}",
        )
    Console().print(table)


def _check_found(answer: MatchResponse) -> None:
    if any(found.present for found in answer.matches):
        return
    if not answer.matches:
        raise NothingFoundError("nothing was found: no place scores better than the threshold")
    best = answer.matches[0]
    raise NothingFoundError(
        f"nothing was found that is more than chance; the best of '{best.name}' scores {best.score:.3g} at "
        f"{best.x:.0f}, {best.y:.0f}"
    )
