"""The conversion of a decoded picture to 8 bits of grey or RGB, with transparency laid over white or ignored."""

from __future__ import annotations

from PIL import Image


def flatten(image: Image.Image, mode: str) -> Image.Image:
    """Convert a picture of mode L, LA, RGB or RGBA to ``mode``; transparency is laid over white."""
    if image.mode in ("LA", "RGBA"):
        colours, image = image, Image.new(image.mode[:-1], image.size, "white")
        image.paste(colours.convert(image.mode), mask=colours.getchannel("A"))
    return image if image.mode == mode else image.convert(mode)


def without_opacity(image: Image.Image, mode: str) -> Image.Image:
    """Convert a picture of mode L, LA, RGB or RGBA to ``mode``; transparency is ignored."""
    colours = image.convert(image.mode[:-1]) if image.mode in ("LA", "RGBA") else image
    return colours if colours.mode == mode else colours.convert(mode)
