"""Image corruptions at five severities, such as noise, blur, occlusion and JPEG compression, without torch.

The idea, named corruptions at severities 1 to 5, is that of D. Hendrycks and T. Dietterich, "Benchmarking Neural
Network Robustness to Common Corruptions and Perturbations" (2019). The amounts are our own, chosen for pictures of 28
to 32 pixels a side, so figures do not compare with theirs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from scs.errors import OptionError, ShapeError, UnknownNameError

Images = NDArray[np.uint8]  # (N, H, W, C)

SEVERITIES = 1, 2, 3, 4, 5
_MIDDLE_GREY = 128
_DIRECTIONS = np.array([(0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1)])  # right, down


def brighter(images: Images, levels: float, luck: Generator) -> Images:
    """Add ``levels`` to every value (brightness)."""
    return _to_bytes(images + np.float32(levels))


def darker(images: Images, levels: float, luck: Generator) -> Images:
    """Subtract ``levels`` from every value (brightness)."""
    return _to_bytes(images - np.float32(levels))


def dimmer(images: Images, share: float, luck: Generator) -> Images:
    """Multiply every value by ``share``, as less light does."""
    return _to_bytes(images * np.float32(share))


def contrast(images: Images, share: float, luck: Generator) -> Images:
    """Reduce contrast: scale each value's distance to the mean of its image and channel by ``share``."""
    mean = images.mean((1, 2), keepdims=True, dtype=np.float32)
    return _to_bytes(mean + np.float32(share) * (images - mean))


def blur(images: Images, sigma: float, luck: Generator) -> Images:
    """Blur by a Gaussian of standard deviation ``sigma``."""
    return _each(images, lambda image, _: cv2.GaussianBlur(image, (0, 0), sigma))


def noise(images: Images, deviation: float, luck: Generator) -> Images:
    """Add Gaussian noise, independent for each value."""
    return _to_bytes(images + np.float32(deviation) * luck.standard_normal(images.shape, np.float32))


def jpeg(images: Images, quality: float, luck: Generator) -> Images:
    """Compress as JPEG and decode again."""

    def compressed(image: Images, _: int) -> NDArray[np.uint8]:
        is_grey = image.shape[2] == 1
        _, content = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, int(quality)])  # of BGR
        return cv2.imdecode(content, cv2.IMREAD_GRAYSCALE if is_grey else cv2.IMREAD_COLOR_RGB)  # type: ignore[return-value]

    return _each(images, compressed)


def occlusion(images: Images, side: float, luck: Generator) -> Images:
    """Cover a random place with a grey square, its side a share of the image's shorter one."""
    count, height, width, _ = images.shape
    pixels = round(side * min(height, width))
    top, left = (luck.random((count, 2)) * (height - pixels + 1, width - pixels + 1)).astype(int).T[..., None, None]
    rows, columns = np.arange(height)[:, None], np.arange(width)
    hidden = (rows >= top) & (rows < top + pixels) & (columns >= left) & (columns < left + pixels)  # (N, H, W)
    return np.where(hidden[..., None], np.uint8(_MIDDLE_GREY), images)


def shift(images: Images, pixels: float, luck: Generator) -> Images:
    """Shift in a random direction along a row, a column or a diagonal, with mirrored borders."""
    moves = pixels * _DIRECTIONS[luck.integers(0, len(_DIRECTIONS), len(images))]
    return _warped(images, np.array([[[1, 0, right], [0, 1, down]] for right, down in moves], float))


def rotation(images: Images, degrees: float, luck: Generator) -> Images:
    """Rotate about the centre, clockwise or anticlockwise at random, with mirrored borders."""
    _, height, width, _ = images.shape
    centre = (width - 1) / 2, (height - 1) / 2
    ways = degrees * luck.choice([-1, 1], len(images))
    return _warped(images, np.array([cv2.getRotationMatrix2D(centre, angle, 1) for angle in ways]))


@dataclass(frozen=True)
class Corruption:
    """An image corruption and its amounts at severities 1 to 5, in ``unit``; grey levels are from 0 to 255."""

    change: Callable[[Images, float, Generator], Images]
    amounts: tuple[float, float, float, float, float]
    unit: str


CORRUPTIONS = {
    "brighter": Corruption(brighter, (20, 40, 60, 80, 100), "grey levels more"),
    "darker": Corruption(darker, (20, 40, 60, 80, 100), "grey levels less"),
    "dimmer": Corruption(dimmer, (0.8, 0.6, 0.45, 0.3, 0.2), "of the light"),
    "contrast": Corruption(contrast, (0.8, 0.6, 0.45, 0.3, 0.2), "of the contrast"),
    "blur": Corruption(blur, (0.5, 0.7, 0.9, 1.2, 1.6), "pixels of sigma"),
    "noise": Corruption(noise, (6, 12, 18, 26, 36), "grey levels of sigma"),
    "jpeg": Corruption(jpeg, (60, 40, 25, 15, 8), "of quality"),
    "occlusion": Corruption(occlusion, (0.2, 0.3, 0.4, 0.5, 0.6), "of the side"),
    "shift": Corruption(shift, (1, 2, 3, 4, 5), "pixels"),
    "rotation": Corruption(rotation, (5, 10, 15, 22, 30), "degrees"),
}


def corrupt(images: Images, name: str, severity: int, seed: int = 0) -> Images:
    """Corrupt images in one way, at a severity from 1 to 5.

    What is random (the noise, where the square lies, the direction) is each image's own, comes from the seed and the
    image's number, and is the same at every severity, which only says how much: results differ by nothing else.

    Args:
        images: ``(N, H, W, C)`` uint8, C 1 or 3 (RGB).
        name: one of ``CORRUPTIONS``.
        severity: 1 to 5.
        seed: decides what is random.

    Returns:
        New images of that shape, uint8.

    Raises:
        UnknownNameError: there is no such corruption.
        OptionError: there is no such severity.
        ShapeError: these are not such images.
    """
    if name not in CORRUPTIONS:
        raise UnknownNameError(f"no corruption is called '{name}'; there are {', '.join(CORRUPTIONS)}")
    if severity not in SEVERITIES:
        raise OptionError(f"a severity is one of 1 to 5; {severity} came")
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] not in (1, 3):
        raise ShapeError(f"images are (N, H, W, 1 or 3) uint8; {images.shape} {images.dtype} came")
    corruption = CORRUPTIONS[name]
    return corruption.change(images, corruption.amounts[severity - 1], np.random.default_rng(seed))


def _to_bytes(values: NDArray[np.float32]) -> Images:
    return np.rint(values).clip(0, 255).astype(np.uint8)


def _warped(images: Images, matrices: NDArray[np.float64]) -> Images:
    """Warp each image by its affine matrix, which maps coordinates of the old image to those of the new one."""
    size = images.shape[2], images.shape[1]
    return _each(images, lambda image, i: cv2.warpAffine(image, matrices[i], size, borderMode=cv2.BORDER_REFLECT_101))


def _each(images: Images, change: Callable[[Images, int], NDArray[np.generic]]) -> Images:
    """Change one image after the other, and restore the channel axis that OpenCV drops of grey ones."""
    changed = np.empty_like(images)
    for i, image in enumerate(images):
        changed[i] = np.asarray(change(image, i)).reshape(image.shape)
    return changed
