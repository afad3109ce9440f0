"""A contact sheet: the picture, what the network says of it, and heatmaps of each layer."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

from scs.printable import printable
from service.colours import ColourScale, Map, scale_for
from service.pictures.colour_maps import heatmap, lay_over
from service.pictures.picture import Pixels, Region, Size, to_image
from service.pictures.resize import resize_image

MARGIN, GAP, COLUMNS = 40, 24, 4  # pixels, pixels, panels side by side
PANEL = (242, 280)  # inside its frame: width, and the height that a tall panel stops at
PICTURE = (400, 400)
WIDTH = 2 * MARGIN + COLUMNS * (PANEL[0] + 2) + (COLUMNS - 1) * GAP
BAR_HEIGHT = 8

WHITE, INK, SOFT, FAINT = "#ffffff", "#1a1a1a", "#666666", "#d4d4d4"
HEADLINE, HEADING, BODY, SMALL = 34, 22, 15, 13  # font sizes in pixels
DRAWABLE = {ord("×"): "x", ord("−"): "-", ord("–"): "-", ord("—"): "-", ord("→"): ">", ord("·"): "·", ord("…"): "…"}
_LATIN = str.maketrans(
    {
        "ß": "ss",
        "æ": "ae",
        "Æ": "Ae",
        "œ": "oe",
        "Œ": "Oe",
        "ø": "o",
        "Ø": "O",
        "ł": "l",
        "Ł": "L",
        "đ": "d",
        "Đ": "D",
        "ı": "i",
    }
)  # letters that are no other letter with a mark


@dataclass(frozen=True, eq=False)
class Panel:
    """One heatmap.

    Attributes:
        title: a few words, such as "channel 12".
        values: ``(H, W)``.
        signed: whether zero is the middle of its colours.
    """

    title: str
    values: Map
    signed: bool


@dataclass(frozen=True, eq=False)
class LayerRow:
    """The heatmaps of one layer.

    Attributes:
        name: the layer's.
        caption: a line about it, such as its channels, stride and receptive field.
        panels: as many as are to be shown; they continue on further lines.
    """

    name: str
    caption: str
    panels: Sequence[Panel]


def draw_sheet(
    picture: Pixels, rows: Sequence[LayerRow], title: str, overlay: bool = False, region: Region | None = None
) -> Image.Image:
    """Draw the picture beside its title, then every layer's heatmaps, each with its own colour bar and limits.

    Args:
        picture: ``(H, W, C)``, C 1 or 3.
        rows: from the top.
        title: its first line is the headline; further lines are smaller.
        overlay: lay the heatmaps over the picture, rather than show each cell as it is.
        region: what the maps cover, in pixels of ``picture``; all of it unless given.

    Returns:
        An RGB picture ``WIDTH`` pixels wide, as high as it takes.
    """
    photograph = _thumbnail(picture, PICTURE)
    background = _Background.of(picture, region) if overlay else None
    parts = [_header(photograph, title), *(_layer(row, background) for row in rows)]
    return ImageOps.expand(_above(parts, gap=GAP), MARGIN, WHITE)


@dataclass(frozen=True, eq=False)
class _Background:
    """A panel's picture, and the region of it that the map covers."""

    pixels: Pixels
    region: Region | None

    @classmethod
    def of(cls, picture: Pixels, region: Region | None) -> _Background:
        small = _thumbnail(picture, PANEL)
        if region is None:
            return cls(small, None)
        across, down = small.shape[1] / picture.shape[1], small.shape[0] / picture.shape[0]
        return cls(small, region.scaled(across, down))


def _header(photograph: Pixels, title: str) -> Image.Image:
    headline, *details = title.splitlines() or [""]
    room = WIDTH - 2 * MARGIN - photograph.shape[1] - GAP
    words = [lettering(headline, HEADLINE, INK, room), *(lettering(line, BODY, SOFT, room) for line in details)]
    return _beside([to_image(photograph).convert("RGB"), _above(words, gap=10)])


def _layer(row: LayerRow, background: _Background | None) -> Image.Image:
    room = WIDTH - 2 * MARGIN
    rule = Image.new("RGB", (room, 1), FAINT)
    heading = _above([rule, lettering(row.name, HEADING, INK, room), lettering(row.caption, BODY, SOFT, room)], gap=8)
    panels = [_panel(panel, background) for panel in row.panels]
    lines = [_beside(panels[start : start + COLUMNS]) for start in range(0, len(panels), COLUMNS)]
    return _above([heading, *lines], gap=16)


