"""The answers of ``/match``: JSON, a heatmap, arrays, or JSON beside arrays."""

from __future__ import annotations

import dataclasses
import io
import zipfile
from collections.abc import Callable, Sequence

import numpy as np

from service.api.files import ANSWER_FILE, MatchUpload
from service.api.match import FoundMatch, MatchOptions, MatchResponse, MatchTemplate, MatchTiming
from service.colours import scale_for
from service.picture_cache.kept import KeptMaps, MapReader
from service.pictures.colour_maps import heatmap_png
from service.pictures.npy import to_npy
from service.repository.sent_model import SentModel
from service.settings import Settings
from service.tasks.match.find import best_map, find_matches
from service.tasks.match.found import Matches
from service.tasks.match.in_network import find_in_network


def to_match_response(found: Matches) -> MatchResponse:
    """Convert matches to the JSON answer."""
    network = found.network
    return MatchResponse(
        width=found.width,
        height=found.height,
        options=found.options,
        device=found.device,
        model=None if network is None else network.model,
        version=None if network is None else network.version,
        layers=[] if network is None else network.layers,
        templates=[MatchTemplate(**dataclasses.asdict(template)) for template in found.templates],
        matches=[
            FoundMatch(
                **dataclasses.asdict(match),
                present=match.present,
                name=found.templates[match.template].name,
                corners=[(float(x), float(y)) for x, y in match.corners],
            )
            for match in found.matches
        ],
        timing=MatchTiming(decode_ms=found.decode_ms, match_ms=found.match_ms),
    )


def to_match_png(found: Matches) -> bytes:
    """Draw the score map of the best match's template, in its pose, one pixel a place; a signal's is one row."""
    scores = np.atleast_2d(best_map(found).scored.scores)
    return heatmap_png(scores, scale_for(scores, signed=bool(scores.min() < 0)))


def to_match_npy(found: Matches) -> bytes:
    """Write the same score map as a NumPy ``.npy``, float32."""
    return to_npy(best_map(found).scored.scores)


def to_match_npz(found: Matches) -> bytes:
    """Write it as a NumPy ``.npz``: ``scores``, and the ``template`` (from 0), ``angle`` and ``scale`` they are of."""
    scored, template, angle, scale = best_map(found)
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, scores=scored.scores, template=template, angle=angle, scale=scale)
    return buffer.getvalue()


def to_match_zip(found: Matches) -> bytes:
    """Write the archive of ``to_match_npz``, and in it the JSON answer, as ``answer.json``."""
    buffer = io.BytesIO(to_match_npz(found))
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr(ANSWER_FILE, to_match_response(found).model_dump_json())
    return buffer.getvalue()


JSON = "application/json"
FORMS: dict[str, Callable[[Matches], bytes]] = {
    JSON: lambda found: to_match_response(found).model_dump_json().encode(),
    "image/png": to_match_png,
    "application/x-npy": to_match_npy,
    "application/x-npz": to_match_npz,
    "application/zip": to_match_zip,
}


def answer_match(upload: MatchUpload, options: MatchOptions, settings: Settings, form: str, deadline: float) -> bytes:
    """Find templates in a scene, and write what was found.

    Args:
        upload: the files.
        options: how to look.
        settings: limits.
        form: one of ``FORMS``.
        deadline: on the clock of ``time.monotonic``.

    Raises:
        ScsError: as :func:`service.tasks.match.find.find_matches`.
    """
    return FORMS[form](find_matches(upload, options, settings, deadline))


def answer_match_in_network(
    sent: SentModel,
    upload: MatchUpload,
    options: MatchOptions,
    settings: Settings,
    form: str,
    deadline: float,
    kept: Sequence[KeptMaps],
    most_kept: int,
) -> tuple[bytes, list[KeptMaps]]:
    """Find templates in the features of a network, and write what was found; return the maps to keep with it.

    Args:
        sent: the network.
        upload: the files.
        options: how to look.
        settings: limits.
        form: one of ``FORMS``.
        deadline: on the clock of ``time.monotonic``.
        kept: maps of these pictures.
        most_kept: bytes of maps of one picture that are worth keeping.

    Raises:
        ScsError: as :func:`service.tasks.match.in_network.find_in_network`.
    """
    model = sent.loaded()
    reader = MapReader(model, kept, most_kept)
    answer = FORMS[form](find_in_network(model, upload, options, settings, deadline, reader))
    return answer, reader.made
