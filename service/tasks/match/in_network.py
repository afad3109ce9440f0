"""The task of ``/match`` by the features of a network: decode, run it or read what was kept, find the templates."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from models.cards.card import InputCard, LayerCard, ModelCard
from models.runtime.load import Array
from scs.errors import DeadlineError, FixedSizeError, ModelError, OptionError
from service.api.box import PixelBox, parse_box
from service.api.files import MatchUpload, NamedBytes
from service.api.match import MatchOptions
from service.picture_cache.kept import MapReader
from service.pictures.errors import error_about
from service.pictures.header import open_picture
from service.pictures.npy import npy_header
from service.pictures.picture import Picture, Pixels
from service.repository.loader import LoadedModel
from service.settings import Settings
from service.tasks.activations.choice import chosen_layers
from service.tasks.decoding import decode
from service.tasks.match.found import BestMap, Matches, NetworkUsed, SeenTemplate, check_upload
from service.tasks.match.pictures import named
from service.tasks.match.search import search_for
from service.tasks.match.shapes import MatchShapes, read_shapes
from service.tasks.match.work import check_work, naming_setting
from service.tasks.timing import milliseconds

if TYPE_CHECKING:
    from scs.matching.deformable.features import FeatureMaps, FeatureTemplate
    from scs.matching.finding import Match, Search

# A picture is doubled where a template would have fewer units than this on a side, and the picture no more pixels.
_FEW_UNITS, _MOST_DOUBLED = 8, 2**20
_NEARLY = 0.99  # of what may be analysed, as sides are rounded
_AS_IT_IS = InputCard(width=1, height=1, channels=3, smallest=1)


@dataclass(frozen=True, eq=False)
class _Known:
    """A picture, and its feature maps in each of the layers."""

    picture: Picture
    layers: list[FeatureMaps]
    pixels: Pixels | None  # at its own size, where they are compared, too

    @property
    def size(self) -> tuple[int, int]:
        return self.picture.height, self.picture.width


def find_in_network(
    model: LoadedModel,
    upload: MatchUpload,
    options: MatchOptions,
    settings: Settings,
    deadline: float = float("inf"),
    reader: MapReader | None = None,
) -> Matches:
    """Look for templates in the features of a network.

    Args:
        model: the network.
        upload: the files.
        options: how to look.
        settings: limits.
        deadline: on the clock of ``time.monotonic``.
        reader: of the network's maps, some of which may have been kept.

    Raises:
        ScsError: as :func:`service.tasks.match.find.find_matches`, and :func:`service.tasks.activations.activate`.
    """
    check_upload(upload, options, settings)
    card, reader = model.card, reader or MapReader(model)
    layers = chosen_layers(card, options.layer) if options.layer else [default_layer(card)]
    search = search_for(options)

    started = time.perf_counter()
    with naming_setting(settings):
        shapes = read_shapes(upload, min(settings.max_pixels, settings.max_match_pixels))
        check_work(shapes, options, settings)
    scale = _scale(card, layers, shapes, options, settings)
    looker = _Looker(card, layers, reader, settings, scale, keeps_pixels=options.method == "parts")
    with error_about("scene"):
        scene = looker.scene(upload.scene)
    wanted = list(_wanted(looker, upload, options))
    looked = time.perf_counter()
    matches, best = _find(scene, wanted, search, deadline)
    return Matches(
        width=scene.picture.width,
        height=scene.picture.height,
        templates=[SeenTemplate(each.name, each.features.box[2], each.features.box[3]) for each in wanted],
        matches=matches,
        options=options,
        device="cpu",
        decode_ms=milliseconds(started, looked),
        match_ms=milliseconds(looked, time.perf_counter()),
        best=lambda: best,
        network=NetworkUsed(card.name, card.version, [layer.name for layer in layers]),
    )


def default_layer(card: ModelCard) -> LayerCard:
    """Return the layer whose features are compared unless one is named: the last at half of the coarsest stride.

    Deeper ones know what a thing is, and no longer where; where all layers have one stride it is the last of them.

    Raises:
        ModelError: the model shows no layers.
    """
    layers = [layer for layer in card.layers if layer.name != card.class_map] or card.layers
    if not layers:
        raise ModelError(f"{card.name} shows no layers, whose features could be compared")
    coarsest = max(max(layer.receptive_field.strides) for layer in layers)
    fine = [layer for layer in layers if max(layer.receptive_field.strides) * 2 <= coarsest]
    return (fine or layers)[-1]


def _scale(
    card: ModelCard, layers: Sequence[LayerCard], shapes: MatchShapes, options: MatchOptions, settings: Settings
) -> float:
    """By what pictures are scaled for the network: 2 where templates have few units, less than 1 for large pictures."""
    sides = [math.sqrt(rows * columns) for rows, columns, _ in shapes.templates]
    if options.box is not None:
        box = parse_box(options.box)
        sides.append(math.sqrt(abs(box.width * box.height)))
    pictures = [shapes.scene, *([] if shapes.reference is None else [shapes.reference])]
    largest = max(rows * columns for rows, columns, _ in pictures)
    if largest > settings.max_analysed_pixels:
        return _NEARLY * math.sqrt(settings.max_analysed_pixels / largest)
    stride = max(max(layer.receptive_field.strides) for layer in layers)
    few = min(sides) < _FEW_UNITS * stride
    return 2.0 if few and 4 * largest <= min(_MOST_DOUBLED, settings.max_analysed_pixels) else 1.0


class _Looker:
    """Looks at pictures through a network, all of them at one scale."""

    def __init__(
        self,
        card: ModelCard,
        layers: Sequence[LayerCard],
        reader: MapReader,
        settings: Settings,
        scale: float,
        keeps_pixels: bool,
    ) -> None:
        self._card, self._layers, self._reader, self._settings = card, layers, reader, settings
        self._scale, self._keeps_pixels = scale, keeps_pixels
        self._seen: dict[int, _Known] = {}

    def scene(self, file: NamedBytes) -> _Known:
        """Look at a scene, or at a reference; at one that was seen already, once."""
        if id(file) not in self._seen:
            self._seen[id(file)] = self._look(file, self._card.input)
        return self._seen[id(file)]

    def template(self, file: NamedBytes) -> _Known:
        """Look at a template, which may be smaller than any picture that the network is for."""
        if self._card.input.fixed:
            raise FixedSizeError(
                f"{self._card.name} takes pictures of {self._card.input.width}x{self._card.input.height} only, and so "
                "no template; name a box of the scene, or of a reference, in its place"
            )
        return self._look(file, self._card.input.model_copy(update={"smallest": 1, "multiple_of": 1}))

    def _look(self, file: NamedBytes, wanted: InputCard) -> _Known:
        pictures = decode([file], wanted, self._resize(file, wanted), self._settings)
        if len(pictures) != 1:  # an array may hold several
            raise OptionError(f"one picture is needed; {len(pictures)} came")
        picture = pictures[0][1]
        maps = self._reader.read(picture, [layer.name for layer in self._layers], file.digest)
        own = self._own_pixels(file, picture) if self._keeps_pixels else None
        return _Known(picture, [_placed(maps[layer.name], layer, picture) for layer in self._layers], own)

    def _resize(self, file: NamedBytes, wanted: InputCard) -> str:
        if wanted.fixed or wanted.multiple_of > 1:
            return "card"
        if self._scale == 1:
            return "none"
        if file.is_npy:
            longer = max(npy_header(file.content).shape[:2])
        else:
            longer = max(open_picture(file.content, self._settings.max_pixels).upright_size)
        return str(max(1, round(longer * self._scale)))

    def _own_pixels(self, file: NamedBytes, picture: Picture) -> Pixels:
        if picture.part is None and picture.pixels.shape == (picture.height, picture.width, 3):
            return picture.pixels
        ((_, own),) = decode([file], _AS_IT_IS, "none", self._settings)
        return own.pixels


def _placed(maps: Array, layer: LayerCard, picture: Picture) -> FeatureMaps:
    """A layer's maps, and where their units lie in the picture as it was sent."""
    from scs.matching.deformable.features import FeatureMaps

    field, region = layer.receptive_field, picture.region
    height, width = picture.pixels.shape[:2]
    down, across = region.height / height, region.width / width
    sizes = field.size, field.across
    middles = [offset + size / 2 for offset, size in zip(field.offsets, sizes, strict=True)]
    return FeatureMaps(
        maps,
        first=(region.y + middles[0] * down, region.x + middles[1] * across),
        stride=(field.strides[0] * down, field.strides[1] * across),
    )


