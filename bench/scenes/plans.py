"""Plans of buildings: walls, doors, windows and furniture, in black lines on white."""

import numpy as np
from PIL import Image, ImageDraw

from scenes.drawn import Drawn, font, scattered, side_for

SYMBOLS = ("door", "bed", "table", "toilet", "stair", "window", "lamp", "bath")


def plan(rng, copies):
    """A plan with so many copies of one symbol among others."""
    side = int(rng.integers(18, 34)) if copies <= 62 else 16
    wanted = str(rng.choice(SYMBOLS))
    others = [symbol for symbol in SYMBOLS if symbol != wanted]
    count = copies + max(8, copies // 4)
    span = side_for(count, (side, side), 300)
    image = Image.new("L", (span, span), 255)
    draw = ImageDraw.Draw(image)
    places = scattered(rng, (span, span), (side, side), count)
    for _ in range(8):  # walls, broken off around what stands in the rooms
        start = int(rng.integers(span))
        draw.line([(start, 0), (start, span)] if rng.integers(2) else [(0, start), (span, start)], fill=0, width=3)
    for x, y in rng.integers(span, size=(8, 2)):
        draw.text((x, y), f"{rng.integers(1, 40)}.{rng.integers(10)} m2", 40, font(10))
    for row, column in places:
        draw.rectangle([column - 1, row - 1, column + side, row + side], fill=255)
    copies = min(copies, len(places))
    for number, place in enumerate(places):
        _symbol(draw, place, side, wanted if number < copies else str(rng.choice(others)))
    alone = Image.new("L", (side, side), 255)
    _symbol(ImageDraw.Draw(alone), (0, 0), side, wanted)
    return Drawn(np.asarray(image).copy(), np.asarray(alone).copy(), places[:copies])


def _symbol(draw, place, side, symbol):
    row, column = place
    last = side - 1

    def box(left, top, right, bottom):
        return [column + left * last, row + top * last, column + right * last, row + bottom * last]

    if symbol == "door":
        draw.arc(box(-0.9, 0.05, 0.95, 1.9), 270, 360, fill=0, width=1)
        draw.line(box(0.03, 0.05, 0.03, 0.97), fill=0, width=2)
    elif symbol == "bed":
        draw.rectangle(box(0.1, 0, 0.9, 1), outline=0)
        draw.rectangle(box(0.18, 0.06, 0.46, 0.26), outline=0)
        draw.rectangle(box(0.54, 0.06, 0.82, 0.26), outline=0)
        draw.line(box(0.1, 0.4, 0.9, 0.4), fill=0)
    elif symbol == "table":
        draw.ellipse(box(0.2, 0.2, 0.8, 0.8), outline=0)
        for left, top in ((0.4, 0), (0.4, 0.85), (0, 0.4), (0.85, 0.4)):
            draw.rectangle(box(left, top, left + 0.15, top + 0.15), outline=0)
    elif symbol == "toilet":
        draw.rectangle(box(0.2, 0, 0.8, 0.25), outline=0)
        draw.ellipse(box(0.25, 0.25, 0.75, 1), outline=0)
    elif symbol == "stair":
        for height in np.linspace(0, 1, 7):
            draw.line(box(0.1, height, 0.9, height), fill=0)
        draw.line(box(0.5, 0, 0.5, 1), fill=0)
    elif symbol == "window":
        for height in (0.35, 0.5, 0.65):
            draw.line(box(0, height, 1, height), fill=0)
        draw.line(box(0, 0.35, 0, 0.65), fill=0)
        draw.line(box(1, 0.35, 1, 0.65), fill=0)
    elif symbol == "lamp":
        draw.ellipse(box(0.1, 0.1, 0.9, 0.9), outline=0)
        draw.line(box(0.22, 0.22, 0.78, 0.78), fill=0)
        draw.line(box(0.78, 0.22, 0.22, 0.78), fill=0)
    else:
        draw.rounded_rectangle(box(0, 0.15, 1, 0.85), radius=3, outline=0)
        draw.ellipse(box(0.12, 0.25, 0.88, 0.75), outline=0)
