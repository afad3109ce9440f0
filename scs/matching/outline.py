"""Templates of one colour behind a mask: no contrast inside it, so they are looked for by their outline."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from scs.matching.arrays import Array, as_picture, as_weights

Plane = NDArray[np.float32]

RIM = 2  # pixels around the mask that the template is told from
_EVEN = 1e-3  # of the largest value: what varies less inside the mask is one colour


@dataclass(frozen=True)
class Outline:
    """What to look for in place of a template of one colour: how far pixels are from that colour.

    Attributes:
        scene: ``(H + 2 RIM, W + 2 RIM)`` float32: each pixel's distance from the template's colour.
        template: ``(h + 2 RIM, w + 2 RIM)`` float32: 0 inside the mask, 1 around it.
        mask: the same shape: the mask and a rim around it.
    """

    scene: Plane
    template: Plane
    mask: Plane


def one_colour(template: Array, mask: Array | None) -> bool:
    """Tell whether a template has no contrast inside its mask, and some pixel outside it."""
    if mask is None or np.ndim(template) == 1:
        return False
    pixels = as_picture("template", template).astype(np.float64)
    weights = np.moveaxis(as_weights(mask, pixels.shape), 0, 2)
    if (weights > 0).all() and np.ptp(weights) == 0:
        return False
    shown = weights > 0.05 * weights.max()
    spans = [np.ptp(pixels[..., i][shown[..., i]]) for i in range(pixels.shape[2])]
    return bool(max(spans) <= _EVEN * max(1.0, float(np.abs(pixels).max())))


def outlined(scene: Array, template: Array, mask: Array) -> Outline:
    """Make what to look for of a template of one colour; see ``Outline``."""
    pixels = as_picture("template", template).astype(np.float32)
    weights = np.moveaxis(as_weights(mask, pixels.shape), 0, 2).max(2)
    weights = (weights / weights.max()).astype(np.float32)
    colour = pixels[weights > 0.5 * weights.max()].mean(0)
    distance = np.sqrt(np.square(as_picture("scene", scene).astype(np.float32) - colour).sum(2))
    inside = np.pad(weights, RIM)
    around = cv2.dilate(inside, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * RIM + 1, 2 * RIM + 1)))
    return Outline(
        np.pad(distance, RIM, mode="edge"), (1 - inside).astype(np.float32), (around > 0.02).astype(np.float32)
    )
