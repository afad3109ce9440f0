"""The way of a picture to a network's size that is written on the network's card: stretched, cropped or letterboxed."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
from PIL import Image

from models.cards.card import GeometryCard
from service.pictures.picture import Picture, Pixels, Region, Size, check_pixels, to_image, to_pixels
from service.pictures.resize import scaled_size

Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos"]

_PILLOW: dict[Interpolation, Image.Resampling] = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
_OPENCV: dict[Interpolation, str] = {
    "bilinear": "INTER_LINEAR",
    "bicubic": "INTER_CUBIC",
    "lanczos": "INTER_LANCZOS4",
}


def fit(
    picture: Picture, target: Size | int, geometry: GeometryCard, max_pixels: int, *, keeps_whole: bool = False
) -> Picture:
    """Bring a picture, decoded at its own size, to a network's size.

    Args:
        picture: the picture.
        target: (width, height) of the network's input, which the geometry leads to; or the longer side, to which the
            picture is scaled by the geometry's interpolation, whole.
        geometry: how.
        max_pixels: most that it is scaled to, before it is cropped.
        keeps_whole: whether the picture as it came is kept beside a part of it.

    Returns:
        The picture, its pixels ``(height, width, C)``.

    Raises:
        TooLargeError: it would be scaled to more pixels than ``max_pixels``.
    """
    if isinstance(target, int) or geometry.mode == "stretch":
        size = scaled_size((picture.width, picture.height), target, max_pixels)
        return replace(picture, pixels=resample(picture.pixels, size, geometry))
    scaled = _cropped_from(picture, geometry) if geometry.mode == "crop" else _fitted(picture, target)
    check_pixels("the scaled image", scaled, max_pixels)
    left, top = (_offset(geometry, *sides) for sides in zip(scaled, target, strict=True))
    pixels = _window(resample(picture.pixels, scaled, geometry), (left, top), target, geometry.fill)
    across, down = picture.width / scaled[0], picture.height / scaled[1]
    part = Region(left * across, top * down, target[0] * across, target[1] * down)
    return Picture(pixels, picture.width, picture.height, part, picture.pixels if keeps_whole else None)


def resample(pixels: Pixels, size: Size, geometry: GeometryCard) -> Pixels:
    """Scale a picture ``(H, W, C)`` to (width, height) by the geometry's interpolation.

    With antialiasing, and by the nearest pixel in either case, this is Pillow's ``resize``; without, OpenCV's.
    """
    if pixels.shape[1::-1] == size:
        return pixels
    if geometry.antialias or geometry.interpolation == "nearest":
        return to_pixels(to_image(pixels).resize(size, _PILLOW[geometry.interpolation]))
    import cv2  # here, as a service of models that need none starts without it

    scaled = cv2.resize(pixels, size, interpolation=getattr(cv2, _OPENCV[geometry.interpolation]))
    return np.asarray(scaled, np.uint8).reshape(size[1], size[0], -1)


def _cropped_from(picture: Picture, geometry: GeometryCard) -> Size:
    """The size that a crop is cut out of; as torchvision rounds it, down."""
    assert geometry.shorter_side is not None  # as the card was checked
    shorter, longer = sorted((picture.width, picture.height))
    long_side = int(geometry.shorter_side * longer / shorter)
    is_upright = picture.width <= picture.height
    return (geometry.shorter_side, long_side) if is_upright else (long_side, geometry.shorter_side)


def _fitted(picture: Picture, target: Size) -> Size:
    """The largest size of the picture's shape within the target, as Ultralytics rounds it."""
    scale = min(target[0] / picture.width, target[1] / picture.height)
    return max(1, round(picture.width * scale)), max(1, round(picture.height * scale))


def _offset(geometry: GeometryCard, scaled: int, target: int) -> int:
    """Where, on one axis of the scaled picture, the network's input begins; negative where there is padding."""
    if geometry.mode == "letterbox":
        return -round((target - scaled) / 2 - 0.1)
    return round((scaled - target) / 2.0) if scaled >= target else -((target - scaled) // 2)


def _window(pixels: Pixels, corner: tuple[int, int], size: Size, fill: int) -> Pixels:
    """Cut (width, height) out of a picture from a corner (x, y) on, and fill what lies outside it."""
    (left, top), (width, height) = corner, size
    seen = pixels[max(0, top) : top + height, max(0, left) : left + width]
    if seen.shape[:2] == (height, width):
        return np.ascontiguousarray(seen)
    window = np.full((height, width, pixels.shape[2]), fill, np.uint8)
    down, right = max(0, -top), max(0, -left)
    window[down : down + seen.shape[0], right : right + seen.shape[1]] = seen
    return window
