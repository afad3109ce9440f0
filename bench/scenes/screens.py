"""Screens of widgets: buttons, icons, check boxes, lists and a photograph, light or dark."""

import math

import numpy as np
from PIL import Image, ImageDraw
from skimage import data

from scenes.drawn import WORDS, Drawn, font

SHAPES = ("gear", "play", "stop", "find", "close", "menu", "plus", "minus", "trash", "home", "disk", "star", "bell")
PHOTOGRAPH = data.coffee()


def screen(rng, copies):
    """A screen with so many copies of one icon, or of one button or check box where there are few."""
    dark = bool(rng.integers(2))
    kind = str(rng.choice(["icon", "button", "check"])) if copies <= 4 else "icon"
    many = copies > 62
    side = 14 if many else int(rng.integers(16, 29))
    width, height = (640, 480) if copies > 20 else (480, 340)
    canvas = _Canvas(width, height, dark, rng)
    wanted = str(rng.choice(SHAPES))
    ink = canvas.ink
    if kind == "button":
        label, others = _labels(rng)
        tint = tuple(int(value) for value in rng.integers(40, 230, 3))
        size = (26, 84)
        template = canvas.tile(size, lambda draw: _button(draw, (0, 0), size, label, tint))
    elif kind == "check":
        size = (16, 16)
        ticked = bool(rng.integers(2))
        template = canvas.tile(size, lambda draw: _check(draw, (0, 0), 16, ticked))
    else:
        size = (side, side)
        template = canvas.tile(size, lambda draw: _icon(draw, (0, 0), side, wanted, ink))
    corners = []
    places = canvas.places(size)
    for place in places[:copies]:
        canvas.paste(template, place)
        corners.append(place)
    # What is like it, but is something else, in some of the places that are left.
    for place in places[copies : copies + 14]:
        if kind == "button":
            _button(canvas.draw, place, size, str(rng.choice(others)), tint)
        elif kind == "icon":
            _icon(canvas.draw, place, side, str(rng.choice([shape for shape in SHAPES if shape != wanted])), ink)
    return Drawn(np.asarray(canvas.image).copy(), np.asarray(template).copy(), corners)


