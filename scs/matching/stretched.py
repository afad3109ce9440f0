"""Motifs of a signal that may be longer or shorter than the template."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np

from scs.errors import OptionError, ShapeError
from scs.matching.arrays import Array, as_picture, check_template
from scs.matching.found import Match
from scs.matching.nms import suppress_boxes
from scs.matching.options import Search
from scs.matching.peaks import find_peaks
from scs.matching.posing.goal import PosedMatch
from scs.matching.posing.poses import angle_steps, fitting_scales, scale_steps
from scs.matching.presence.looking import Looking, match_at, sign_at
from scs.matching.presence.verdict import judge
from scs.matching.scores import score_map


def stretched(motif: Array, scale: float) -> Array:
    """Stretch a signal ``(l,)`` or ``(1, l, C)`` to ``scale`` times its length, in float64."""
    length = max(1, round(as_picture("template", motif).shape[1] * scale))
    row = as_picture("template", motif).astype(np.float64)
    if length == row.shape[1]:
        return motif
    ways = cv2.INTER_AREA if length < row.shape[1] else cv2.INTER_LINEAR
    channels = [
        cv2.resize(np.ascontiguousarray(row[..., i]), (length, 1), interpolation=ways) for i in range(row.shape[2])
    ]
    longer = np.stack(channels, 2)
    return longer[0, :, 0] if motif.ndim == 1 else longer.reshape(1, length, *motif.shape[2:])


def find_stretched(scene: Array, template: Array, mask: Array | None, search: Search) -> tuple[list[Match], float]:
    """Find a motif in a signal at every scale that is asked for; the matches and the share that is flat.

    Scales that are not listed grow by a factor that moves the ends of the motif by at most a sample.

    Raises:
        OptionError: angles, which a signal does not have.
        ShapeError: the motif is longer than the signal at every scale.
    """
    if not angle_steps(search.angles).single or angle_steps(search.angles).low != 0:
        raise OptionError("a signal is not turned; leave out the angles")
    length = as_picture("template", template).shape[1]
    found: list[Match] = []
    flat = 1.0
    fitted = False
    for scale in _scales(search, length):
        motif = stretched(template, scale)
        if as_picture("template", motif).shape[1] > as_picture("scene", scene).shape[1]:
            continue
        fitted = True
        matches, flat_here = _at_one_scale(scene, motif, None if mask is None else stretched(mask, scale), search)
        flat = min(flat, flat_here)
        found += [dataclasses.replace(match, scale=match.width / length) for match in matches]
    if not fitted:
        check_template(as_picture("template", template), as_picture("scene", scene))
        raise ShapeError("the motif is longer than the signal at every scale")
    best = sorted(found, key=lambda match: -search.rank(match.score))
    boxes = [[match.x, match.y, match.width, match.height, 0] for match in best]
    kept = suppress_boxes(boxes, [search.rank(match.score) for match in best], search.overlap, top=search.top)
    return [best[i] for i in kept], flat


def _scales(search: Search, length: int) -> list[float]:
    """Scales to try, among them 1 where it lies within a range."""
    steps = scale_steps(search.scales)
    fitting = set(fitting_scales(steps, length / 2))
    return sorted(fitting | {1.0} if steps.values is None and steps.low <= 1 <= steps.high else fitting)


def _at_one_scale(scene: Array, motif: Array, mask: Array | None, search: Search) -> tuple[list[Match], float]:
    size = 1, as_picture("template", motif).shape[1]
    scored = score_map(scene, motif, search.method, mask=mask, p=search.p, q=search.q)
    signed = np.atleast_2d(scored.scores)
    either = search.polarity == "either"
    scores = np.abs(signed) if either else signed
    least = 0.0 if search.threshold is None else search.threshold
    peaks = find_peaks(scores, size, search.top, threshold=least, overlap=search.overlap, p=search.exponent)
    look = Looking(scene, motif, mask, signed=signed if either else None)
    told = judge(scores, peaks, size, look, p=search.exponent)
    matches = []
    for peak, verdict in zip(peaks, told, strict=True):
        score = peak.score * (sign_at(signed, peak) if either else 1)
        matches.append(match_at(PosedMatch(peak.column + size[1] / 2, 0.5, 0.0, 1.0, score), size, verdict))
    return matches, scored.flat
