"""Pictures side by side, each with a few words below."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageOps

from service.pictures.picture import Pixels, to_image
from service.pictures.sheet import BODY, COLUMNS, FAINT, GAP, HEADING, INK, MARGIN, PANEL, SMALL, SOFT, WHITE, lettering

_SIDE = PANEL[0]  # pixels that a picture fits in


@dataclass(frozen=True, eq=False)
class Captioned:
    """A picture ``(H, W, C)`` and what is written below it: a heading, and a smaller line."""

    pixels: Pixels
    heading: str
    line: str


def draw_captioned(pictures: Sequence[Captioned], title: str) -> Image.Image:
    """Draw pictures in rows of ``COLUMNS``, under a title.

    Args:
        pictures: any number.
        title: above them.
    """
    room = COLUMNS * _SIDE + (COLUMNS - 1) * GAP
    cells = [_cell(each) for each in pictures]
    rows = [cells[start : start + COLUMNS] for start in range(0, len(cells), COLUMNS)]
    heights = [max(cell.height for cell in row) for row in rows]
    heading = lettering(title, HEADING, INK, room)
    sheet = Image.new("RGB", (room, heading.height + GAP + sum(heights) + GAP * max(0, len(rows) - 1)), WHITE)
    sheet.paste(heading, (0, 0))
    top = heading.height + GAP
    for row, height in zip(rows, heights, strict=True):
        for column, cell in enumerate(row):
            sheet.paste(cell, (column * (_SIDE + GAP), top))
        top += height + GAP
    return ImageOps.expand(sheet, MARGIN, WHITE)


def _cell(picture: Captioned) -> Image.Image:
    image = to_image(picture.pixels).convert("RGB")
    scale = _SIDE / max(image.size)
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    small = scale > 2  # few pixels stay squares, which can be counted
    image = image.resize(size, Image.Resampling.NEAREST if small else Image.Resampling.BICUBIC)
    frame = Image.new("RGB", (_SIDE, _SIDE), FAINT)
    frame.paste(image, ((_SIDE - image.width) // 2, (_SIDE - image.height) // 2))
    words = [lettering(picture.heading, BODY, INK, _SIDE), lettering(picture.line, SMALL, SOFT, _SIDE)]
    cell = Image.new("RGB", (_SIDE, _SIDE + sum(part.height for part in words) + 8), WHITE)
    cell.paste(frame, (0, 0))
    top = _SIDE + 6
    for part in words:
        cell.paste(part, (0, top))
        top += part.height
    return cell
