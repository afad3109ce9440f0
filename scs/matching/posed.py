"""Search for a template that may be turned and scaled, and the map of its scores in one pose."""

from __future__ import annotations

import dataclasses

import numpy as np

from scs.matching.arrays import Array
from scs.matching.found import Match
from scs.matching.nms import suppress_boxes
from scs.matching.options import Search
from scs.matching.peaks import Peak
from scs.matching.posing.goal import PosedMatch
from scs.matching.posing.poses import Box, pose_template
from scs.matching.posing.search import find_poses
from scs.matching.presence.explained import Explained, Explainer
from scs.matching.presence.looking import Looking, match_at, size_of
from scs.matching.presence.verdict import judge
from scs.matching.scores import ScoreMap, score_map


def find_posed(scene: Array, template: Array, mask: Array | None, search: Search) -> tuple[list[Match], float]:
    """Find a template in every pose that is asked for; the matches and the share of the scene that is flat."""
    poses = _poses(scene, template, mask, search)
    if not poses:
        return [], score_map(template, template, search.method, mask=mask).flat
    best = poses[0]
    # The other scores of the best pose tell what rivals all of the poses found have.
    scored, box, pixels, weights = posed_map(scene, template, mask, search, best.angle, best.scale, (best.x, best.y))
    signed = np.atleast_2d(scored.scores)
    either = search.polarity == "either"
    peaks = [Peak(pose.y - best.y + box.row, pose.x - best.x + box.column, abs(pose.score)) for pose in poses]
    look = Looking(scene, pixels, weights, signed=signed if either else None)
    explained = [_explained(scene, template, mask, pose, look) for pose in poses]
    scores = np.abs(signed) if either else signed
    told = judge(scores, peaks, (box.rows, box.columns), look, explained=explained, p=search.exponent)
    matches = [match_at(pose, size_of(template), verdict) for pose, verdict in zip(poses, told, strict=True)]
    boxes = [[match.x, match.y, match.width, match.height, match.angle] for match in matches]
    kept = suppress_boxes(boxes, [search.rank(match.score) for match in matches], search.overlap)
    return [matches[i] for i in kept][: search.top], scored.flat


def posed_map(
    scene: Array,
    template: Array,
    mask: Array | None,
    search: Search,
    angle: float,
    scale: float,
    centre: tuple[float, float] | None,
) -> tuple[ScoreMap, Box, Array, Array]:
    """Scores of a posed template, where its box lies in the scene, and its pixels and weights there."""
    posed = pose_template(template, angle, scale, mask=mask, centre=centre)
    # A box is of whole pixels, and may reach over the scene's rim by the part of one.
    rows, first_row = _inside(posed.box.row, posed.box.rows, scene.shape[0])
    columns, first_column = _inside(posed.box.column, posed.box.columns, scene.shape[1])
    pixels, weights = posed.pixels[rows, columns], posed.weights[rows, columns]
    scored = score_map(scene, pixels, search.method, mask=weights, p=search.p, q=search.q, device=search.device)
    return scored, Box(first_row, first_column, *pixels.shape[:2]), pixels, weights


def _poses(scene: Array, template: Array, mask: Array | None, search: Search) -> list[PosedMatch]:
    """Poses found, best first; with either polarity those of the inverted template as well, their scores below 0."""

    def found(pixels: Array) -> list[PosedMatch]:
        return find_poses(
            scene,
            pixels,
            search.method,
            angles=search.angles,
            scales=search.scales,
            mask=mask,
            p=search.p,
            q=search.q,
            threshold=0.0 if search.threshold is None else search.threshold,
            top=search.top,
        )

    poses = found(template)
    if search.polarity == "either":
        inverted = found(-template.astype(np.float32))
        poses = poses + [dataclasses.replace(pose, score=-pose.score) for pose in inverted]
    return sorted(poses, key=lambda pose: -abs(pose.score))


def _explained(scene: Array, template: Array, mask: Array | None, pose: PosedMatch, look: Looking) -> Explained:
    """How well a template explains the scene in its own pose."""
    posed = pose_template(template, pose.angle, pose.scale, mask=mask, centre=(pose.x, pose.y))
    rows, row = _inside(posed.box.row, posed.box.rows, scene.shape[0])
    columns, column = _inside(posed.box.column, posed.box.columns, scene.shape[1])
    pixels = posed.pixels[rows, columns]
    explainer = Explainer(pixels if pose.score >= 0 else -pixels, posed.weights[rows, columns], look.unit)
    return explainer.explain(look.scene, row, column, look.noise)


def _inside(first: int, length: int, available: int) -> tuple[slice, int]:
    start = max(0, -first)
    return slice(start, min(length, available - first)), first + start
