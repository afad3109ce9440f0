"""The task of ``/activations``: feature maps, a class map, and where a template's features occur; no HTTP."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np

from models.cards.card import LayerCard, ModelCard
from models.runtime.load import Array
from models.runtime.memory import release
from scs.errors import FixedSizeError, OptionError, TooLargeError
from service.api.activations import ActivationOptions
from service.api.box import parse_box
from service.api.files import NamedBytes, Upload
from service.api.ranking import Ranking, Timing
from service.picture_cache.kept import MapReader
from service.pictures.geometry import resample
from service.pictures.picture import Picture, Region
from service.pictures.resize import resize_image
from service.repository.loader import LoadedModel
from service.settings import Settings
from service.tasks.activations.choice import chosen_channels, chosen_layers, count_channels
from service.tasks.activations.class_map import SeenClass, check_masked_work, class_question, explain_class
from service.tasks.activations.coordinates import check_template_size, content, to_analysed
from service.tasks.activations.feature_match import (
    LayerMatch,
    Template,
    match,
    template_from_box,
    template_from_picture,
)
from service.tasks.decoding import check_analysed_size, decode
from service.tasks.ranking import rank
from service.tasks.timing import milliseconds

_CLASSES_SHOWN = 5
_MOST_NUMBERS = 128  # of all maps together, for each pixel that may be analysed
_MOST_DRAWN = 32  # pixels of heatmaps in an answer, likewise
_MOST_HEATMAPS = 512  # in an answer
_SMALLER = "ask for it smaller with resize=1024, say"


@dataclass(frozen=True)
class SeenLayer:
    """A layer's feature maps ``(C, H, W)`` of a picture, its channels by energy, those chosen, and any match.

    Where it was asked for, ``input`` is what the layer's kernels are laid over.
    """

    card: LayerCard
    maps: Array
    energies: list[tuple[int, float]]
    chosen: list[int]
    match: LayerMatch | None
    input: Array | None = None


@dataclass(frozen=True)
class Activations:
    """The activations of a network for one picture, to be written as JSON, as arrays or as one picture."""

    card: ModelCard
    picture: Picture
    classes: Ranking
    layers: list[SeenLayer]
    class_map: SeenClass | None
    timing: Timing

    def close(self) -> None:
        """Free the memory of the feature maps; these activations cannot be used afterwards."""
        for layer in self.layers:
            release(layer.maps)


def activate(
    model: LoadedModel,
    upload: Upload,
    options: ActivationOptions,
    settings: Settings,
    reader: MapReader | None = None,
) -> Activations:
    """Run a network on one picture and keep the layers asked for.

    Args:
        model: the network.
        upload: the picture, and what to look for in it.
        options: which layers, and how.
        settings: limits.
        reader: of the network's maps, some of which may have been kept.

    Raises:
        ImageError, UnsupportedImageError, TooLargeError: a picture that cannot or may not be read, or too large for
            as many maps as the model has; more heatmaps than are drawn, too many pixels of them, or too many that a
            class map would run the network on.
        UnknownNameError: a layer, channel or class that the model does not have.
        NotFiniteError: the network gave numbers that are not finite.
        FixedSizeError: a picture of another size than the one that the network takes.
        OptionError: a class map or kernels that the model has not, more than one picture, a box outside it, a template
            larger than it, or both a box and a template.
    """
    card, reader = model.card, reader or MapReader(model)
    layers = chosen_layers(card, options.layers)
    question = class_question(card, options)
    if upload.template is not None:
        _check_template_allowed(options, card)

    started = time.perf_counter()
    resize = options.resize or ("card" if card.input.fixed else "none")
    picture = _decode_picture(upload, card, resize, settings)
    _check_answer(layers, bool(question), picture, options, settings)
    if question:
        check_masked_work(question, card, picture, settings)
    sought: Region | Picture | None = None
    if options.box:
        sought = to_analysed(parse_box(options.box), picture)
    elif upload.template is not None:
        sought = _decode_template(upload.template, picture, card, settings)
    decoded = time.perf_counter()

    needed = [*(layer.name for layer in layers), *(question.needed if question else [])]
    maps = reader.read(picture, [*dict.fromkeys(needed)], upload.images[0].digest)
    templates = {} if sought is None else _templates(reader, layers, maps, sought)
    inputs = _kernel_inputs(model, layers, picture, settings) if options.inputs else {}
    seen = [
        _see(layer, maps[layer.name], templates.get(layer.name), inputs.get(layer.name), picture, options)
        for layer in layers
    ]
    seen_class = explain_class(question, model, picture, maps, settings) if question else None
    inferred = time.perf_counter()
    return Activations(
        card=card,
        picture=picture,
        classes=rank(maps["logits"], card, _CLASSES_SHOWN),
        layers=seen,
        class_map=seen_class,
        timing=Timing(decode_ms=milliseconds(started, decoded), inference_ms=milliseconds(decoded, inferred)),
    )


def _check_template_allowed(options: ActivationOptions, card: ModelCard) -> None:
    if options.box:
        raise OptionError("what to look for is a template or a box; both came")
    if card.input.fixed:
        raise FixedSizeError(
            f"{card.name} takes pictures of {card.input.width}x{card.input.height} only, and so no template; name a "
            "box of the picture in its place"
        )


def _decode_picture(upload: Upload, card: ModelCard, resize: str, settings: Settings) -> Picture:
    if len(upload.images) != 1:
        raise OptionError(f"activations are of one picture; {len(upload.images)} came")
    pictures = decode(upload.images, card.input, resize, settings, keeps_whole=True)
    if len(pictures) != 1:  # an array may hold several
        raise OptionError(f"activations are of one picture; {len(pictures)} came")
    picture = pictures[0][1]
    _check_work(card, picture, settings)
    return picture


def _check_work(card: ModelCard, picture: Picture, settings: Settings) -> None:
    """Refuse a picture whose feature maps would take too much memory, as those of a large bank do."""
    height, width = picture.pixels.shape[:2]
    deep = sum(layer.channels / math.prod(layer.receptive_field.strides) for layer in card.layers)
    most = int(settings.max_analysed_pixels * _MOST_NUMBERS / deep) if deep else settings.max_analysed_pixels
    if height * width > most:
        raise TooLargeError(f"maps of {card.name} are made of at most {most} pixels; {width}x{height} came; {_SMALLER}")


def _check_answer(
    layers: list[LayerCard], class_map: bool, picture: Picture, options: ActivationOptions, settings: Settings
) -> None:
    """Refuse an answer of too many heatmaps, or of too many pixels in them, before the network is run."""
    height, width = picture.pixels.shape[:2]
    counts = [count_channels(options.channels, layer) for layer in layers]
    if sum(counts) > _MOST_HEATMAPS:
        raise TooLargeError(
            f"an answer may have {_MOST_HEATMAPS} heatmaps; {sum(counts)} were asked for; name fewer layers or channels"
        )
    areas = [1.0 if options.overlay else 1 / math.prod(layer.receptive_field.strides) for layer in layers]
    parts = sum(count * area for count, area in zip(counts, areas, strict=True)) + class_map
    most = int(settings.max_analysed_pixels * _MOST_DRAWN)
    if height * width * parts > most:
        raise TooLargeError(
            f"the heatmaps of an answer may have {most} pixels together, and these would have "
            f"{int(height * width * parts)}; name fewer layers or channels, or {_SMALLER}"
        )


def _decode_template(file: NamedBytes, picture: Picture, card: ModelCard, settings: Settings) -> Picture:
    """Decode a template and scale it as its scene was scaled."""
    any_size = card.input.model_copy(update={"smallest": 1, "fixed": False, "multiple_of": 1})
    (_, template), *others = decode([file], any_size, "none", settings)
    if others:
        raise OptionError(f"a template is one picture; {len(others) + 1} came")
    check_template_size(template, picture)
    height, width = picture.pixels.shape[:2]
    across, down = width / picture.region.width, height / picture.region.height
    if (across, down) != (1, 1):
        size = max(1, round(template.width * across)), max(1, round(template.height * down))
        geometry = card.input.geometry
        pixels = resize_image(template.pixels, size) if geometry is None else resample(template.pixels, size, geometry)
        template = Picture(pixels, template.width, template.height)
    check_analysed_size("template", template, card.input, settings)
    return template


def _templates(
    reader: MapReader, layers: list[LayerCard], maps: dict[str, Array], sought: Region | Picture
) -> dict[str, Template]:
    """What is looked for, by layer: a box of the picture's own ``maps``, or the maps of a template's own picture."""
    if isinstance(sought, Region):
        return {layer.name: template_from_box(maps[layer.name], layer.receptive_field, sought) for layer in layers}
    own = reader.read(sought, [layer.name for layer in layers])
    height, width = sought.pixels.shape[:2]
    return {
        layer.name: template_from_picture(own[layer.name], layer.receptive_field, width, height) for layer in layers
    }


def _kernel_inputs(
    model: LoadedModel, layers: list[LayerCard], picture: Picture, settings: Settings
) -> dict[str, Array]:
    """What the kernels of layers are laid over, as many numbers as an answer may have pixels of heatmaps."""
    left = most = int(settings.max_analysed_pixels * _MOST_DRAWN)
    found = {}
    for layer in layers:
        (values,) = model.runtime.kernel_input(picture.pixels[None], layer.name)
        left -= values.size
        if left < 0:
            raise TooLargeError(
                f"the inputs of an answer may have {most} numbers; these have more; name fewer layers, or {_SMALLER}"
            )
        found[layer.name] = values
    return found


def _see(
    card: LayerCard,
    maps: Array,
    template: Template | None,
    kernel_input: Array | None,
    picture: Picture,
    options: ActivationOptions,
) -> SeenLayer:
    mean_squares = np.einsum("chw,chw->c", maps, maps, dtype=np.float64) / maps[0].size
    energies = [(int(i), float(mean_squares[i])) for i in np.argsort(-mean_squares, kind="stable")]
    found = None if template is None else match(maps, card, template, content(picture), options.peaks)
    return SeenLayer(card, maps, energies, chosen_channels(energies, options.channels, card), found, kernel_input)
