"""Where templates were found in a scene."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

from scs.matching.found import Match
from service.api.files import NamedBytes
from service.api.match import MatchOptions, MatchResponse, MatchTemplate
from service.client import html, plots

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_OF_A_MATCH = tuple(each.name for each in fields(Match))


@dataclass(frozen=True, eq=False)
class Matches(Sequence[Match]):
    """The matches of templates in a scene, best first; each is what :func:`scs.find` gives.

    Attributes:
        matches: best first.
        templates: what was looked for, with ``name``, ``width``, ``height``, ``flat`` and more.
        options: how it was looked for.
        width: of the scene in pixels, upright.
        height: likewise.
        device: where it was matched.
        model: whose features were compared, if any were.
        version: of it.
        layers: that were compared.
        scores: of the best match's template, in its pose, at each place of its top left corner, ``(H', W')``,
            read-only; None unless asked for.
        scene: as it was sent.

    Example:
        >>> client = Client("http://127.0.0.1:8000")
        >>> eyes: Matches = client.match("docs/pictures/cat.jpg", box=(300, 230, 150, 120), angles=(-30, 0, 30), top=2)
        >>> [(round(eye.x), round(eye.y), eye.present) for eye in eyes]
        [(375, 290, True), (726, 335, False)]
    """

    matches: tuple[Match, ...]
    templates: tuple[MatchTemplate, ...]
    options: MatchOptions
    width: int
    height: int
    device: str
    model: str | None = None
    version: int | None = None
    layers: tuple[str, ...] = ()
    scores: NDArray[np.float32] | None = None
    scene: NamedBytes | None = field(default=None, repr=False)

    @classmethod
    def of(cls, answer: MatchResponse, arrays: Mapping[str, NDArray[Any]], scene: NamedBytes) -> Matches:
        """Return the matches of an answer, and the scores of an archive."""
        return cls(
            tuple(Match(**{name: getattr(found, name) for name in _OF_A_MATCH}) for found in answer.matches),
            tuple(answer.templates),
            answer.options,
            answer.width,
            answer.height,
            answer.device,
            answer.model,
            answer.version,
            tuple(answer.layers),
            arrays.get("scores"),
            scene,
        )

    @overload
    def __getitem__(self, place: int) -> Match: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[Match, ...]: ...
    def __getitem__(self, place: int | slice) -> Match | tuple[Match, ...]:
        return self.matches[place]

    def __len__(self) -> int:
        return len(self.matches)

    def plot(self, axes: Axes | None = None) -> Axes:
        """Draw the scene and a box for each match with matplotlib, into ``axes`` where some are given."""
        return plots.boxes(self.scene, (self.width, self.height), self.matches, axes)

    def _repr_html_(self) -> str:
        drawn = html.boxes(self.scene, (self.width, self.height), self.matches)
        rows = [
            (
                self.templates[each.template].name,
                f"{each.score:.3f}",
                f"{each.x:.1f}",
                f"{each.y:.1f}",
                f"{each.evidence:+.1f}",
                "yes" if each.present else "no",
            )
            for each in self.matches
        ]
        scores = [] if self.scores is None else [html.heatmap("scores", np.atleast_2d(self.scores), True)]
        headings = ("template", "score", "x", "y", "evidence", "present")
        return html.page(drawn, html.row(scores), html.table(headings, rows), html.caption(self.options.method))
