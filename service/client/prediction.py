"""What a network says of a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from service.api.files import NamedBytes
from service.api.predict import PredictResponse
from service.api.ranking import ClassProbability, Ranked
from service.client import html, plots

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Prediction:
    """The most probable classes of a picture; of a bank of templates, the best of them.

    Attributes:
        classes: with ``label``, ``index`` and ``probability``, most probable first; of a bank ``score`` in its place.
        name: of the file, where it had one.
        width: of the picture in pixels, upright.
        height: likewise.
        model: that answered.
        version: of it.
        picture: as it was sent.

    Example:
        >>> prediction = Client("http://127.0.0.1:8000").predict("docs/pictures/cat.jpg", top_k=2)
        >>> isinstance(prediction, Prediction), [(each.label, each.shown) for each in prediction.classes]
        (True, [('cat', '68.5%'), ('dog', '17.9%')])
    """

    classes: tuple[Ranked, ...]
    name: str
    width: int
    height: int
    model: str
    version: int
    picture: NamedBytes | None = field(default=None, repr=False, compare=False)

    @classmethod
    def all_of(cls, answer: PredictResponse, pictures: Sequence[NamedBytes]) -> list[Prediction]:
        """Return a prediction for each of the pictures that were sent."""
        return [
            cls(tuple(each.classes), each.name, each.width, each.height, answer.model, answer.version, picture)
            for each, picture in zip(answer.predictions, pictures, strict=True)
        ]

    @property
    def label(self) -> str:
        """The label of the most probable class."""
        return self.classes[0].label

    def plot(self, axes: Axes | None = None) -> Axes:
        """Draw the classes as bars with matplotlib, into ``axes`` where some are given."""
        return plots.bars([each.label for each in self.classes], [share(each) for each in self.classes], axes)

    def _repr_html_(self) -> str:
        rows = [(each.label, share(each), each.shown) for each in self.classes]
        return html.page(html.picture(self.picture), html.bars(rows), html.caption(f"{self.model} {self.version}"))


def share(ranked: Ranked) -> float:
    """Return the length of a class's bar, within [0, 1]."""
    return ranked.probability if isinstance(ranked, ClassProbability) else max(0.0, ranked.score)
