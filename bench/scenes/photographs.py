"""Photographs that come with scikit-image."""

from functools import cache

import cv2
import numpy as np
from skimage import data

from scenes.drawn import Drawn

FIRST_HALF = ("astronaut", "brick", "chelsea", "coins", "gravel", "hubble_deep_field", "moon", "rocket")
SECOND_HALF = ("camera", "coffee", "grass", "retina", "microaneurysms", "motorcycle", "clock", "immunohistochemistry")
LONGEST_SIDE = 480
FAINTEST = 12  # standard deviation of a template, grey levels


def photograph(rng, copies, names):
    """A photograph with a part of it copied to other places, or one without what is looked for."""
    while True:
        drawn = _photograph(rng, copies, names)
        if drawn is not None:
            return drawn


def _photograph(rng, copies, names):
    name, other = rng.choice(names, 2, replace=False)
    scene = picture(str(name))
    source = picture(str(other)) if copies == 0 and rng.integers(2) else scene
    most = 64 if copies <= 8 else 40 if copies <= 20 else 22 if copies <= 62 else 13
    height, width = (int(2 ** rng.uniform(np.log2(min(16, most - 1)), np.log2(most))) for _ in range(2))
    row, column = int(rng.integers(source.shape[0] - height)), int(rng.integers(source.shape[1] - width))
    template = source[row : row + height, column : column + width].copy()
    if template.std() < FAINTEST:
        return None
    if copies == 0:
        if source is scene:
            bands = (
                scene[: max(0, row - 8)],
                scene[row + height + 8 :],
                scene[:, : max(0, column - 8)],
                scene[:, column + width + 8 :],
            )
            scene = max(bands, key=lambda band: band.size)
        return Drawn(scene, template, []) if min(scene.shape[0] - height, scene.shape[1] - width) > 40 else None
    scene = scene.copy()
    corners = [(row, column)]
    rows, columns = scene.shape[0] // (height + 1), scene.shape[1] // (width + 1)
    for cell in rng.permutation(rows * columns):
        if len(corners) == copies:
            break
        place = int(cell // columns * (height + 1)), int(cell % columns * (width + 1))
        if abs(place[0] - row) > height or abs(place[1] - column) > width:
            scene[place[0] : place[0] + height, place[1] : place[1] + width] = template
            corners.append(place)
    return Drawn(scene, template, corners)


@cache
def picture(name):
    pixels = data.stereo_motorcycle()[0] if name == "motorcycle" else getattr(data, name)()
    if pixels.ndim == 3:
        pixels = cv2.cvtColor(pixels[..., :3], cv2.COLOR_RGB2GRAY)
    factor = LONGEST_SIDE / max(pixels.shape)
    if factor < 1:
        pixels = cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    return pixels