def _panel(panel: Panel, background: _Background | None) -> Image.Image:
    scale = scale_for(panel.values, panel.signed)
    height, width = panel.values.shape
    size = _fit((width, height), PANEL)
    if background is None:
        body = heatmap(_strongest(panel.values, size), scale).convert("RGB")
    else:
        values = _strongest(panel.values, (min(width, size[0]), min(height, size[1])))
        body = lay_over(values, scale, background.pixels, region=background.region)
    return _above([lettering(panel.title, BODY, INK, PANEL[0]), _framed(body), _colour_bar(scale)], gap=6)


def _colour_bar(scale: ColourScale) -> Image.Image:
    """The scale's colours with its limits, and zero where that is the middle, written below."""
    width = PANEL[0]
    steps = heatmap(np.linspace(scale.low, scale.high, width)[None], scale).convert("RGB").resize((width, BAR_HEIGHT))
    numbers = Image.new("RGB", (width + 2, SMALL + 4), WHITE)
    for place, tick in zip(np.linspace(0, 1, len(scale.ticks)), scale.ticks, strict=True):
        number = lettering(f"{tick + 0.0:.3g}", SMALL, SOFT, width)  # + 0.0 makes -0 0
        numbers.paste(number, (round(place * (numbers.width - number.width)), 0))
    return _above([_framed(steps), numbers], gap=3)


def _framed(image: Image.Image) -> Image.Image:
    return ImageOps.expand(image, 1, FAINT)


def _strongest(values: Map, size: Size) -> Map:
    """Scale a map to ``size``: each pixel the value furthest from zero among the cells that it covers.

    Few cells stay squares with edges. Of many the peaks stay, which a mean would wash out, and with it the ends of the
    scale.
    """
    for axis, length in enumerate(reversed(size)):
        starts = np.arange(length) * values.shape[axis] // length
        high, low = np.maximum.reduceat(values, starts, axis), np.minimum.reduceat(values, starts, axis)
        values = np.where(high >= -low, high, low)
    return values


def _thumbnail(picture: Pixels, box: Size) -> Pixels:
    height, width, _ = picture.shape
    return resize_image(picture, _fit((width, height), box))


def _fit(size: Size, box: Size) -> Size:
    """The largest size of the same shape that fits in the box."""
    scale = min(box[0] / size[0], box[1] / size[1])
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def lettering(text: str, size: int, colour: str, room: int) -> Image.Image:
    """Draw text, wrapped to lines of at most ``room`` pixels."""
    font = _font(size)
    lines = list(_wrap(_drawable(text), font, room))
    leading = round(size * 1.3)
    width = math.ceil(max(font.getlength(line) for line in lines))
    image = Image.new("RGB", (max(1, min(width, room)), leading * len(lines)), WHITE)
    draw = ImageDraw.Draw(image)
    for number, line in enumerate(lines):
        draw.text((0, number * leading + size), line, colour, font, anchor="ls")
    return image


def _wrap(text: str, font: ImageFont.FreeTypeFont, room: int) -> Iterator[str]:
    line, *words = text.split(" ")
    for word in words:
        longer = f"{line} {word}"
        if font.getlength(longer) > room:
            yield line
            line = word
        else:
            line = longer
    yield line


def _drawable(text: str) -> str:
    """The nearest text in the characters that Pillow's bundled font has: ASCII and a few more."""
    letters = unicodedata.normalize("NFD", printable(text)).translate(DRAWABLE).translate(_LATIN)
    known = (letter for letter in letters if not unicodedata.combining(letter))
    return "".join(letter if letter.isascii() or letter in DRAWABLE.values() else "?" for letter in known)


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont)  # as Pillow's wheels are built
    return font


def _beside(images: Sequence[Image.Image]) -> Image.Image:
    width = sum(image.width for image in images) + GAP * (len(images) - 1)
    joined = Image.new("RGB", (width, max(image.height for image in images)), WHITE)
    left = 0
    for image in images:
        joined.paste(image, (left, 0))
        left += image.width + GAP
    return joined


def _above(images: Sequence[Image.Image], gap: int) -> Image.Image:
    height = sum(image.height for image in images) + gap * (len(images) - 1)
    joined = Image.new("RGB", (max(image.width for image in images), height), WHITE)
    top = 0
    for image in images:
        joined.paste(image, (0, top))
        top += image.height + gap
    return joined
