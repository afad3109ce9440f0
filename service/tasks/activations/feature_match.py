"""Template matching in feature space, layer by layer."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from models.cards.card import LayerCard, ReceptiveFieldCard
from models.runtime.load import Array
from service.pictures.picture import Region

_ROUNDING = 1e-6


@dataclass(frozen=True)
class Template:
    """A template's features in one layer.

    ``features`` (C, h, w) begin at unit ``first`` (row, column) of the map of a picture in which the template stands
    with its corner at ``corner`` (x, y); ``width`` and ``height`` are the template's, in pixels.
    """

    features: Array
    first: tuple[int, int]
    corner: tuple[float, float]
    width: float
    height: float


@dataclass(frozen=True)
class LayerMatch:
    """The score map (rows, columns) of a template in one layer, and its peaks as boxes with their scores."""

    scores: Array
    peaks: list[tuple[Region, float]]


def template_from_box(maps: Array, field: ReceptiveFieldCard, box: Region) -> Template:
    """Cut a box out of the picture's own maps ``(C, H, W)``: the units whose receptive fields are centred in it."""
    top, bottom = _centred_units(field, field.size, box.y, box.height, maps.shape[1])
    left, right = _centred_units(field, field.across, box.x, box.width, maps.shape[2])
    return Template(maps[:, top:bottom, left:right], (top, left), (box.x, box.y), box.width, box.height)


def template_from_picture(maps: Array, field: ReceptiveFieldCard, width: int, height: int) -> Template:
    """Cut a template out of its own picture's maps ``(C, H, W)``, without the rim where units see padding.

    Where the template is smaller than the receptive field every unit saw some, and all are kept.
    """
    top, bottom = _inner_units(field, field.size, height, maps.shape[1])
    left, right = _inner_units(field, field.across, width, maps.shape[2])
    return Template(maps[:, top:bottom, left:right], (top, left), (0, 0), width, height)


def match(maps: Array, layer: LayerCard, template: Template, within: Region, top: int) -> LayerMatch:
    """Find a template in the maps ``(C, H, W)`` of a layer, at the places where its box lies within the picture.

    Features are compared by sharpened cosine similarity, from their mean over the picture: what every place has in
    common says nothing of any place, and would make all of them alike. A box found is as precise as the layer's stride.

    Args:
        maps: of the picture.
        layer: whose maps they are.
        template: in the same layer.
        within: the picture, less any padding, in the pixels that the network sees.
        top: most places to find.

    Raises:
        ShapeError: the template is larger than the picture.
    """
    # Imported here, so that a service starts without waiting for a compiler that its first match needs.
    from scs.matching.peaks import find_peaks
    from scs.matching.scores import score_map

    stride = layer.receptive_field.stride
    x, y = (corner - first * stride for corner, first in zip(template.corner, reversed(template.first), strict=True))
    rows = _places(y - within.y, template.height, within.height, stride)
    columns = _places(x - within.x, template.width, within.width, stride)
    common = maps.mean((1, 2), dtype=np.float64)[:, None, None].astype(maps.dtype)
    scene, features = (np.moveaxis(values - common, 0, 2) for values in (maps, template.features))
    scores = score_map(scene, features, "scs").scores[rows, columns]
    x, y = x + columns.start * stride, y + rows.start * stride
    window = max(1, math.ceil(template.height / stride)), max(1, math.ceil(template.width / stride))
    peaks = [
        (Region(x + peak.column * stride, y + peak.row * stride, template.width, template.height), peak.score)
        for peak in find_peaks(scores, window, top, subpixel=False)
    ]
    return LayerMatch(scores, peaks)


def _places(start: float, length: float, size: float, stride: int) -> slice:
    """Return the steps from ``start`` on at which ``length`` pixels lie within ``size``, up to rounding."""
    first = math.ceil(-start / stride - _ROUNDING)
    last = math.floor((size - length - start) / stride + _ROUNDING)
    return slice(max(0, first), last + 1)


def _centred_units(field: ReceptiveFieldCard, size: int, start: float, length: float, units: int) -> tuple[int, int]:
    centre = field.offset + (size - 1) / 2
    first = max(0, math.ceil((start - centre) / field.stride))
    last = min(units, math.ceil((start + length - centre) / field.stride))
    if first < last:
        return first, last
    nearest = int(np.clip(round((start + (length - 1) / 2 - centre) / field.stride), 0, units - 1))
    return nearest, nearest + 1


def _inner_units(field: ReceptiveFieldCard, size: int, length: int, units: int) -> tuple[int, int]:
    first = math.ceil(-field.offset / field.stride)
    last = (length - size - field.offset) // field.stride + 1
    return (first, last) if first < last else (0, units)
