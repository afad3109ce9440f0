"""A box in a picture, as an option of a request has it: ``x,y,width,height``."""

from __future__ import annotations

from typing import NamedTuple

BOX_PATTERN = r"^-?[0-9]{1,6}(,-?[0-9]{1,6}){3}$"


class PixelBox(NamedTuple):
    """A rectangle in whole pixels of a picture as it was sent; it need not lie inside."""

    x: int
    y: int
    width: int
    height: int


def parse_box(text: str) -> PixelBox:
    """Read a text that ``BOX_PATTERN`` lets pass."""
    return PixelBox(*(int(number) for number in text.split(",")))