@dataclass(frozen=True, eq=False)
class _Wanted:
    """What to look for: its name, its features, and its pixels where they are compared, too."""

    name: str
    features: FeatureTemplate
    pixels: Pixels | None


def _wanted(looker: _Looker, upload: MatchUpload, options: MatchOptions) -> Iterator[_Wanted]:
    from scs.matching.deformable.features import FeatureTemplate

    if upload.reference is not None:
        assert options.box is not None
        with error_about("reference"):
            known = looker.scene(upload.reference)
        box = parse_box(options.box)
        features = FeatureTemplate(known.layers, known.size, box)
        pixels = known.pixels
        cut = None if pixels is None else pixels[box.y : box.y + box.height, box.x : box.x + box.width]
        yield _Wanted(upload.reference.name, features, cut)
    for label, file in named("template", upload.templates):
        with error_about(label):
            known = looker.template(file)
        box = PixelBox(0, 0, known.picture.width, known.picture.height)
        yield _Wanted(file.name, FeatureTemplate(known.layers, known.size, box), known.pixels)


def _find(scene: _Known, wanted: Sequence[_Wanted], search: Search, deadline: float) -> tuple[list[Match], BestMap]:
    """Find one template after the other, and keep the scores of the one that was found best."""
    from scs.matching.deformable.in_features import find_in_features
    from scs.matching.scores import ScoreMap

    matches: list[Match] = []
    best, best_score = None, -math.inf
    for number, each in enumerate(wanted):
        if time.monotonic() > deadline:
            raise DeadlineError(f"the time for this match is over after {number} of {len(wanted)} templates")
        pair = None if scene.pixels is None or each.pixels is None else (scene.pixels, each.pixels)
        region = scene.picture.region
        found = find_in_features(scene.size, scene.layers, each.features, search, pixels=pair, within=region)
        matches += [dataclasses.replace(match, template=number) for match in found.matches]
        score = max((match.score for match in found.matches), default=-1.0)
        if score > best_score:
            best, best_score = BestMap(ScoreMap(found.scores, 0.0), number, 0.0, 1.0), score
    assert best is not None  # as there is something to look for
    return sorted(matches, key=lambda match: -match.score), best
