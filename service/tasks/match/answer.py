"""The answers of ``/match``: JSON, a heatmap, or arrays."""

from __future__ import annotations

import dataclasses
import io

import numpy as np

from service.api.match import FoundMatch, MatchResponse, MatchTemplate, MatchTiming
from service.pictures.colour_maps import heatmap_png, scale_for
from service.pictures.npy import to_npy
from service.tasks.match.find import Matches, best_map


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
            )
            for template in found.templates
        ],
        matches=[
            FoundMatch(
                **dataclasses.asdict(match),
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
