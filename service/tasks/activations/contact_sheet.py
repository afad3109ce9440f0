"""The contact sheet of ``/activations``: its title, its rows of heatmaps, and their captions."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from models.cards.card import ModelCard
from service.colours import Map
from service.pictures.picture import Pixels, Region
from service.pictures.sheet import LayerRow, Panel, draw_sheet
from service.tasks.activations.activate import Activations, SeenLayer
from service.tasks.activations.class_map import SeenClass
from service.tasks.activations.coordinates import to_sent

Colour = tuple[int, int, int]
_BOX_COLOUR: Colour = (255, 64, 0)
_REGION_COLOUR: Colour = (0, 160, 255)


def draw_activations(activations: Activations, overlay: bool) -> Image.Image:
    """Draw one picture with the prediction, the class map and every layer asked for."""
    card = activations.card
    best, *others = [f"{found.label} {found.shown}" for found in activations.classes] or ["no classes"]
    title = f"{best}\n{', '.join(others)}\n{card.name} {card.version}: {card.description}"
    rows = [_layer_row(layer, card) for layer in activations.layers]
    if activations.class_map is not None:
        seen = activations.class_map
        caption = _class_caption(seen)
        rows.insert(0, LayerRow(f"class map: {seen.label}", caption, [Panel(seen.label, seen.values, seen.signed)]))
    return draw_sheet(_with_boxes(activations), rows, title, overlay, activations.picture.part)


def _class_caption(seen: SeenClass) -> str:
    if seen.pooling is not None:
        value = seen.pooled(seen.pooling)
        return f"{seen.pooling} {value:+.3f} and bias {seen.bias:+.3f} make the logit {seen.logit:+.3f}"
    source = f"{seen.method} of {seen.layer}" if seen.layer else seen.method
    return f"{source}: an approximation; the logit is {seen.logit:+.3f}"


def _layer_row(layer: SeenLayer, card: ModelCard) -> LayerRow:
    channels, height, width = layer.maps.shape
    field = layer.card.receptive_field
    caption = f"{channels} channels of {width} x {height}; each unit sees {field.across} x {field.size} pixels"
    named = card.labels if layer.card.name == card.class_map else layer.card.labels
    names = named or [f"channel {i}" for i in range(channels)]
    panels = [Panel(names[i], layer.maps[i], layer.card.signed) for i in layer.chosen]
    if layer.match is not None:
        panels.append(Panel("similarity to the template", _centred(layer.match.scores, height, width), signed=True))
    return LayerRow(layer.card.name, caption, panels)


def _centred(scores: Map, height: int, width: int) -> Map:
    """Pad scores to the layer's size, so that each stands at its template's centre and not its corner."""
    down, right = height - scores.shape[0], width - scores.shape[1]
    return np.pad(scores, ((down // 2, down - down // 2), (right // 2, right - right // 2)))


def _with_boxes(activations: Activations) -> Pixels:
    """The picture, with the best place of the template in each layer drawn on it, and what the network saw of it."""
    picture = activations.picture
    peaks = [layer.match.peaks[0][0] for layer in activations.layers if layer.match and layer.match.peaks]
    if picture.whole is None:
        return _with_outlines(picture.pixels, [(box, _BOX_COLOUR) for box in peaks])
    boxes = [(picture.region, _REGION_COLOUR), *((to_sent(box, picture), _BOX_COLOUR) for box in peaks)]
    return _with_outlines(picture.whole, boxes)


def _with_outlines(pixels: Pixels, boxes: list[tuple[Region, Colour]]) -> Pixels:
    if not boxes:
        return pixels
    image = Image.fromarray(np.broadcast_to(pixels, (*pixels.shape[:2], 3)).copy())
    draw = ImageDraw.Draw(image)
    line = max(1, round(max(image.size) / 250))
    for box, colour in boxes:
        right, bottom = max(box.x, box.x + box.width - 1), max(box.y, box.y + box.height - 1)
        draw.rectangle((box.x, box.y, right, bottom), outline=colour, width=line)
    return np.asarray(image)
