"""Feature channels of a picture for matching: lightness, colour and gradient at every pixel."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from scs.errors import ShapeError
from scs.matching.arrays import as_picture

Map = NDArray[np.float32]
Picture = NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.float32] | NDArray[np.float64]

# Weights of the two colour channels and of the slope (per pixel) against lightness.
_COLOUR, _SLOPE = 2.0, 4.0


def check_picture(picture: Picture, name: str) -> None:
    """Check that something is a picture.

    Raises:
        ShapeError: another number of dimensions, or no pixels.
        OptionError: another type, or pixels that are not finite.
    """
    if picture.ndim == 1:
        raise ShapeError(f"parts are those of a picture, (H, W) or (H, W, C); a {name} of {picture.shape} came")
    as_picture(name, picture)


def white_level(*pictures: Picture) -> float:
    """Return the value that counts as white in pictures of one type.

    It is the largest integer; of floats it is 1, or their largest if that is above 1.
    """
    if pictures[0].dtype.kind == "u":
        return float(2 ** (8 * pictures[0].dtype.itemsize) - 1)
    return max(1.0, *(float(picture.max()) for picture in pictures))


def appearance(picture: Picture, white: float, size: tuple[int, int]) -> Map:
    """Resize a picture and compute its feature channels: lightness, colour and gradient.

    Args:
        picture: ``(H, W)`` or ``(H, W, C)``; three channels are RGB, taken to Lab.
        white: the value of white; values outside 0 to that are clipped.
        size: rows and columns of the answer.

    Returns:
        ``(C + 2, rows, columns)``, lightness from 0 to 1: the channels, and the slope of the first down and across.
    """
    unit = np.clip(picture.astype(np.float32) / np.float32(white), 0, 1)
    smaller = size[0] * size[1] < unit.shape[0] * unit.shape[1]
    channels = [
        cv2.resize(channel, size[::-1], interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)
        for channel in cv2.split(unit)
    ]
    if len(channels) == 3:
        lightness, green_red, blue_yellow = cv2.split(cv2.cvtColor(cv2.merge(channels), cv2.COLOR_RGB2LAB) / 100)
        channels = [lightness, _COLOUR * green_red, _COLOUR * blue_yellow]
    down, across = (
        cv2.Sobel(channels[0], cv2.CV_32F, *order, scale=_SLOPE / 8, borderType=cv2.BORDER_REFLECT_101)
        for order in ((0, 1), (1, 0))
    )
    return np.stack([*channels, down, across])
