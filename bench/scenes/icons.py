"""Sheets of icons: symbols of a font on tiles, light on dark or dark on light."""

import numpy as np
from PIL import Image, ImageDraw

from scenes.drawn import Drawn, font

SYMBOLS = "☀☁☂★☎☑☒☺♠♣♥♦♪♫⚑⚙⚡⚠✂✈✉✎✔✖❄➤⌂⌘☯☮♻⚓⚖"


def icons(rng, copies):
    """A sheet with so many copies of one symbol among all of the others."""
    side = int(rng.integers(18, 34)) if copies <= 62 else 16
    wanted = str(rng.choice(list(SYMBOLS)))
    others = [symbol for symbol in SYMBOLS if symbol != wanted]
    count = copies + 40
    columns = int(np.ceil(np.sqrt(count)))
    spacing = side + 6
    back = tuple(int(value) for value in rng.integers(0, 90, 3) + (160 if rng.integers(2) else 0))
    ink = tuple(int(value) for value in (rng.integers(190, 256, 3) if sum(back) < 300 else rng.integers(0, 60, 3)))
    image = Image.new("RGB", (columns * spacing + 6, columns * spacing + 6), back)
    draw = ImageDraw.Draw(image)
    corners = []
    for number, cell in enumerate(rng.permutation(columns * columns)[:count]):
        row, column = 6 + int(cell // columns) * spacing, 6 + int(cell % columns) * spacing
        symbol = wanted if number < copies else str(rng.choice(others))
        _symbol(draw, (row, column), side, symbol, ink)
        if number < copies:
            corners.append((row, column))
    alone = Image.new("RGB", (side, side), back)
    _symbol(ImageDraw.Draw(alone), (0, 0), side, wanted, ink)
    return Drawn(np.asarray(image).copy(), np.asarray(alone).copy(), corners)


def _symbol(draw, place, side, symbol, ink):
    row, column = place
    draw.text((column + side // 2, row + side // 2), symbol, ink, font(side - 4), anchor="mm")
