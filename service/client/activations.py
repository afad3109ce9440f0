"""What the layers of a network see in a picture, as numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from models.cards.card import Pooling, ReceptiveFieldCard
from models.explain.methods import Method
from scs.errors import UnknownNameError
from service.api.activations import ActivationsResponse, AnalysedRegion, LayerActivation, Peak
from service.api.activations import ClassMap as ClassMapAnswer
from service.api.files import NamedBytes
from service.api.ranking import Ranked
from service.client import html, plots

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Arrays: TypeAlias = Mapping[str, NDArray[Any]]
Map: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Layer:
    """The feature maps of one layer.

    Attributes:
        name: as on the model's card.
        maps: of the channels that were asked for, ``(n, H, W)``, read-only.
        channels: their numbers.
        labels: what they stand for, where that has a name.
        shape: channels, height and width of all the layer's maps.
        energies: of every channel by its number, ``(C,)``: its mean square over the picture.
        signed: whether the values take both signs.
        receptive_field: what a unit sees.
        similarity: to the template, or to what is in the box, ``(H, W)`` within [-1, 1]; None where there is none.
        peaks: where that is best, in pixels of the picture.
        input: what the layer's kernels are laid over, ``(C, H, W)``; where ``inputs`` asked for it.
    """

    name: str
    maps: Map
    channels: tuple[int, ...]
    labels: tuple[str, ...] | None
    shape: tuple[int, int, int]
    energies: NDArray[np.float64]
    signed: bool
    receptive_field: ReceptiveFieldCard
    similarity: Map | None = None
    peaks: tuple[Peak, ...] = ()
    input: Map | None = None

    @classmethod
    def of(cls, answer: LayerActivation, arrays: Arrays) -> Layer:
        """Return a layer of an archive."""
        energies = np.zeros(answer.shape[0])
        for each in answer.energies:
            energies[each.channel] = each.energy
        named = [each.label for each in answer.heatmaps if each.label is not None]
        return cls(
            answer.name,
            arrays[answer.name],
            tuple(each.channel for each in answer.heatmaps),
            tuple(named) if named else None,
            answer.shape,
            energies,
            answer.signed,
            answer.receptive_field,
            arrays.get(f"{answer.name}.match"),
            () if answer.match is None else tuple(answer.match.peaks),
            arrays.get(f"{answer.name}.input"),
        )


@dataclass(frozen=True, eq=False)
class ClassMap:
    """Where a class is seen in a picture.

    Attributes:
        label: of the class.
        index: of the class.
        values: ``(H, W)``, read-only.
        method: by which it was made.
        exact: whether the mean or the maximum, plus ``bias``, is the logit; every other map approximates.
        pooling: of an exact map, whether its mean or its maximum counts.
        layer: that it was made of; None of occlusion.
        mean: of the values.
        maximum: of the values.
        bias: of an exact map.
        logit: of the class.
    """

    label: str
    index: int
    values: Map
    method: Method
    exact: bool
    layer: str | None
    pooling: Pooling | None
    mean: float
    maximum: float
    bias: float | None
    logit: float

    @classmethod
    def of(cls, answer: ClassMapAnswer, arrays: Arrays) -> ClassMap:
        """Return the class map of an archive."""
        (values,) = (array for name, array in arrays.items() if name.startswith("class:"))
        return cls(
            answer.label,
            answer.index,
            values,
            answer.method,
            answer.exact,
            answer.layer,
            answer.pooling,
            answer.mean,
            answer.maximum,
            answer.bias,
            answer.logit,
        )


@dataclass(frozen=True, eq=False)
class Activations(Mapping[str, Layer]):
    """The layers of a network on one picture, by their names.

    Attributes:
        layers: in the order of the network.
        class_map: where a class is seen, if one was asked for.
        classes: what the network says of the picture, most probable first.
        model: that answered.
        version: of it.
        width: of the picture in pixels, upright; boxes and peaks are in these.
        height: likewise.
        region: the part of the picture that the maps cover.
        picture: as it was sent.

    Example:
        >>> client = Client("http://127.0.0.1:8000")
        >>> cat = "docs/pictures/cat.jpg"
        >>> seen: Activations = client.activations(cat, layers=["stem", "block3"], channels="top2", class_="cat")
        >>> [(layer.name, layer.maps.shape) for layer in seen.layers]
        [('stem', (2, 768, 1024)), ('block3', (2, 192, 256))]
        >>> bool(abs(seen.class_map.values.mean() + seen.class_map.bias - seen.class_map.logit) < 1e-3)
        True
    """

    layers: tuple[Layer, ...]
    class_map: ClassMap | None
    classes: tuple[Ranked, ...]
    model: str
    version: int
    width: int
    height: int
    region: AnalysedRegion
    picture: NamedBytes | None = field(default=None, repr=False)

    @classmethod
    def of(cls, answer: ActivationsResponse, arrays: Arrays, picture: NamedBytes) -> Activations:
        """Return the activations of an archive."""
        return cls(
            tuple(Layer.of(layer, arrays) for layer in answer.layers),
            None if answer.class_map is None else ClassMap.of(answer.class_map, arrays),
            tuple(answer.classes),
            answer.model,
            answer.version,
            answer.width,
            answer.height,
            answer.analysed_region,
            picture,
        )

    def __getitem__(self, name: str) -> Layer:
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise UnknownNameError(f"no layer '{name}' was asked for; there are: {', '.join(self)}")

    def __iter__(self) -> Iterator[str]:
        return (layer.name for layer in self.layers)

    def __len__(self) -> int:
        return len(self.layers)

    def plot(self) -> Figure:
        """Draw the heatmaps with matplotlib, a row for each layer, and the class map."""
        rows = [
            [(f"{layer.name} {channel}", values, layer.signed) for channel, values in _numbered(layer)]
            + ([(f"{layer.name}: similarity", layer.similarity, True)] if layer.similarity is not None else [])
            for layer in self.layers
        ]
        return plots.heatmaps(rows + self._class_row())

    def _class_row(self) -> list[list[plots.Drawn]]:
        seen = self.class_map
        return [] if seen is None else [[(f"{seen.label}, {seen.method}", seen.values, bool(seen.values.min() < 0))]]

    def _repr_html_(self) -> str:
        parts = [html.picture(self.picture)]
        for layer in self.layers:
            parts.append(html.caption(f"{layer.name}: {' × '.join(map(str, layer.shape))}"))
            parts.append(html.row([html.heatmap(str(name), each, layer.signed) for name, each in _numbered(layer)]))
            if layer.similarity is not None:
                parts.append(html.row([html.heatmap("similarity", layer.similarity, True)]))
        for ((name, values, signed),) in self._class_row():
            parts.append(html.row([html.heatmap(name, values, signed)]))
        return html.page(*parts, html.caption(f"{self.model} {self.version}"))


def _numbered(layer: Layer) -> list[tuple[str | int, Map]]:
    return list(zip(layer.labels or layer.channels, layer.maps, strict=True))
