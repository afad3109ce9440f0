"""Search for templates in a scene: the position, angle and scale of each match, and whether it is there at all."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from scs.errors import OptionError
from scs.matching.arrays import Array, check_box, check_masks
from scs.matching.deformable.parts import PartsTemplate, parts_map, pixels_of
from scs.matching.found import Found, Match
from scs.matching.methods import METHODS
from scs.matching.options import FEATURES, METHOD_NAMES, PARTS, PIXELS, Search
from scs.matching.outline import RIM, one_colour, outlined
from scs.matching.posed import find_posed, posed_map
from scs.matching.presence.looking import size_of
from scs.matching.scores import ScoreMap, score_map
from scs.matching.stretched import find_stretched, stretched
from scs.matching.upright import find_upright

__all__ = ["METHOD_NAMES", "PARTS", "PIXELS", "Found", "Match", "Search", "find", "heatmap"]


def find(
    scene: Array,
    templates: Sequence[Array | PartsTemplate],
    search: Search | None = None,
    *,
    masks: Sequence[Array | None] | None = None,
) -> Found:
    """Find templates in a scene.

    A template of one colour behind a mask has no contrast; by a method that takes means off it is looked for by its
    outline: how far the pixels around it are from that colour.

    Args:
        scene: see ``score_map``.
        templates: likewise; a ``PartsTemplate`` for the method ``parts``.
        search: how; None is ``Search()``.
        masks: one, or None, for each template; see ``score_map``. Not for the method ``parts``.

    Returns:
        The matches of all templates, best first, and for each template the share of the scene that is flat.

    Raises:
        ShapeError: the shapes do not fit each other; the message gives both.
        OptionError: an option that makes no sense.
        MissingPackageError: a device is given, and torch is not installed.
        DeviceError: torch cannot use that device.

    Example:
        >>> scene = np.random.default_rng(0).integers(0, 256, (100, 200), dtype=np.uint8)
        >>> match = find(scene, [scene[20:50, 30:70]]).matches[0]
        >>> round(match.x, 1), round(match.y, 1), match.present
        (50.0, 35.0, True)
    """
    search = search or Search()
    if isinstance(templates, np.ndarray):
        raise OptionError("templates come in a list, even a single one; one array came")
    masks = check_masks(masks, len(templates))
    if search.method == FEATURES:
        raise OptionError(f"'{FEATURES}' needs the feature maps of a network; see scs.matching.deformable.in_features")
    if search.method == PARTS and any(mask is not None for mask in masks):
        raise OptionError(f"'{PARTS}' takes no mask")
    _check_signs(templates, search)
    scene, corner = _region(scene, search)
    by_outline = [search.centred and one_colour(pixels_of(t), mask) for t, mask in zip(templates, masks, strict=True)]
    plain = [i for i, outline in enumerate(by_outline) if not outline]
    each: dict[int, tuple[list[Match], float]] = {}
    for i, outline in enumerate(by_outline):
        if outline:
            each[i] = _find_outline(scene, pixels_of(templates[i]), masks[i], search)
    found = _find_all(scene, [templates[i] for i in plain], [masks[i] for i in plain], search)
    each.update(zip(plain, found, strict=True))
    matches = [
        dataclasses.replace(match, template=i, x=match.x + corner[0], y=match.y + corner[1])
        for i in range(len(templates))
        for match in each[i][0]
    ]
    matches.sort(key=lambda match: -search.rank(match.score))
    return Found(matches, [each[i][1] for i in range(len(templates))], by_outline)


def heatmap(
    scene: Array,
    template: Array | PartsTemplate,
    search: Search,
    *,
    mask: Array | None = None,
    angle: float = 0.0,
    scale: float = 1.0,
    centre: tuple[float, float] | None = None,
) -> ScoreMap:
    """Score a template in one pose at every place of a scene.

    Args:
        scene: see ``find``.
        template: see ``find``.
        search: the method, its p, its q, its device and its region. ``pixels`` is shown by Pearson's r.
        mask: see ``score_map``.
        angle: that the template is turned by.
        scale: that it is scaled by.
        centre: ``(x, y)`` of a match, between whose pixels the template is drawn as it lies there.

    Returns:
        Scores for the windows of the upright box that holds the template in this pose, as far as the scene does.

    Example:
        >>> scene = np.random.default_rng(0).random((60, 80), np.float32)
        >>> heatmap(scene, scene[10:30, 20:50], Search()).scores.shape
        (41, 51)
    """
    scene, corner = _region(scene, search)
    if centre is not None:
        centre = centre[0] - corner[0], centre[1] - corner[1]
    if search.method == PARTS:
        return ScoreMap(parts_map(scene, template), 0.0)
    pixels = pixels_of(template)
    if search.centred and mask is not None and one_colour(pixels, mask):
        outline = outlined(scene, pixels, mask)
        scene, pixels, mask = outline.scene, outline.template, outline.mask
        centre = None if centre is None else (centre[0] + RIM, centre[1] + RIM)
    if pixels.ndim == 1 or scene.shape[0] == 1:
        pixels, mask = stretched(pixels, scale), None if mask is None else stretched(mask, scale)
    elif angle != 0 or scale != 1:
        return posed_map(scene, pixels, mask, search, angle, scale, centre)[0]
    return score_map(scene, pixels, search.map_method, mask=mask, p=search.p, q=search.q, device=search.device)


def _check_signs(templates: Sequence[Array | PartsTemplate], search: Search) -> None:
    """Check that a template's negative can score below 0, where that is a match.

    Raises:
        OptionError: it cannot: the mean stays on, and there is no number below 0.
    """
    if search.polarity != "either" or search.centred:
        return
    if not all(float(np.min(pixels_of(template), initial=0)) < 0 for template in templates):
        able = ", ".join(name for name, method in METHODS.items() if method.centred)
        raise OptionError(
            f"polarity 'either' by '{search.method}' needs a template with numbers below 0, as a signal has; this one "
            f"has none: take {able}"
        )


def _region(scene: Array, search: Search) -> tuple[Array, tuple[int, int]]:
    """The part of a scene to look in, and x and y of its first pixel."""
    if search.region is None:
        return scene, (0, 0)
    x, y, across, down = search.region
    rows, columns = size_of(scene)
    check_box(search.region, "scene", columns, rows)
    part = scene[x : x + across] if np.ndim(scene) == 1 else scene[y : y + down, x : x + across]
    return part, (x, y)


def _find_all(
    scene: Array, templates: Sequence[Array | PartsTemplate], masks: Sequence[Array | None], search: Search
) -> list[tuple[list[Match], float]]:
    if not search.posed:
        return find_upright(scene, templates, masks, search)
    pairs = [(pixels_of(template), mask) for template, mask in zip(templates, masks, strict=True)]
    if np.ndim(scene) == 1 or scene.shape[0] == 1:
        return [find_stretched(scene, pixels, mask, search) for pixels, mask in pairs]
    return [find_posed(scene, pixels, mask, search) for pixels, mask in pairs]


def _find_outline(scene: Array, template: Array, mask: Array | None, search: Search) -> tuple[list[Match], float]:
    assert mask is not None
    outline = outlined(scene, template, mask)
    ((matches, flat),) = _find_all(outline.scene, [outline.template], [outline.mask], search)
    height, width = size_of(pixels_of(template))
    placed = [
        dataclasses.replace(
            match, x=match.x - RIM, y=match.y - RIM, width=width * match.scale, height=height * match.scale
        )
        for match in matches
    ]
    return placed, flat
