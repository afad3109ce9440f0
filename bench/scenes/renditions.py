"""Renditions of a scene, from exact to moderate: scaled, blurred, under other light, noisy and compressed."""

import cv2
import numpy as np

from scenes.drawn import Drawn

# Scale (share), blur (pixels), contrast (share), brightness (grey levels), noise (grey levels), JPEG quality; at most.
LEVELS = ((0, 0, 0, 0, 0, None), (0.01, 0.4, 0.1, 10, 4, 90), (0.03, 0.8, 0.2, 20, 8, 70))
NAMES = ("exact", "mild", "moderate")


def rendered(drawn, level, rng):
    """A scene as another screen, scanner or camera shows it; the template stays as it is."""
    scale, blur, contrast, brightness, noise, quality = LEVELS[level]
    if quality is None:
        return drawn
    if drawn.pixels.ndim == 1:
        return _signal(drawn, level, rng)
    factor = 1 + rng.uniform(-scale, scale)
    pixels = drawn.pixels.astype(np.float32)
    size = round(pixels.shape[1] * factor), round(pixels.shape[0] * factor)
    pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_LINEAR if factor > 1 else cv2.INTER_AREA)
    pixels = cv2.GaussianBlur(pixels, (0, 0), rng.uniform(0.1, blur))
    pixels = (pixels - 128) * rng.uniform(1 - contrast, 1 + contrast / 2) + 128 + rng.uniform(-brightness, brightness)
    pixels += noise * rng.uniform(0.3, 1) * rng.standard_normal(pixels.shape)
    pixels = pixels.round().clip(0, 255).astype(np.uint8)
    pixels = cv2.imdecode(cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_UNCHANGED)
    height, width = drawn.template.shape[:2]

    def moved(corner):
        row, column = (corner[0] + height / 2) * factor - height / 2, (corner[1] + width / 2) * factor - width / 2
        return row, column

    places = [moved(corner) for corner in drawn.corners]
    rows, columns = pixels.shape[:2]
    # One that the rim now cuts off is no copy that could be found.
    inside = [(r, c) for r, c in places if -1 <= r <= rows - height + 1 and -1 <= c <= columns - width + 1]
    return Drawn(pixels, drawn.template, inside)


def _signal(drawn, level, rng):
    noise = 0.02 * level * rng.uniform(0.3, 1)
    series = drawn.pixels * rng.uniform(0.7, 1.4) + rng.uniform(-0.5, 0.5)
    series = cv2.GaussianBlur(series[None], (0, 0), 0.3 + 0.4 * level)[0]
    return Drawn(series + noise * rng.standard_normal(series.size), drawn.template, drawn.corners)
