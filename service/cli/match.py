"""The command ``scs match``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scs.errors import NothingFoundError
from service.api.files import MatchUpload
from service.api.match import MatchOptions, MatchResponse
from service.cli import options
from service.cli.match_files import read_match_files
from service.cli.printing.matches import print_matches
from service.cli.printing.plain import plain_console, say_json
from service.client.client import Client
from service.pictures.colour_maps import to_png
from service.settings import Settings, read_settings
from service.tasks.match.answer import to_match_npy, to_match_npz, to_match_png, to_match_response
from service.tasks.match.find import find_matches
from service.tasks.match.found_picture import draw_found

Scene = Annotated[
    Path, typer.Argument(help="Where to look: a picture, an array (.npy), or a signal (.wav, .flac, .csv).")
]
Templates = Annotated[list[Path] | None, typer.Argument(help="What to look for.", metavar="TEMPLATE…")]
Method = Annotated[str, typer.Option(help="ccoeff_normed, another of OpenCV's, scs, scs_centred, or parts.")]
Exponent = Annotated[float, typer.Option(help="Exponent of scs and scs_centred.")]
NoiseFloor = Annotated[float, typer.Option(help="Their noise floor.")]
Masks = Annotated[
    list[Path] | None, typer.Option(help="Which pixels of the template count; once, or once for each template.")
]
Reference = Annotated[Path | None, typer.Option(help="A picture with what to look for, in --box.")]
Box = Annotated[str | None, typer.Option(help="x,y,width,height in the reference.")]
Angles = Annotated[str | None, typer.Option(help="Degrees that templates may be turned by: auto, -30:30, 0,90,180.")]
Scales = Annotated[str | None, typer.Option(help="Sizes that they may have: auto, 0.5:2, 1,2.")]
Top = Annotated[int, typer.Option(min=1, help="Most matches of each template.")]
Threshold = Annotated[float | None, typer.Option(help="Least score of a match.")]
Overlap = Annotated[float, typer.Option(help="Largest overlap of two matches of one template.")]
Out = Annotated[Path | None, typer.Option(help="Draw what was found on the scene (.png).")]
Heatmap = Annotated[
    Path | None, typer.Option(help="Write the best match's scores, drawn (.png) or as numbers (.npy, .npz).")
]

_MEDIA = {".png": "image/png", ".npz": "application/x-npz", ".npy": "application/x-npy"}
_WRITERS = {".png": to_match_png, ".npz": to_match_npz, ".npy": to_match_npy}


def match(
    scene: Scene,
    templates: Templates = None,
    method: Method = "ccoeff_normed",
    p: Exponent = 2.0,
    q: NoiseFloor = 0.0,
    mask: Masks = None,
    reference: Reference = None,
    box: Box = None,
    angles: Angles = None,
    scales: Scales = None,
    top: Top = 5,
    threshold: Threshold = None,
    overlap: Overlap = 0.3,
    out: Out = None,
    heatmap: Heatmap = None,
    url: options.Url = None,
    api_key: options.ApiKey = None,
    json: options.Json = False,
) -> None:
    """Find templates in a picture, in an array or in a signal.

    Exit status 1 where nothing was found that is more than chance. Places in a signal are samples, from 0; of
    sound the table also says them in seconds.

    Example: scs match photo.jpg part.png --angles auto --out found.png
    """
    named = {"method": method, "p": p, "q": q, "angles": angles, "scales": scales, "box": box}
    wanted = options.checked(MatchOptions, **named, top=top, threshold=threshold, overlap=overlap)
    options.suffix_of(out, "--out", "a .png file", {".png"})
    form = options.suffix_of(heatmap, "--heatmap", "a .png, .npz or .npy file", _WRITERS)
    settings = read_settings()
    upload, rate = read_match_files(scene, templates or [], mask or [], reference)
    answer, scores = _ask(Client(url, api_key), upload, wanted, form) if url else _here(upload, wanted, form, settings)
    if out:
        out.write_bytes(to_png(draw_found(upload.scene, answer, settings.max_pixels)))
    if heatmap:
        heatmap.write_bytes(scores)
    if json:
        say_json(answer.model_dump_json(indent=2))
    elif answer.matches:
        print_matches(answer, rate)
    _check_found(answer)


def _ask(server: Client, upload: MatchUpload, wanted: MatchOptions, form: str) -> tuple[MatchResponse, bytes]:
    """Ask a server; return its answer, and the scores as a file with that suffix (empty without one)."""
    answer = server.match(upload, wanted)
    return answer, server.match_as(_MEDIA[form], upload, wanted) if form else b""


def _here(upload: MatchUpload, wanted: MatchOptions, form: str, settings: Settings) -> tuple[MatchResponse, bytes]:
    """Return the same as ``_ask``, computed in this process."""
    with plain_console(stderr=True).status("matching"):
        found = find_matches(upload, wanted, settings)
        return to_match_response(found), _WRITERS[form](found) if form else b""


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
