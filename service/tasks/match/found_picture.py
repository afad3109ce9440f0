"""A scene with its matches drawn on it."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from scs.errors import OptionError
from service.api.files import NamedBytes
from service.api.match import FoundMatch, MatchResponse
from service.pictures.decode import decode_image
from service.pictures.npy import read_array
from service.pictures.numbers import stretch
from service.pictures.picture import Pixels, to_image
from service.pictures.sheet import lettering
from service.tasks.match.pictures import NUMBERS

# Okabe and Ito's colours (2008), told apart by nearly everybody; one a template, over again where there are more.
COLOURS = ["#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7"]


def draw_found(scene: NamedBytes, answer: MatchResponse, max_pixels: int) -> Image.Image:
    """Draw a scene, the outline of each match that is present, and above it its template and its score.

    Arrays of another kind than 8-bit grey or RGB are drawn in
    grey, from their least mean of channels to their largest.

    Raises:
        ImageError, UnsupportedImageError, TooLargeError: the scene cannot or may not be read.
        OptionError: the scene is a signal, which has no picture.
    """
    image = to_image(_shown(scene, max_pixels)).convert("RGB")
    draw = ImageDraw.Draw(image)
    line = max(2, round(max(image.size) / 250))
    present = [match for match in answer.matches if match.present]
    for match in reversed(present):  # the best on top
        outline = [*match.corners, *match.corners[:2]]
        draw.line(outline, fill=COLOURS[match.template % len(COLOURS)], width=line, joint="curve")
    for match in reversed(present):
        _label(image, match, several=len(answer.templates) > 1, line=line)
    return image


def _label(image: Image.Image, match: FoundMatch, several: bool, line: int) -> None:
    size = max(12, line * 6)
    words = f"{match.name} {match.score:.3f}" if several else f"{match.score:.3f}"
    label = lettering(words, size, "#1a1a1a", image.width)
    x, y = min(match.corners, key=lambda corner: corner[1])
    left = min(max(0, round(x)), max(0, image.width - label.width))
    image.paste(label, (left, max(0, round(y) - label.height - line)))


def _shown(scene: NamedBytes, max_pixels: int) -> Pixels:
    if not scene.is_npy:
        return decode_image(scene.content, channels=3, max_pixels=max_pixels).pixels
    array = read_array(scene.content, NUMBERS, max_pixels)
    if array.ndim == 1 or array.shape[0] == 1:
        raise OptionError("a signal has no picture to draw on; its matches are in the table and in --json")
    pixels = array.reshape(*array.shape[:2], -1)
    if pixels.dtype == np.uint8 and pixels.shape[2] in (1, 3):
        return pixels
    return stretch(pixels.mean(2, dtype=np.float64))[..., None]