class _Canvas:
    def __init__(self, width, height, dark, rng):
        self.back = (43, 43, 46) if dark else (240, 240, 240)
        self.ink = (225, 225, 225) if dark else (60, 60, 60)
        self.rng = rng
        self.image = Image.new("RGB", (width, height), self.back)
        self.draw = ImageDraw.Draw(self.image)
        self.draw.rectangle([0, 0, width, 22], fill=(60, 63, 65) if dark else (255, 255, 255))
        self.draw.text((8, 5), " ".join(rng.choice(WORDS, 4)).title(), self.ink, font(12))
        row = 30
        self.left = width // 3
        while row < height - 20:  # a list
            words = f"{'_'.join(rng.choice(WORDS, 2))}.{rng.integers(100)}"
            self.draw.text((10, row), words[: self.left // 8], self.ink, font(11))
            row += 18
        photograph = Image.fromarray(PHOTOGRAPH).resize((90, 60))
        self.image.paste(photograph, (width - 96, height - 66))

    def tile(self, size, paint):
        image = Image.new("RGB", (size[1], size[0]), self.back)
        paint(ImageDraw.Draw(image))
        return image

    def places(self, size):
        """Places on a grid to the right of the list, in some order."""
        width, height = self.image.size
        rows = range(28, height - 70 - size[0], size[0] + 4)
        columns = range(self.left + 6, width - size[1] - 4, size[1] + 5)
        every = [(row, column) for row in rows for column in columns]
        return [every[i] for i in self.rng.permutation(len(every))]

    def paste(self, tile, place):
        self.image.paste(tile, (place[1], place[0]))


def _labels(rng):
    chosen = [word.title()[:9] for word in rng.choice(WORDS, 9, replace=False)]
    return chosen[0], chosen[1:]


def _button(draw, place, size, label, tint):
    row, column = place
    box = [column, row, column + size[1] - 1, row + size[0] - 1]
    draw.rounded_rectangle(box, radius=4, fill=tint, outline=tuple(value // 2 for value in tint))
    ink = (255, 255, 255) if sum(tint) < 380 else (0, 0, 0)
    draw.text((column + size[1] / 2, row + size[0] / 2), label, ink, font(12), anchor="mm")


def _check(draw, place, side, ticked):
    row, column = place
    draw.rectangle([column + 1, row + 1, column + side - 2, row + side - 2], fill=(255, 255, 255), outline=(51, 51, 51))
    if ticked:
        points = [(0.22, 0.5), (0.42, 0.75), (0.8, 0.25)]
        draw.line([(column + side * x, row + side * y) for x, y in points], fill=(0, 90, 158), width=2)


def _icon(draw, place, side, shape, ink):
    row, column = place
    width = max(1, side // 12)

    def at(*pairs):
        return [(column + side * x, row + side * y) for x, y in pairs]

    if shape == "gear":
        draw.ellipse(at((0.25, 0.25), (0.75, 0.75)), outline=ink, width=width)
        for turn in range(8):
            x, y = math.cos(turn * math.pi / 4), math.sin(turn * math.pi / 4)
            draw.line(at((0.5 + 0.28 * x, 0.5 + 0.28 * y), (0.5 + 0.42 * x, 0.5 + 0.42 * y)), fill=ink, width=width + 1)
    elif shape == "play":
        draw.polygon(at((0.25, 0.15), (0.85, 0.5), (0.25, 0.85)), fill=(50, 160, 80), outline=ink)
    elif shape == "stop":
        draw.rectangle(at((0.2, 0.2), (0.8, 0.8)), fill=(200, 60, 60), outline=ink)
    elif shape == "find":
        draw.ellipse(at((0.15, 0.15), (0.6, 0.6)), outline=ink, width=width)
        draw.line(at((0.55, 0.55), (0.85, 0.85)), fill=ink, width=width + 1)
    elif shape == "close":
        draw.line(at((0.25, 0.25), (0.75, 0.75)), fill=ink, width=width + 1)
        draw.line(at((0.75, 0.25), (0.25, 0.75)), fill=ink, width=width + 1)
    elif shape == "menu":
        for height in (0.3, 0.5, 0.7):
            draw.line(at((0.2, height), (0.8, height)), fill=ink, width=width)
    elif shape in ("plus", "minus"):
        draw.line(at((0.2, 0.5), (0.8, 0.5)), fill=ink, width=width + 1)
        if shape == "plus":
            draw.line(at((0.5, 0.2), (0.5, 0.8)), fill=ink, width=width + 1)
    elif shape == "trash":
        draw.rectangle(at((0.3, 0.35), (0.7, 0.85)), outline=ink, width=width)
        draw.line(at((0.2, 0.28), (0.8, 0.28)), fill=ink, width=width)
    elif shape == "home":
        draw.polygon(
            at((0.5, 0.12), (0.9, 0.5), (0.75, 0.88), (0.25, 0.88), (0.1, 0.5)), fill=(250, 220, 180), outline=ink
        )
    elif shape == "disk":
        draw.polygon(
            at((0.15, 0.15), (0.7, 0.15), (0.85, 0.3), (0.85, 0.85), (0.15, 0.85)), fill=(90, 140, 220), outline=ink
        )
        draw.rectangle(at((0.3, 0.55), (0.7, 0.85)), fill=(255, 255, 255), outline=ink)
    elif shape == "star":
        corners = [
            (0.5 + r * math.sin(k * math.pi / 5), 0.5 - r * math.cos(k * math.pi / 5))
            for k in range(10)
            for r in [0.42 if k % 2 == 0 else 0.18]
        ]
        draw.polygon(at(*corners), fill=(245, 200, 90), outline=ink)
    else:
        draw.pieslice(at((0.2, 0.15), (0.8, 0.95)), 180, 360, fill=ink)
        draw.rectangle(at((0.15, 0.6), (0.85, 0.7)), fill=ink)
