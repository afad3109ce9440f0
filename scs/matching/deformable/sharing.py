"""Sharing out: each place of a scene is divided among the parts of a template and their rivals, and windows add up.

``parts`` beside it does so with patches of pixels, ``features`` with the features of a network.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import cv2
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from scs.matching.deformable.appearance import Map
from scs.matching.products import product
from scs.matching.threads import available_threads

# How far common directions of the scene's parts are evened out (0 not at all, 1 whitened), above a share of the mean.
_WHITENING, _WHITENING_FLOOR = 0.5, 0.05
# Patches from which the scene's common directions are learnt, and how many at once (see scs.matching.products).
_SAMPLE, _SAMPLE_PIECE = 4096, 64
_FLOATS_AT_ONCE = 2**21


class Rules(NamedTuple):
    """How parts share out a scene.

    Attributes:
        side: of a part, in places.
        step: between neighbouring parts, and between the places that are shared out.
        strayed: a part may stray one step for nothing; its share counts for this much two, three, ... steps away.
        sharpness: exponent p.
        noise_floor: q, as a share of the norm of the scene's typical part.
        nobody: what resembles no part belongs to nobody, who claims this much of every place.
        smoothing: of the scores, in steps.
    """

    side: int
    step: int
    strayed: tuple[float, ...]
    sharpness: float
    noise_floor: float
    nobody: float
    smoothing: float


class Network(NamedTuple):
    """First layer: kernels ``(parts + rivals, D)`` of partly whitened patches. Second: the places of the parts."""

    kernels: Map
    places: list[tuple[int, int]]
    evening: Map  # (D, D)
    floor: float  # q
    rules: Rules


def build(seen: Map, own: Map, rivals: Map, rules: Rules) -> Network:
    """Build the network of a template.

    Args:
        seen: the scene ``(C, H, W)``, of mean 0.
        own: the template ``(C, h, w)``, less the same mean.
        rivals: patches ``(n, D)``, likewise.
        rules: how.
    """
    side = rules.side
    patches = patches_at(seen, drawn(outside(seen.shape[1:], side), _SAMPLE), side)
    pieces = [patches[first : first + _SAMPLE_PIECE] for first in range(0, len(patches), _SAMPLE_PIECE)]
    covariance = sum(piece.T @ piece for piece in pieces) / np.float32(len(patches))
    variances, directions = np.linalg.eigh(covariance)
    variances = np.maximum(variances, 0)
    gains = (variances + _WHITENING_FLOOR * variances.mean()) ** (-_WHITENING / 2)
    evening: Map = (directions * gains) @ directions.T
    floor = rules.noise_floor * math.sqrt(float((variances * gains**2).sum()))
    places = [(i, j) for i in _starts(own.shape[1], rules) for j in _starts(own.shape[2], rules)]
    kernels = product(np.concatenate([patches_at(own, np.array(places), side), rivals]), evening)
    kernels /= np.linalg.norm(kernels, axis=1, keepdims=True) + floor
    return Network(kernels, places, evening, floor, rules)


def score_windows(seen: Map, network: Network, window: tuple[int, int]) -> Map:
    """Mean of the parts' best shares about where they belong, smoothed, for the windows at every step."""
    first, (side, step, *_) = network.places[0], network.rules
    grid = [(s - f - side) // step + 1 for s, f in zip(seen.shape[1:], first, strict=True)]
    rows, columns = ((s - w) // step + 1 for s, w in zip(seen.shape[1:], window, strict=True))
    steps = [((i - first[0]) // step, (j - first[1]) // step) for i, j in network.places]
    above = steps[-1][0]
    reach = len(network.rules.strayed) + 1
    total = np.zeros((grid[0] + above, columns), np.float32)  # from the windows whose last parts lie in the first row

    def add_up(strip: tuple[int, int]) -> Map:
        begin, end = max(0, strip[0] - reach), min(grid[0], strip[1] + reach)
        top = first[0] + begin * step
        shares = _shares(seen[:, top : top + (end - begin - 1) * step + side, first[1] :], network)
        sums = np.zeros((strip[1] - strip[0] + above, columns), np.float32)
        for share, (i, j) in zip(shares, steps, strict=True):
            best = _strayed(share, network.rules.strayed)[strip[0] - begin : strip[1] - begin, j : j + columns]
            sums[above - i : above - i + len(best)] += best
        return sums

    strips = list(_strips(grid[0], grid[1] * len(network.kernels)))
    with ThreadPoolExecutor(min(available_threads(), len(strips))) as pool:
        for (start, _), sums in zip(strips, pool.map(add_up, strips), strict=True):
            total[start : start + len(sums)] += sums
    total /= len(steps)
    scores = cv2.GaussianBlur(
        total[above : above + rows], (0, 0), network.rules.smoothing, borderType=cv2.BORDER_REPLICATE
    )
    return np.asarray(scores, np.float32)


def _shares(seen: Map, network: Network) -> Map:
    """How much of every place belongs to each part: ``(parts, rows, columns)``, of which a place gives at most 1."""
    rules, channels = network.rules, seen.shape[0]
    side, step = rules.side, rules.step
    rows, columns = ((length - side) // step + 1 for length in seen.shape[1:])
    patches = np.empty((channels, side, side, rows, columns), np.float32)
    for i in range(side):
        for j in range(side):
            patches[:, i, j] = seen[:, i : i + rows * step : step, j : j + columns * step : step][:, :rows, :columns]
    even = product(network.evening, patches.reshape(-1, rows * columns))
    even /= np.sqrt(np.einsum("dn,dn->n", even, even)) + network.floor
    claims = product(network.kernels, even)  # cosines; near 1, where it matters, exp(p (a - 1)) is a ** p
    claims -= 1
    claims *= rules.sharpness
    np.exp(claims, out=claims)
    shares: Map = claims[: len(network.places)]
    shares /= claims.sum(0) + rules.nobody
    return shares.reshape(-1, rows, columns)


def _strayed(share: Map, strayed: tuple[float, ...]) -> Map:
    """Take the largest share within reach of each place, discounted by distance (deformation cost)."""
    near = np.ones((3, 3), np.uint8)
    reached = cv2.dilate(share, near)
    best: Map = np.array(reached, np.float32)
    for worth in strayed:
        reached = cv2.dilate(reached, near)
        np.maximum(best, worth * reached, out=best)
    return best


def _strips(rows: int, floats_a_row: int) -> Iterator[tuple[int, int]]:
    step = max(1, min(_FLOATS_AT_ONCE // floats_a_row, math.ceil(rows / 2)))
    for first in range(0, rows, step):
        yield first, min(rows, first + step)


def _starts(length: int, rules: Rules) -> range:
    """Where the parts begin along a side: as many as fit, in its middle."""
    spare = (length - rules.side) % rules.step
    return range(spare // 2, length - rules.side + 1, rules.step)


def patches_at(channels: Map, places: NDArray[np.intp], side: int) -> Map:
    """The patches ``(n, D)`` of ``(C, H, W)`` at places ``(n, 2)``."""
    windows = sliding_window_view(channels, (side, side), axis=(1, 2))
    return windows[:, places[:, 0], places[:, 1]].swapaxes(0, 1).reshape(len(places), len(channels) * side**2)


def outside(
    size: tuple[int, ...], side: int, corner: tuple[int, int] = (0, 0), window: tuple[int, int] = (0, 0)
) -> NDArray[np.bool_]:
    """Which places of a picture have their patch outside a window of it; all of them where none has."""
    outside = np.ones((size[0] - side + 1, size[1] - side + 1), bool)
    if window[0] and window[1]:
        top, left = (max(0, at - side + 1) for at in corner)
        outside[top : corner[0] + window[0], left : corner[1] + window[1]] = False
    return outside


def drawn(places: NDArray[np.bool_], most: int) -> NDArray[np.intp]:
    """Sample at most so many of the places that are true, with a fixed seed."""
    all_of_them = np.flatnonzero(places)
    if len(all_of_them) > most:
        all_of_them = np.random.default_rng(0).choice(all_of_them, most, replace=False, shuffle=False)
    return np.stack(np.unravel_index(all_of_them, places.shape), axis=1)
