"""Printed circuit boards: parts of several kinds on tracks, each under a light of its own."""

import numpy as np
from PIL import Image, ImageDraw

from scenes.drawn import Drawn, scattered, side_for

KINDS = ("diode", "resistor", "capacitor", "chip", "transistor")


def board(rng, copies):
    """A board with so many parts of one kind among others."""
    size = (int(rng.integers(14, 20)), int(rng.integers(28, 40)))
    wanted = str(rng.choice(["diode", "resistor", "chip"]))
    others = [kind for kind in KINDS if kind != wanted]
    count = copies + max(10, copies // 3)
    side = side_for(count, size)
    image = Image.new("RGB", (side, side), (28, 92, 58))
    draw = ImageDraw.Draw(image)
    for _ in range(side // 6):
        x, y = rng.integers(side, size=2)
        length = int(rng.integers(20, side // 2))
        end = (x + length, y) if rng.integers(2) else (x, y + length)
        draw.line([(x, y), end], fill=(46, 128, 80), width=2)
    for x, y in rng.integers(side, size=(side // 8, 2)):
        draw.ellipse([x - 3, y - 3, x + 3, y + 3], fill=(190, 170, 90))
    places = scattered(rng, (side, side), size, count)
    copies = min(copies, len(places))
    for number, place in enumerate(places):
        _part(draw, place, size, wanted if number < copies else str(rng.choice(others)), rng)
    # The template is a part of another board under other tracks.
    plain = Image.new("RGB", (size[1], size[0]), (28, 92, 58))
    _part(ImageDraw.Draw(plain), (0, 0), size, wanted, None)
    pixels = _lit(np.asarray(image), places, size, rng)
    return Drawn(pixels, np.asarray(plain).copy(), places[:copies])


def _part(draw, place, size, kind, rng):
    """Draw a part; the bands of a resistor other than the template's may differ a little in tone."""
    row, column = place
    height, width = size

    def box(left, top, right, bottom):
        return [
            round(column + left * (width - 1)),
            round(row + top * (height - 1)),
            round(column + right * (width - 1)),
            round(row + bottom * (height - 1)),
        ]

    shift = 0 if rng is None else int(rng.integers(-6, 7))
    draw.line([(column, row + height // 2), (column + width - 1, row + height // 2)], fill=(190, 190, 195), width=2)
    if kind == "diode":
        draw.rounded_rectangle(box(0.15, 0.15, 0.85, 0.85), radius=3, fill=(35 + shift, 35, 38))
        draw.rectangle(box(0.68, 0.15, 0.77, 0.85), fill=(205, 205, 210))
    elif kind == "resistor":
        draw.rounded_rectangle(box(0.15, 0.2, 0.85, 0.8), radius=4, fill=(205 + shift, 175, 125))
        for left, tint in ((0.28, (120, 60, 20)), (0.42, (20, 20, 20)), (0.56, (200, 40, 30)), (0.72, (190, 150, 40))):
            draw.rectangle(box(left, 0.2, left + 0.05, 0.8), fill=tint)
    elif kind == "capacitor":
        draw.ellipse(box(0.3, 0.05, 0.75, 0.95), fill=(60, 90, 170 + shift), outline=(200, 200, 210))
    elif kind == "chip":
        draw.rectangle(box(0.08, 0.2, 0.92, 0.8), fill=(30, 30, 32 + shift))
        for left in np.linspace(0.12, 0.84, 6):
            draw.rectangle(box(left, 0.0, left + 0.06, 0.18), fill=(200, 200, 205))
            draw.rectangle(box(left, 0.82, left + 0.06, 1.0), fill=(200, 200, 205))
    else:
        draw.pieslice(box(0.25, 0.0, 0.75, 1.0), 0, 180, fill=(45, 45 + shift, 48))


def _lit(pixels, places, size, rng):
    """Each part a little brighter or darker than the other."""
    lit = pixels.astype(np.float32)
    for row, column in places:
        lit[row : row + size[0], column : column + size[1]] *= rng.uniform(0.9, 1.1)
    return lit.clip(0, 255).astype(np.uint8)
