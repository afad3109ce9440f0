"""Looking closer at places of a map: how well a template explains them, and the matches they become."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scs.matching.arrays import Array, as_picture, magnitude
from scs.matching.cut_off import visible_part
from scs.matching.found import Match
from scs.matching.peaks import Peak
from scs.matching.posing.goal import PosedMatch
from scs.matching.presence.explained import Explained, Explainer, Noise
from scs.matching.presence.verdict import Verdict

Signed = NDArray[np.floating[Any]]


class Looking:
    """Looks how well a template explains the places of its map.

    Args:
        scene: see ``score_map``.
        template: likewise.
        mask: likewise.
        before: rows and columns by which the map begins before the scene does.
        signed: scores that may be below 0, where inverted contrast is a match as well; else None.
        noise: of the scene in windows of the template's size, where it is known.
    """

    def __init__(
        self,
        scene: Array,
        template: Array,
        mask: Array | None,
        before: tuple[int, int] = (0, 0),
        signed: Signed | None = None,
        noise: Noise | None = None,
    ) -> None:
        self.scene = as_picture("scene", scene)
        self._template, self._mask, self._before, self._signed = template, mask, before, signed
        self.unit = magnitude(self.scene)
        self._explainer = Explainer(template, mask, self.unit)
        self.noise = noise or self._explainer.noise(self.scene)

    def __call__(self, peaks: Sequence[Peak]) -> list[Explained]:
        """Look at places of the map, all that lie inside the scene together."""
        places = [(round(peak.row) - self._before[0], round(peak.column) - self._before[1]) for peak in peaks]
        signs = [1 if self._signed is None else sign_at(self._signed, peak) for peak in peaks]
        height, width = size_of(self._template)
        last_row, last_column = self.scene.shape[0] - height, self.scene.shape[1] - width
        inside = [0 <= row <= last_row and 0 <= column <= last_column for row, column in places]
        if all(inside):
            return self._explainer.explain_all(self.scene, places, self.noise, signs)
        return [
            self._explainer.explain(self.scene, *place, self.noise, sign) if whole else self._cut_off(*place, sign)
            for place, sign, whole in zip(places, signs, inside, strict=True)
        ]

    def _cut_off(self, row: int, column: int, sign: int) -> Explained:
        """Look at a place of which a part lies outside the scene."""
        rows, columns = visible_part(self.scene, self._template, row, column)
        cut = (columns,) if self._template.ndim == 1 else (rows, columns)
        mask = None if self._mask is None else self._mask[cut]
        part = Explainer(self._template[cut], mask, self.unit)
        return part.explain(self.scene, max(row, 0), max(column, 0), self.noise, sign)


def match_at(pose: PosedMatch, size: tuple[int, int], told: Verdict, visible: float = 1.0) -> Match:
    """Make a match from a pose and its verdict; its template is number 0 until the caller sets it."""
    height, width = size
    return Match(
        template=0,
        score=pose.score,
        x=pose.x,
        y=pose.y,
        width=width * pose.scale,
        height=height * pose.scale,
        angle=pose.angle,
        scale=pose.scale,
        visible=visible,
        psr=told.psr,
        explained=told.explained,
        rival=told.rival,
        evidence=told.evidence,
    )


def sign_at(signed: Signed, peak: Peak) -> int:
    """Sign of a map's score at a place: -1 below 0, else 1."""
    row = min(max(round(peak.row), 0), signed.shape[0] - 1)
    column = min(max(round(peak.column), 0), signed.shape[1] - 1)
    return -1 if signed[row, column] < 0 else 1


def size_of(pixels: Array) -> tuple[int, int]:
    """Height and width; a signal is one row."""
    return (1, pixels.size) if pixels.ndim == 1 else (pixels.shape[0], pixels.shape[1])
