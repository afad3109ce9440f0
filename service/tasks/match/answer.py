"""The answers of ``/match``: JSON, a heatmap, or arrays."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable

import numpy as np

from service.api.files import MatchUpload
from service.api.match import FoundMatch, MatchOptions, MatchResponse, MatchTemplate, MatchTiming
from service.pictures.colour_maps import heatmap_png, scale_for
from service.pictures.npy import to_npy
from service.settings import Settings
from service.tasks.match.find import Matches, best_map, find_matches


def to_match_response(found: Matches) -> MatchResponse:
    """Convert matches to the JSON answer."""
    scene = found.scene
    return MatchResponse(
        width=scene.shape[0] if scene.ndim == 1 else scene.shape[1],
        height=1 if scene.ndim == 1 else scene.shape[0],
        options=found.options,
        device=found.device,
        templates=[
            MatchTemplate(
                name=template.name,
                width=template.width,
                height=template.height,
                masked=template.mask is not None,
                flat=template.flat,
                outlined=template.outlined,
            )
            for template in found.templates
        ],
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
    scores = np.atleast_2d(best_map(found)[0].scores)
    return heatmap_png(scores, scale_for(scores, signed=bool(scores.min() < 0)))


def to_match_npy(found: Matches) -> bytes:
    """Write the same score map as a NumPy ``.npy``, float32."""
    return to_npy(best_map(found)[0].scores)


def to_match_npz(found: Matches) -> bytes:
    """Write it as a NumPy ``.npz``: ``scores``, and the ``template`` (from 0), ``angle`` and ``scale`` they are of."""
    scored, template, angle, scale = best_map(found)
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, scores=scored.scores, template=template, angle=angle, scale=scale)
    return buffer.getvalue()


JSON = "application/json"
FORMS: dict[str, Callable[[Matches], bytes]] = {
    JSON: lambda found: to_match_response(found).model_dump_json().encode(),
    "image/png": to_match_png,
    "application/x-npy": to_match_npy,
    "application/x-npz": to_match_npz,
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
