"""Shift equivariance of an exported model, measured without torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from models.cards.card import EquivarianceCard, FollowedCard, ModelCard
from models.runtime.load import Array, Images, RunnableModel
from models.runtime.pooled import pooled
from scs.errors import ModelError
from scs.shifts import ShiftError

MOST_IMAGES = 1_000  # of a data set, for its card
_BATCH = 50
_BATCH_PIXELS = 50 * 160 * 160  # with what is continued around the borders
_LOGITS = "logits"


@dataclass(frozen=True)
class Followed:
    """Shift errors of a model (see :class:`scs.shifts.ShiftError`), and the share of pictures that keep their class."""

    layers: dict[str, float]
    logits: float
    class_kept: float


@dataclass(frozen=True)
class Equivariance:
    """The shift equivariance of a model for one distance of shift, down and across together.

    Attributes:
        shift: pixels.
        images: how many were shifted.
        as_served: by the model as it is: borders and pooling.
        without_borders: by the model on a picture that goes on around its borders: pooling alone. Of layers whose
            stride divides the shift, 0.
    """

    shift: int
    images: int
    as_served: Followed
    without_borders: Followed

    def card(self, dataset: str) -> EquivarianceCard:
        """Return these figures as the equivariance part of a model card."""
        served, borderless = (
            FollowedCard(
                layers={name: round(error, 4) for name, error in found.layers.items()},
                logits=round(found.logits, 4),
                class_kept=round(found.class_kept, 4),
            )
            for found in (self.as_served, self.without_borders)
        )
        return EquivarianceCard(
            dataset=dataset, images=self.images, shift=self.shift, as_served=served, without_borders=borderless
        )


def equivariance_error(
    model: RunnableModel,
    card: ModelCard,
    images: Images,
    shifts: Sequence[int] = (1,),
    on_images: Callable[[int], None] = lambda done: None,
) -> list[Equivariance]:
    """Measure how far layers are from shift equivariance, and logits and class from shift invariance.

    A picture is shifted around its borders, so that nothing is lost and nothing is new; each shift is made down and
    across, and both count. Ideally a map of stride ``s`` moves by ``shift / s`` units and the logits stay. Where that
    is no whole number of units, the map is moved by interpolation between its samples, which is exact unless the layer
    sampled what was finer than its stride: the error is what aliasing adds, and not that units are far apart.
    Pictures whose sides are no multiples of the largest stride have their edges repeated up to the next one.

    Args:
        model: an exported model with a class map.
        card: its card, which says what each layer's units see.
        images: ``(N, H, W, C)``, at least two that are not alike.
        shifts: pixels.
        on_images: called with the number of images done so far.

    Returns:
        One for each shift.

    Raises:
        ModelError: the model has no class map.

    Source:
        R. Zhang, "Making Convolutional Networks Shift-Invariant Again" (2019), for shifts around the border, the share
        of pictures that keep their class and the distance between shifted maps; the unit of the error is ours.
    """
    if card.class_map is None:
        raise ModelError(f"shifts are measured of models with a class map; {card.name} has none")
    views = [_View(model, card, borders) for borders in (True, False)]
    sums = [[_Sums() for _ in views] for _ in shifts]
    stride = max(layer.receptive_field.stride for layer in card.layers)
    down, right = (-size % stride for size in images.shape[1:3])
    most = card.serving.max_batch_size or _BATCH
    count = max(1, min(most, _BATCH, _BATCH_PIXELS // max(view.pixels(images) for view in views)))
    for start in range(0, len(images), count):
        batch = images[start : start + count]
        batch = np.pad(batch, ((0, 0), (0, down), (0, right), (0, 0)), mode="edge")
        for i, view in enumerate(views):
            before = view.maps(batch)
            for shift, of_views in zip(shifts, sums, strict=True):
                for way in ((shift, 0), (0, shift)):
                    after = view.maps(np.roll(batch, way, (1, 2)))
                    of_views[i].add(before, after, way, view.strides)
        on_images(start + len(batch))
    return [
        Equivariance(shift, len(images), *(each.followed() for each in of_views))
        for shift, of_views in zip(shifts, sums, strict=True)
    ]


class _View:
    """The feature maps of a model, with border effects or without.

    Without: the picture is continued around its borders as far as any unit of it sees, and the units of the picture
    itself are cut out of the maps. So every layer gives what it would if it were padded with the other side.
    """

    def __init__(self, model: RunnableModel, card: ModelCard, borders: bool) -> None:
        self._model, self._card = model, card
        fields = {layer.name: layer.receptive_field for layer in card.layers}
        self.strides = {name: field.stride for name, field in fields.items()}
        largest = max(self.strides.values())
        seen = max(max(-field.offset, field.offset + field.size - field.stride) for field in fields.values())
        self._margin = 0 if borders else largest * -(-seen // largest)

    def pixels(self, images: Images) -> int:
        """Return how many pixels of each image ``(N, H, W, C)`` the model is given."""
        return int((images.shape[1] + 2 * self._margin) * (images.shape[2] + 2 * self._margin))

    def maps(self, images: Images) -> dict[str, Array]:
        """Return the feature maps of every layer, and the logits as 1x1 maps."""
        margin = self._margin
        canvas = np.pad(images, ((0, 0), (margin, margin), (margin, margin), (0, 0)), mode="wrap")
        height, width = images.shape[1:3]
        maps = self._model.layers(canvas, list(self.strides))
        for name, stride in self.strides.items():
            first = margin // stride
            maps[name] = maps[name][:, :, first : first + height // stride, first : first + width // stride]
        assert self._card.class_map is not None
        logits = pooled(maps[self._card.class_map], self._card.class_pooling) + self._card.class_bias
        return {**maps, _LOGITS: logits[:, :, None, None].astype(np.float32)}


@dataclass
class _Sums:
    """The running sums of the errors for one shift and one view."""

    errors: dict[str, ShiftError] = field(default_factory=dict)
    kept: list[bool] = field(default_factory=list)

    def add(
        self, before: dict[str, Array], after: dict[str, Array], way: tuple[int, int], strides: dict[str, int]
    ) -> None:
        for name, stride in strides.items():
            error = self.errors.setdefault(name, ShiftError())
            error.add(before[name], after[name], way[0] / stride, way[1] / stride)
        self.errors.setdefault(_LOGITS, ShiftError()).add(before[_LOGITS], after[_LOGITS], 0, 0)
        classes = (maps[_LOGITS].argmax(1).ravel() for maps in (before, after))
        self.kept.extend(np.equal(*classes).tolist())

    def followed(self) -> Followed:
        errors = {name: each.error for name, each in self.errors.items()}
        logits = errors.pop(_LOGITS)
        return Followed(layers=errors, logits=logits, class_kept=float(np.mean(self.kept)))
