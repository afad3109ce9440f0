"""Part-based matching: a template as a two-layer network of small parts that tolerates small deformations and turns."""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from scs.errors import OptionError
from scs.matching.appearance import Map, Picture, appearance, check_picture, white_level
from scs.matching.arrays import check_box, check_template
from scs.matching.products import product
from scs.matching.threads import available_threads

# Side of a part and the step of the grid on which parts and scene are compared, in pixels of the working size.
_PART, _STEP = 3, 2
# A part may stray one step for nothing; its share counts for this much two and three steps away.
_STRAYED = (0.8, 0.6)
# Templates are worked on at this area; a small one is enlarged at most so much, its scene to at most so many pixels.
_TEMPLATE_AREA, _LARGEST_ENLARGEMENT, _LARGEST_ENLARGED_SCENE = 900, 2.0, 160_000
# Exponent p, and the noise floor q as a share of the norm of the scene's typical part.
_SHARPNESS, _NOISE_FLOOR = 20.0, 0.12
# What resembles no part belongs to nobody, who claims this much of every place.
_NOBODY = 1e-3
_RIVALS = 300
# How far common directions of the scene's parts are evened out (0 not at all, 1 whitened), above a share of the mean.
_WHITENING, _WHITENING_FLOOR = 0.5, 0.05
_SMOOTHING = 0.7  # of the scores, in steps
# Patches from which the scene's common directions are learnt, and how many at once (see scs.matching.products).
_SAMPLE, _SAMPLE_PIECE = 4096, 64
_BLANK = 1e-10  # energy a pixel, below which a scene is of one colour
_FLOATS_AT_ONCE = 2**21


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
        known, rivals = seen, _outside(size)
    else:
        own, known, rivals = _from_reference(template.reference, template.corner, white, scale, window)
    network = _build(seen, own, _patches(known, _drawn(rivals, _RIVALS)))
    scores = np.asarray(
        cv2.GaussianBlur(_score(seen, network, window), (0, 0), _SMOOTHING, borderType=cv2.BORDER_REPLICATE), np.float32
    )
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
    return own, known, _outside(known.shape[1:], (top, left), window)


class _Network(NamedTuple):
    """First layer: kernels ``(parts + rivals, D)`` of partly whitened patches. Second: the places of the parts."""

    kernels: Map
    places: list[tuple[int, int]]  # in pixels of the working size
    evening: Map  # (D, D)
    floor: float  # q


def _build(seen: Map, own: Map, rivals: Map) -> _Network:
    patches = _patches(seen, _drawn(_outside(seen.shape[1:]), _SAMPLE))
    pieces = [patches[first : first + _SAMPLE_PIECE] for first in range(0, len(patches), _SAMPLE_PIECE)]
    covariance = sum(piece.T @ piece for piece in pieces) / np.float32(len(patches))
    variances, directions = np.linalg.eigh(covariance)
    variances = np.maximum(variances, 0)
    gains = (variances + _WHITENING_FLOOR * variances.mean()) ** (-_WHITENING / 2)
    evening: Map = (directions * gains) @ directions.T
    floor = _NOISE_FLOOR * math.sqrt(float((variances * gains**2).sum()))
    places = [(i, j) for i in _starts(own.shape[1]) for j in _starts(own.shape[2])]
    kernels = product(np.concatenate([_patches(own, np.array(places)), rivals]), evening)
    kernels /= np.linalg.norm(kernels, axis=1, keepdims=True) + floor
    return _Network(kernels, places, evening, floor)


