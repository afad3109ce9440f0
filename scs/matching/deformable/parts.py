"""Part-based matching: a template as a two-layer network of small parts that tolerates small deformations and turns."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scs.errors import OptionError
from scs.matching.arrays import Array, check_box, check_template
from scs.matching.deformable.appearance import Map, Picture, appearance, check_picture, white_level
from scs.matching.deformable.sharing import Rules, build, drawn, outside, patches_at, score_windows

# Side of a part and the step of the grid are in pixels of the working size.
_RULES = Rules(side=3, step=2, strayed=(0.8, 0.6), sharpness=20.0, noise_floor=0.12, nobody=1e-3, smoothing=0.7)
# Templates are worked on at this area; a small one is enlarged at most so much, its scene to at most so many pixels.
_TEMPLATE_AREA, _LARGEST_ENLARGEMENT, _LARGEST_ENLARGED_SCENE = 900, 2.0, 160_000
_RIVALS = 300
_BLANK = 1e-10  # energy a pixel, below which a scene is of one colour


@dataclass(frozen=True, eq=False)
class PartsTemplate:
    """A template for part-based matching: a picture, or a box in a reference picture with its surroundings.

    The surroundings then compete with the template.

    Attributes:
        pixels: of the template, ``(h, w)`` or ``(h, w, C)``.
        reference: the picture around it, if any.
        corner: column and row of the template in its reference.

    Example:
        >>> reference = np.random.default_rng(0).integers(0, 256, (100, 200, 3), dtype=np.uint8)
        >>> PartsTemplate.from_box(reference, (30, 20, 40, 35)).pixels.shape
        (35, 40, 3)
    """

    pixels: Picture
    reference: Picture | None = None
    corner: tuple[int, int] = (0, 0)

    @classmethod
    def from_picture(cls, pixels: Picture) -> PartsTemplate:
        """Make a template of a whole picture.

        Raises:
            ShapeError, OptionError: not a picture.
        """
        check_picture(pixels, "template")
        return cls(pixels)

    @classmethod
    def from_box(cls, reference: Picture, box: tuple[int, int, int, int]) -> PartsTemplate:
        """Make a template of the box ``(x, y, width, height)``, in whole pixels, of a reference picture.

        Raises:
            ShapeError, OptionError: not a picture; a box without area, or not inside the reference.
        """
        check_picture(reference, "reference")
        check_box(box, "reference", width=reference.shape[1], height=reference.shape[0])
        x, y, width, height = box
        return cls(reference[y : y + height, x : x + width], reference, (x, y))


def pixels_of(template: Array | PartsTemplate) -> Array:
    """Return the pixels of a template, whichever way it was given."""
    return template.pixels if isinstance(template, PartsTemplate) else np.asarray(template)


def parts_map(scene: Picture, template: PartsTemplate | Picture) -> Map:
    """Score a template at every place of a scene by its parts, each of which may lie a little out of place.

    Scene and template are brought to a size at which the template has some 900 pixels. Each 3x3 patch of it, a part,
    is a kernel, and each place of the scene is shared out by its sharpened cosine similarities to the parts and to
    their rivals: patches from the reference around the template or, where there is none, from the scene itself. The
    score of a window is the mean, over the parts, of the largest share found about where the part belongs.

    Args:
        scene: ``(H, W)`` or ``(H, W, C)``; uint8, uint16, float32 or float64. Three channels are RGB. Floats are from 0
            to 1; where one is above 1 the largest counts as white, and below 0 is black.
        template: no larger than the scene, of the same type and number of channels.

    Returns:
        ``(H - h + 1, W - w + 1)`` within [0, 1], smooth over a few pixels. Shares are of a whole: even a perfect copy
        scores below 1, the more so the more alike its own parts are. Where template or scene is of one colour it is 0.

    Raises:
        ShapeError: the template does not fit into the scene, or has other channels; the message gives both.
        OptionError: neither type is accepted, or they differ.

    Source:
        Sharpened cosines: B. Rohrer (2020). Rivals: M. W. Spratling, "Explaining away results in accurate and tolerant
        template matching" (2020). Parts that stray: P. Felzenszwalb et al., "Object detection with discriminatively
        trained part-based models" (2010).
    """
    if not isinstance(template, PartsTemplate):
        template = PartsTemplate.from_picture(template)
    _check_pair(scene, template.pixels)
    height, width = template.pixels.shape[:2]
    shape = scene.shape[0] - height + 1, scene.shape[1] - width + 1
    if _of_one_colour(template.pixels) or _of_one_colour(scene):
        return np.zeros(shape, np.float32)

    scale = _working_scale(height * width, scene.shape[0] * scene.shape[1])
    size = _scaled(scene, scale)
    window = _at_most(_scaled(template.pixels, scale), size)
    white = white_level(scene, template.pixels if template.reference is None else template.reference)
    seen = appearance(scene, white, size)
    mean = seen.mean((1, 2), keepdims=True)
    seen -= mean
    if float(np.square(seen).mean()) < _BLANK:
        return np.zeros(shape, np.float32)
    if template.reference is None:
        own = appearance(template.pixels, white, window) - mean
        known, rivals = seen, outside(size, _RULES.side)
    else:
        own, known, rivals = _from_reference(template.reference, template.corner, white, scale, window)
    network = build(seen, own, patches_at(known, drawn(rivals, _RIVALS), _RULES.side), _RULES)
    scores = score_windows(seen, network, window)
    return _at_scene_size(scores, scene, template.pixels, size, window)


def _from_reference(
    reference: Picture, corner: tuple[int, int], white: float, scale: float, window: tuple[int, int]
) -> tuple[Map, Map, NDArray[np.bool_]]:
    """A template as its reference picture shows it, that picture, and which of its places are around the template."""
    rows, columns = _scaled(reference, scale)
    known = appearance(reference, white, (max(rows, window[0]), max(columns, window[1])))
    known -= known.mean((1, 2), keepdims=True)
    top = min(round(corner[1] * scale), known.shape[1] - window[0])
    left = min(round(corner[0] * scale), known.shape[2] - window[1])
    own = known[:, top : top + window[0], left : left + window[1]]
    return own, known, outside(known.shape[1:], _RULES.side, (top, left), window)


def _working_scale(template_area: int, scene_area: int) -> float:
    scale = math.sqrt(_TEMPLATE_AREA / template_area)
    if scale > 1:
        scale = min(scale, _LARGEST_ENLARGEMENT, max(1.0, math.sqrt(_LARGEST_ENLARGED_SCENE / scene_area)))
    return scale


def _scaled(picture: Picture, scale: float) -> tuple[int, int]:
    return max(_RULES.side, round(picture.shape[0] * scale)), max(_RULES.side, round(picture.shape[1] * scale))


def _at_most(window: tuple[int, int], size: tuple[int, int]) -> tuple[int, int]:
    return min(window[0], size[0]), min(window[1], size[1])


def _at_scene_size(
    scores: Map, scene: Picture, template: Picture, size: tuple[int, int], window: tuple[int, int]
) -> Map:
    """Scores between the steps, for the windows of the scene's own pixels, by where their centres are."""
    for axis in (0, 1):
        scale = size[axis] / scene.shape[axis]
        begin = np.arange(scene.shape[axis] - template.shape[axis] + 1)
        at = ((begin + template.shape[axis] / 2) * scale - window[axis] / 2) / _RULES.step
        at = np.clip(at, 0, scores.shape[axis] - 1)
        low = np.minimum(at.astype(np.intp), max(0, scores.shape[axis] - 2))
        high = np.minimum(low + 1, scores.shape[axis] - 1)
        part = (at - low).astype(np.float32).reshape((-1, 1) if axis == 0 else (1, -1))
        scores = scores.take(low, axis) * (1 - part) + scores.take(high, axis) * part
    return scores


def _of_one_colour(picture: Picture) -> bool:
    return bool((picture == picture[0, 0]).all())


def _check_pair(scene: Picture, template: Picture) -> None:
    check_picture(scene, "scene")
    check_template(np.atleast_3d(template), np.atleast_3d(scene))
    if scene.dtype != template.dtype:
        raise OptionError(f"scene and template need one type; {scene.dtype} and {template.dtype} came")
