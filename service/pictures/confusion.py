"""A confusion matrix as a picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageOps

from service.pictures.sheet import BODY, FAINT, GAP, HEADING, INK, MARGIN, SOFT, WHITE, lettering

_MOST_CLASSES = 30  # of more, those that are confused most
_CELL = (58, 34)  # pixels
_LONGEST_NAME, _GAP = 210, 10  # pixels of a class's name, and between it and the cells
_RIGHT, _WRONG = (0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00)


def draw_confusion(counts: NDArray[np.int64], labels: Sequence[str], title: str) -> Image.Image:
    """Draw how often pictures of each class were put into each class.

    Rows are the true classes, columns those that were predicted; a cell is the darker, the larger its share of the row,
    blue where the two are one class and orange where not. Classes that occur in neither are left out, and of more than
    30 those are shown that are confused most.

    Args:
        counts: ``(classes, classes)``, by true and by predicted class.
        labels: names of the classes.
        title: above it.
    """
    shown = _shown(counts)
    names = [lettering(_short(labels[number]), BODY, INK, _LONGEST_NAME) for number in shown]
    edge = max(name.width for name in names) + _GAP
    image = Image.new("RGB", (edge + len(shown) * _CELL[0], edge + len(shown) * _CELL[1]), WHITE)
    draw = ImageDraw.Draw(image)
    for place, (number, name) in enumerate(zip(shown, names, strict=True)):
        row, column = edge + place * _CELL[1], edge + place * _CELL[0]
        image.paste(name, (edge - _GAP - name.width, row + (_CELL[1] - name.height) // 2))
        turned = name.rotate(90, expand=True)
        image.paste(turned, (column + (_CELL[0] - turned.width) // 2, edge - _GAP - turned.height))
        for other, predicted in enumerate(shown):
            _cell(
                draw,
                (edge + other * _CELL[0], row),
                int(counts[number, predicted]),
                int(counts[number].sum()),
                number == predicted,
            )
    heading = lettering(title, HEADING, INK, max(image.width, 400))
    hidden = counts.shape[0] - len(shown)
    words = "rows: true class; columns: predicted class" + (f"; {hidden} other classes left out" if hidden else "")
    caption = lettering(words, BODY, SOFT, max(image.width, 400))
    width = max(part.width for part in (heading, caption, image))
    sheet = Image.new("RGB", (width, heading.height + caption.height + image.height + GAP), WHITE)
    top = 0
    for part in (heading, caption, image):
        sheet.paste(part, (0, top))
        top += part.height + GAP // 2
    return ImageOps.expand(sheet, MARGIN, WHITE)


def _shown(counts: NDArray[np.int64]) -> list[int]:
    """Choose the classes that occur; of too many those that are confused most, in their order."""
    both = counts.sum(0) + counts.sum(1)
    wrong = both - 2 * counts.diagonal()
    order = sorted(np.flatnonzero(both).tolist(), key=lambda number: (-int(wrong[number]), -int(both[number])))
    return sorted(order[:_MOST_CLASSES])


def _cell(draw: ImageDraw.ImageDraw, corner: tuple[int, int], count: int, of: int, right: bool) -> None:
    share = count / of if of else 0.0
    colour = tuple(round(255 + (end - 255) * share) for end in (_RIGHT if right else _WRONG))
    left, top = corner
    draw.rectangle([left, top, left + _CELL[0] - 1, top + _CELL[1] - 1], fill=colour, outline=FAINT)
    if count:
        middle = (left + _CELL[0] / 2, top + _CELL[1] / 2)
        draw.text(middle, str(count), fill=WHITE if share > 0.5 else INK, anchor="mm", font_size=BODY)


def _short(label: str) -> str:
    return label if len(label) <= 24 else label[:23] + "."
