"""The command ``scs match``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from scs.errors import LookError, NothingFoundError, ScsError
from service.api.files import MatchUpload
from service.api.match import MatchOptions, MatchResponse
from service.cli import options
from service.cli.local_models import open_model, settings_for
from service.cli.match_files import read_match_files
from service.cli.printing.matches import print_matches
from service.cli.printing.plain import plain_console, say_json
from service.client import Client, questions
from service.pictures.colour_maps import to_png
from service.settings import Settings, without_limits
from service.tasks.match.answer import to_match_npy, to_match_npz, to_match_png, to_match_response
from service.tasks.match.find import find_matches
from service.tasks.match.found import in_network
from service.tasks.match.found_picture import draw_found
from service.tasks.match.in_network import find_in_network

Scene = Annotated[
    Path, typer.Argument(help="Where to look: a picture, an array (.npy), or a signal (.wav, .flac, .csv).")
]
Templates = Annotated[list[Path] | None, typer.Argument(help="What to look for.", metavar="TEMPLATE…")]
Method = Annotated[
    str,
    typer.Option(help="ccoeff_normed, another of OpenCV's, scs, scs_centred, pixels (sees states), parts, features."),
]
Exponent = Annotated[float, typer.Option(help="Exponent of scs and scs_centred.")]
NoiseFloor = Annotated[float, typer.Option(help="Their noise floor.")]
Masks = Annotated[
    list[Path] | None, typer.Option(help="Which pixels of the template count; once, or once for each template.")
]
Reference = Annotated[Path | None, typer.Option(help="A picture with what to look for, in --box.")]
Box = Annotated[str | None, typer.Option(help="x,y,width,height in the reference, or in the scene.")]
Angles = Annotated[str | None, typer.Option(help="Degrees that templates may be turned by: auto, -30:30, 0,90,180.")]
Scales = Annotated[str | None, typer.Option(help="Sizes that they may have: auto, 0.5:2, 1,2.")]
Polarity = Annotated[str, typer.Option(help="same, or either: inverted contrast matches as well.")]
Border = Annotated[str, typer.Option(help="whole, or partial: what the border cuts off is found as well.")]
Region = Annotated[str | None, typer.Option(help="x,y,width,height in the scene: where to look.")]
Top = Annotated[int, typer.Option(min=1, help="Most matches of each template.")]
Threshold = Annotated[float | None, typer.Option(help="Least score of a match.")]
Overlap = Annotated[float, typer.Option(help="Largest overlap of two matches of one template.")]
NetworkName = Annotated[
    str | None, typer.Option("--model", help="Network whose features are compared, by features or parts.")
]
Layer = Annotated[
    str | None, typer.Option(help="Its layer, or several with commas between them; a sensible one unless given.")
]
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
    polarity: Polarity = "same",
    border: Border = "whole",
    region: Region = None,
    model: NetworkName = None,
    version: options.Version = None,
    layer: Layer = None,
    repository: options.Repository = None,
    out: Out = None,
    heatmap: Heatmap = None,
    url: options.Url = None,
    api_key: options.ApiKey = None,
    json: options.Json = False,
) -> None:
    """Find templates in a picture, in an array or in a signal.

    Exit status as grep's: 0 where a template is present, 1 where none is, 2 where it could not be looked for. Places in
    a signal are samples, from 0; of sound the table also says them in seconds.

    Example: scs match photo.jpg part.png --angles auto --out found.png
    """
    named = {"method": method, "p": p, "q": q, "angles": angles, "scales": scales, "box": box, "region": region}
    network = {"model": model, "version": version, "layer": layer}
    wanted = options.checked(
        MatchOptions,
        **named,
        **network,
        top=top,
        threshold=threshold,
        overlap=overlap,
        polarity=polarity,
        border=border,
    )
    options.suffix_of(out, "--out", "a .png file", {".png"})
    form = options.suffix_of(heatmap, "--heatmap", "a .png, .npz or .npy file", _WRITERS)
    read = [scene, reference, *(templates or []), *(mask or [])]
    options.check_apart(out, "--out", read)
    options.check_apart(heatmap, "--heatmap", read)
    settings = without_limits(settings_for(repository))
    with _looking():
        upload, rate = read_match_files(scene, templates or [], mask or [], reference, boxed=bool(box))
        ask = Client(url, api_key) if url else None
        answer, scores = _ask(ask, upload, wanted, form) if ask else _here(upload, wanted, form, settings)
        if out:
            out.write_bytes(to_png(draw_found(upload.scene, answer, settings.max_pixels)))
        if heatmap:
            heatmap.write_bytes(scores)
    if json:
        say_json(answer.model_dump_json(indent=2))
    elif answer.matches:
        print_matches(answer, rate)
    _check_found(answer)


@contextmanager
def _looking() -> Iterator[None]:
    """Turn whatever keeps from looking into a ``LookError``, whose exit status is not that of nothing found."""
    try:
        yield
    except ScsError as error:
        raise LookError(f"could not look: {error}") from error
    except MemoryError as error:
        raise LookError("could not look: memory ran out; take a --region, or a smaller scene") from error
    except OSError as error:
        reason = f"{error.strerror}: {error.filename}" if error.filename else str(error)
        raise LookError(f"could not look: {reason}") from error


def _ask(server: Client, upload: MatchUpload, wanted: MatchOptions, form: str) -> tuple[MatchResponse, bytes]:
    """Ask a server; return its answer, and the scores as a file with that suffix (empty without one)."""
    question = questions.match_files(upload, wanted)
    return server.ask(question), server.ask(questions.as_bytes(question, _MEDIA[form])) if form else b""


def _here(upload: MatchUpload, wanted: MatchOptions, form: str, settings: Settings) -> tuple[MatchResponse, bytes]:
    """Return the same as ``_ask``, computed in this process."""
    with plain_console(stderr=True).status("matching"):
        if in_network(wanted):
            network = open_model(settings, wanted.model, wanted.version)
            found = find_in_network(network, upload, wanted, settings)
        else:
            found = find_matches(upload, wanted, settings)
        return to_match_response(found), _WRITERS[form](found) if form else b""


def _check_found(answer: MatchResponse) -> None:
    """Say what to do where nothing is present.

    Raises:
        LookError: the templates have no contrast, so that this method sees nothing of them.
        NothingFoundError: they were looked for and are not there.
    """
    if any(found.present for found in answer.matches):
        return
    if not answer.matches and all(template.flat == 1 for template in answer.templates):
        raise LookError(
            f"could not look: '{answer.templates[0].name}' is of one colour, which has no contrast to be found by "
            f"{answer.options.method}; take --method pixels or sqdiff, or a template with some of what is around it"
        )
    if not answer.matches:
        raise NothingFoundError("not present: no place scores better than the threshold")
    best = answer.matches[0]
    explained = "" if best.explained is None else f" and explains {100 * best.explained:.0f} % of what is there"
    raise NothingFoundError(
        f"not present: the best of '{best.name}' scores {best.score:.3g} at {best.x:.0f}, {best.y:.0f}{explained}; "
        f"{_advice(answer)}"
    )


def _advice(answer: MatchResponse) -> str:
    """What to try next, other than what was asked for."""
    asked = answer.options
    if asked.method == "pixels":
        return "if it may be in another state or under other light, leave out --method pixels"
    if asked.method in ("parts", "features"):
        return "--out draws where that is"
    if asked.angles is None or asked.scales is None:
        untried = [name for name, given in (("--angles", asked.angles), ("--scales", asked.scales)) if given is None]
        return f"if it is turned or of another size, search {' or '.join(untried)}"
    return "if it bends, take --method parts"
