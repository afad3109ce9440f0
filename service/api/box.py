"""The request option ``box``: ``x,y,width,height`` in pixels of a picture."""

from __future__ import annotations

from typing import NamedTuple

BOX_PATTERN = r"^-?[0-9]{1,6}(,-?[0-9]{1,6}){3}$"


class PixelBox(NamedTuple):
    """A rectangle in whole pixels of a picture as it was sent; it may reach beyond the picture."""

    x: int
    y: int
    width: int
    height: int


def parse_box(text: str) -> PixelBox:
    """Parse a box from a text that matches ``BOX_PATTERN``."""
    return PixelBox(*(int(number) for number in text.split(",")))