def _score(seen: Map, network: _Network, window: tuple[int, int]) -> Map:
    """Mean of the parts' best shares about where they belong, for the windows at every step."""
    first = network.places[0]
    grid = [(s - f - _PART) // _STEP + 1 for s, f in zip(seen.shape[1:], first, strict=True)]
    rows, columns = ((s - w) // _STEP + 1 for s, w in zip(seen.shape[1:], window, strict=True))
    steps = [((i - first[0]) // _STEP, (j - first[1]) // _STEP) for i, j in network.places]
    above = steps[-1][0]
    reach = len(_STRAYED) + 1
    total = np.zeros((grid[0] + above, columns), np.float32)  # from the windows whose last parts lie in the first row

    def add_up(strip: tuple[int, int]) -> Map:
        begin, end = max(0, strip[0] - reach), min(grid[0], strip[1] + reach)
        top = first[0] + begin * _STEP
        shares = _shares(seen[:, top : top + (end - begin - 1) * _STEP + _PART, first[1] :], network)
        sums = np.zeros((strip[1] - strip[0] + above, columns), np.float32)
        for share, (i, j) in zip(shares, steps, strict=True):
            best = _strayed(share)[strip[0] - begin : strip[1] - begin, j : j + columns]
            sums[above - i : above - i + len(best)] += best
        return sums

    strips = list(_strips(grid[0], grid[1] * len(network.kernels)))
    with ThreadPoolExecutor(min(available_threads(), len(strips))) as pool:
        for (start, _), sums in zip(strips, pool.map(add_up, strips), strict=True):
            total[start : start + len(sums)] += sums
    total /= len(steps)
    return total[above : above + rows]


def _shares(seen: Map, network: _Network) -> Map:
    """How much of every place belongs to each part: ``(parts, rows, columns)``, of which a place gives at most 1."""
    channels = seen.shape[0]
    rows, columns = ((length - _PART) // _STEP + 1 for length in seen.shape[1:])
    patches = np.empty((channels, _PART, _PART, rows, columns), np.float32)
    for i in range(_PART):
        for j in range(_PART):
            patches[:, i, j] = seen[:, i : i + rows * _STEP : _STEP, j : j + columns * _STEP : _STEP][
                :, :rows, :columns
            ]
    even = product(network.evening, patches.reshape(-1, rows * columns))
    even /= np.sqrt(np.einsum("dn,dn->n", even, even)) + network.floor
    claims = product(network.kernels, even)  # cosines; near 1, where it matters, exp(p (a - 1)) is a ** p
    claims -= 1
    claims *= _SHARPNESS
    np.exp(claims, out=claims)
    shares: Map = claims[: len(network.places)]
    shares /= claims.sum(0) + _NOBODY
    return shares.reshape(-1, rows, columns)


def _strayed(share: Map) -> Map:
    """Take the largest share within reach of each place, discounted by distance (deformation cost)."""
    near = np.ones((3, 3), np.uint8)
    reached = cv2.dilate(share, near)
    best: Map = np.array(reached, np.float32)
    for worth in _STRAYED:
        reached = cv2.dilate(reached, near)
        np.maximum(best, worth * reached, out=best)
    return best


def _strips(rows: int, floats_a_row: int) -> Iterator[tuple[int, int]]:
    step = max(1, min(_FLOATS_AT_ONCE // floats_a_row, math.ceil(rows / 2)))
    for first in range(0, rows, step):
        yield first, min(rows, first + step)


def _starts(length: int) -> range:
    """Where the parts begin along a side: as many as fit, in its middle."""
    spare = (length - _PART) % _STEP
    return range(spare // 2, length - _PART + 1, _STEP)


def _patches(channels: Map, places: NDArray[np.intp]) -> Map:
    """The patches ``(n, D)`` at places ``(n, 2)``."""
    windows = sliding_window_view(channels, (_PART, _PART), axis=(1, 2))
    return windows[:, places[:, 0], places[:, 1]].swapaxes(0, 1).reshape(len(places), len(channels) * _PART**2)


def _outside(
    size: tuple[int, ...], corner: tuple[int, int] = (0, 0), window: tuple[int, int] = (0, 0)
) -> NDArray[np.bool_]:
    """Which places of a picture have their patch outside a window of it; all of them where none has."""
    outside = np.ones((size[0] - _PART + 1, size[1] - _PART + 1), bool)
    if window[0] and window[1]:
        top, left = (max(0, at - _PART + 1) for at in corner)
        outside[top : corner[0] + window[0], left : corner[1] + window[1]] = False
    return outside


def _drawn(places: NDArray[np.bool_], most: int) -> NDArray[np.intp]:
    """Sample at most so many of the places that are true, with a fixed seed."""
    all_of_them = np.flatnonzero(places)
    if len(all_of_them) > most:
        all_of_them = np.random.default_rng(0).choice(all_of_them, most, replace=False, shuffle=False)
    return np.stack(np.unravel_index(all_of_them, places.shape), axis=1)


def _working_scale(template_area: int, scene_area: int) -> float:
    scale = math.sqrt(_TEMPLATE_AREA / template_area)
    if scale > 1:
        scale = min(scale, _LARGEST_ENLARGEMENT, max(1.0, math.sqrt(_LARGEST_ENLARGED_SCENE / scene_area)))
    return scale


def _scaled(picture: Picture, scale: float) -> tuple[int, int]:
    return max(_PART, round(picture.shape[0] * scale)), max(_PART, round(picture.shape[1] * scale))


def _at_most(window: tuple[int, int], size: tuple[int, int]) -> tuple[int, int]:
    return min(window[0], size[0]), min(window[1], size[1])


def _at_scene_size(
    scores: Map, scene: Picture, template: Picture, size: tuple[int, int], window: tuple[int, int]
) -> Map:
    """Scores between the steps, for the windows of the scene's own pixels, by where their centres are."""
    for axis in (0, 1):
        scale = size[axis] / scene.shape[axis]
        begin = np.arange(scene.shape[axis] - template.shape[axis] + 1)
        at = ((begin + template.shape[axis] / 2) * scale - window[axis] / 2) / _STEP
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
