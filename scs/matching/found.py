"""What a search for templates found."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scs.matching.boxes import corners


@dataclass(frozen=True)
class Match:
    """A template found in a scene.

    Attributes:
        template: which of the templates, from 0.
        score: by the method that was asked for.
        x: of the template's centre, in pixels of the scene, pixel i covering [i, i + 1).
        y: likewise, downwards.
        width: of the template as it lies there, in pixels.
        height: likewise.
        angle: degrees that the template is turned by, counter-clockwise as seen.
        scale: size in the scene by size of the template.
        visible: share of the template, 0 to 1, that lies inside the scene.
        psr: peak-to-sidelobe ratio: how many standard deviations the score is above the rest of the map; None where
            there is no rest.
        explained: share of the contrast there that the template explains, moved, scaled and blurred a little and noise
            aside, 0 to 1; None where the method does not look at pixels.
        rival: score of the best place that is no copy of the template; None where there is none.
        evidence: what speaks for the template less what is needed; a sum of weights, no probability.
        present: whether the template is there: the evidence is above 0.

    Example:
        >>> match = Match(0, 0.97, x=50, y=35, width=40, height=30, angle=0, scale=1, evidence=3)
        >>> match.corners.tolist(), match.present
        ([[30.0, 20.0], [70.0, 20.0], [70.0, 50.0], [30.0, 50.0]], True)
    """

    template: int
    score: float
    x: float
    y: float
    width: float
    height: float
    angle: float
    scale: float
    visible: float = 1.0
    psr: float | None = None
    explained: float | None = None
    rival: float | None = None
    evidence: float = 0.0

    @property
    def present(self) -> bool:
        """Whether the template is there."""
        return self.evidence > 0

    @property
    def corners(self) -> NDArray[np.float64]:
        """Corners ``(4, 2)``: x and y of the template's top left, top right, bottom right and bottom left one."""
        box = np.array([self.x, self.y, self.width, self.height, self.angle])
        return np.asarray(corners(box), np.float64)


@dataclass(frozen=True)
class Found:
    """The matches that were found of several templates.

    Attributes:
        matches: best first.
        flat: for each template the share of the scene, 0 to 1, that has no angle to it; see ``ScoreMap``. Where
            the whole map was not needed it is an estimate.
        outlined: for each template whether it was looked for by its outline, as it has one colour behind its mask.

    Example:
        >>> Found([], flat=[1.0], outlined=[False]).matches
        []
    """

    matches: list[Match]
    flat: list[float]
    outlined: list[bool]
