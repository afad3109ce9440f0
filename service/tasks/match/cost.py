"""A model of what a match costs, by the shapes of what is compared; bench/match_work.py compares it with the truth.

A unit is what one number of the scene costs where one template is looked for by ``ccoeff_normed``: 25 nanoseconds of
a core, most of them for Fourier transforms. Costs of each step are in such units, measured and rounded.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

from service.api.box import parse_box
from service.api.match import MatchOptions
from service.tasks.match.shapes import MatchShapes, Shape

# OpenCV and the compiler behind scs.matching take a while to import: a service starts without them.
if TYPE_CHECKING:
    from scs.matching.posing.plan import Ranges

_JUDGED = ("sqdiff", "sqdiff_normed", "ccorr", "ccoeff", "pixels")  # scored by two maps
_DIFFERENCES = ("sqdiff", "sqdiff_normed")

# A score map. Of a block: what is spent whatever its size, the same for each of its channels, and a pixel of a channel
# and of the sum over them; directly and by FFT. A mask adds to each.
_TEMPLATE = 20_000
_BLOCK = 8_000
_CHANNEL, _DIRECT_CHANNEL, _MASKED_CHANNEL = 1_000, 600, 1_000
_PIXEL_OF_CHANNEL, _PIXEL = 0.4, 0.4
_DIRECT_PIXEL_OF_CHANNEL, _DIRECT_PRODUCT = 0.25, 0.004
_MASKED_PIXEL, _MASKED_DIRECT_PIXEL, _MASKED_PRODUCT = 1.4, 0.2, 0.017
_DOUBLE = 1.6  # times as much in float64
_CACHED, _SLOWDOWN, _ROW = 200_000, 0.3, 1.6  # transforms beyond the cache are slower by each doubling; so is one row
_DIRECT_BLOCK = 448  # places of a side, of scs.matching.scores

# A search over poses. Products of its scan in a unit, where one disc serves all angles and where each has its own
# weights; the alignment of what it finds; a pixel of a posed template, and one of its channels.
_PRODUCTS, _PRODUCTS_OF_WEIGHTED = 800, 100
_TRANSFORMED_ANGLE = 3  # of one angle, for each pixel of the scene at the scan's resolution
_GATHERING = 20  # products that fetching a pixel of a window costs
_ALIGNMENT = 1_500_000
_POSED_PIXEL, _POSED_CHANNEL = 4, 1.3
_PROBES, _SPARE, _FOR_EACH, _LEAST_SCORED = 20, 2, 3, 10  # poses that a match is polished by; of scs.matching.posing
_LEVEL = 20_000
_ROUND, _NEARLY, _TELLING = 0.8, 0.9, 1 / 16  # of scs.matching.posing.turned_bank

# Matching by parts.
_PARTS = 700_000
_PARTS_PIXEL, _PARTS_CHANNEL = 26, 3
_APPEARANCE = 1.5
_FEATURES_PLACE, _FEATURES_PIXEL = 300, 2
_FEATURES_PARTS, _FEATURES_PLACES = 100, 2**16  # of scs.matching.deformable.features
_PARTS_AREA, _PARTS_ENLARGED, _PARTS_SCENE = 900, 2.0, 160_000  # of scs.matching.deformable.parts


def estimated_work(shapes: MatchShapes, options: MatchOptions) -> int:
    """Estimate the work of a match, in units.

    Args:
        shapes: of what is compared; a template that does not fit costs nothing, as it is refused.
        options: how.
    """
    templates = shapes.templates
    if options.box is not None:
        _, _, width, height = parse_box(options.box)
        templates = [(height, width, shapes.scene[2])]
    if options.region is not None:
        region = parse_box(options.region)
        rows, columns = min(region.height, shapes.scene[0]), min(region.width, shapes.scene[1])
        shapes = dataclasses.replace(shapes, scene=(max(rows, 1), max(columns, 1), shapes.scene[2]))
    pairs = zip(templates, shapes.masked, strict=True)
    times = 2 if options.polarity == "either" and (options.angles or options.scales) else 1
    return math.ceil(times * sum(_cost(shapes, template, masked, options) for template, masked in pairs))


def _cost(shapes: MatchShapes, template: Shape, masked: bool, options: MatchOptions) -> float:
    if options.method == "parts":
        return _parts(shapes, template)
    if options.method == "features":
        return _features(shapes, template)
    if options.angles is not None or options.scales is not None:
        return _posed(shapes, template, masked, options)
    double = shapes.double or options.method in _DIFFERENCES
    cost = _TEMPLATE + _map(shapes.scene, template, masked, double)
    return cost + _map(shapes.scene, template, masked, shapes.double) if options.method in _JUDGED else cost


def _map(scene: Shape, template: Shape, masked: bool, double: bool) -> float:
    """Cost of a score map of a template at every place of a scene."""
    from scs.matching.scores import DIRECT_PIXELS
    from scs.matching.scoring.blocks import plan_blocks
    from scs.matching.threads import available_threads

    height, width, _ = template
    channels = scene[2]
    places = scene[0] - height + 1, scene[1] - width + 1
    if min(places) < 1:
        return 0.0
    taps = height * width
    factor = _DOUBLE if double else 1.0
    if taps <= DIRECT_PIXELS:
        pixels = float(math.prod(scene[:2]))
        blocks = math.prod(math.ceil(length / _DIRECT_BLOCK) for length in places)
        of_channel = factor * (_DIRECT_PIXEL_OF_CHANNEL + _DIRECT_PRODUCT * taps)
        of_channel += (_MASKED_DIRECT_PIXEL + _MASKED_PRODUCT * taps) * masked
        each = _DIRECT_CHANNEL
    else:
        size, planned = plan_blocks(places, (height, width), available_threads())
        blocks = len(planned)
        block = math.prod(size)
        slowdown = 1 + _SLOWDOWN * max(0.0, math.log2(block / _CACHED))
        pixels = blocks * block * slowdown * (_ROW if size[0] == 1 else 1)
        of_channel = factor * _PIXEL_OF_CHANNEL + _MASKED_PIXEL * masked
        each = _CHANNEL
    each += _MASKED_CHANNEL * masked
    return blocks * (_BLOCK + channels * each) + pixels * (channels * of_channel + factor * _PIXEL)


def _posed(shapes: MatchShapes, template: Shape, masked: bool, options: MatchOptions) -> float:
    """Cost of a search over angles and scales: scan, alignment, and the best poses one by one."""
    from scs.matching.posing.plan import Ranges
    from scs.matching.posing.poses import angle_steps, scale_steps

    ranges = Ranges(angle_steps(options.angles), scale_steps(options.scales))
    height, width, channels = template
    scene_area = math.prod(shapes.scene[:2])
    scale = min(max(1.0, ranges.scales.low), ranges.scales.high)
    area = min(height * width * scale**2, scene_area)
    poses = _PROBES * (options.top + _SPARE) + max(_FOR_EACH * options.top, _LEAST_SCORED)
    posed = area * poses * (_POSED_PIXEL + _POSED_CHANNEL * channels)
    upright = _map(shapes.scene, template, masked, shapes.double)
    side = round(math.sqrt(area)) or 1
    weighted = _map(shapes.scene, (min(side, shapes.scene[0]), min(side, shapes.scene[1]), channels), True, False)
    greys = scene_area * channels
    return _TEMPLATE + _ALIGNMENT + _scan(shapes.scene, template, masked, ranges) + posed + upright + weighted + greys


def _scan(scene: Shape, template: Shape, masked: bool, ranges: Ranges) -> float:
    """Cost of the coarsest scan, whose plan is made as the search makes it, of a template without pixels."""
    import numpy as np

    from scs.matching.posing.plan import plan_scan
    from scs.matching.posing.resolutions import TemplatePlane
    from scs.matching.posing.turned_bank import MOST_POINTS, is_round

    height, width, _ = template
    pixels = np.broadcast_to(np.float32(0), _core(height, width, masked))
    part = TemplatePlane(pixels)
    plan = plan_scan(part, ranges)
    disc = is_round(part)
    cost = 0.0
    for scale, size in plan.levels():
        spacing = part.size / size
        reach = min(pixels.shape) if disc else math.hypot(*pixels.shape)
        side = max(2, round(reach / spacing))
        factor = min(1.0, 1 / (spacing * scale))
        windows = math.prod(max(0, round(length * factor) - side + 1) for length in scene[:2])
        angles = len(plan.angles(size))
        products = windows * math.pi / 4 * side**2 * ((1 if disc else 3) * angles + _GATHERING)
        direct = products / (_PRODUCTS if disc else _PRODUCTS_OF_WEIGHTED)
        transformed = angles * math.prod(scene[:2]) * factor**2 * _TRANSFORMED_ANGLE
        by_transforms = not disc and math.pi / 4 * side**2 > MOST_POINTS
        cost += _LEVEL + (transformed if by_transforms else direct)
    return cost


def _core(height: int, width: int, masked: bool) -> tuple[int, int]:
    """Height and width of the part of a template that is scanned for; a mask is taken to show most of it."""
    if not masked and min(height, width) >= _ROUND * max(height, width):
        return height, width
    radius = int(_NEARLY * (min(height, width) + 1) / 2)
    if math.pi * radius**2 < _TELLING * height * width:
        return height, width
    return 2 * radius - 1, 2 * radius - 1


def _features(shapes: MatchShapes, template: Shape) -> float:
    """Cost of matching in one layer of some hundred channels; the network's own is bounded by the picture's size."""
    height, width, _ = template
    scene_area = math.prod(shapes.scene[:2])
    places = min(_FEATURES_PLACES, _FEATURES_PARTS * scene_area / max(1, height * width))
    return _PARTS + _FEATURES_PLACE * places + _FEATURES_PIXEL * scene_area


def _parts(shapes: MatchShapes, template: Shape) -> float:
    """Cost of matching by parts, at the size at which the template has some 900 pixels."""
    height, width, channels = template
    scene_area = math.prod(shapes.scene[:2])
    scale = math.sqrt(_PARTS_AREA / (height * width))
    if scale > 1:
        scale = min(scale, _PARTS_ENLARGED, max(1.0, math.sqrt(_PARTS_SCENE / scene_area)))
    numbers = channels * (scene_area + math.prod(shapes.reference[:2] if shapes.reference else (0,)))
    return _PARTS + scene_area * scale**2 * (_PARTS_PIXEL + _PARTS_CHANNEL * channels) + _APPEARANCE * numbers
