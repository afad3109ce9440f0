"""Coordinates: from pixels of a picture as it was sent to those that a network sees, and back."""

from __future__ import annotations

from scs.errors import OptionError
from service.api.box import PixelBox
from service.pictures.picture import Picture, Pixels, Region
from service.pictures.resize import resize_image

_MOST_OVERLAID = 2**24  # pixels of all the pictures that heatmaps are laid over, where these are not those analysed


def to_sent(box: Region, picture: Picture) -> Region:
    """Convert a box from pixels of the analysed picture to pixels of the picture as it was sent."""
    height, width = picture.pixels.shape[:2]
    region = picture.region
    scaled = box.scaled(region.width / width, region.height / height)
    return scaled._replace(x=scaled.x + region.x, y=scaled.y + region.y)


def to_analysed(box: PixelBox, picture: Picture) -> Region:
    """Convert a box from pixels of the picture as it was sent to pixels that the network sees.

    A crop may end within a pixel; a box is cut there.

    Raises:
        OptionError: the box does not lie inside the picture, or not inside what the network sees of it.
    """
    from scs.matching.arrays import check_box  # here, as all of scs.matching is: a service starts without it

    check_box(box, "picture", picture.width, picture.height)
    region = picture.region
    left, top = max(box.x, region.x), max(box.y, region.y)
    right, bottom = min(box.x + box.width, region.x + region.width), min(box.y + box.height, region.y + region.height)
    if min(right - left - box.width, bottom - top - box.height) <= -1:
        came = ",".join(str(number) for number in box)
        raise OptionError(f"a box lies inside what the network sees, {_shown(picture)}; {came} came")
    height, width = picture.pixels.shape[:2]
    inside = Region(left - region.x, top - region.y, right - left, bottom - top)
    return inside.scaled(width / region.width, height / region.height)


def check_template_size(template: Picture, picture: Picture) -> None:
    """Check that a template fits inside what the network sees of a picture, both as they were sent.

    Raises:
        OptionError: it does not; the message gives both sizes.
    """
    width, height = min(picture.width, picture.region.width), min(picture.height, picture.region.height)
    if template.width <= width and template.height <= height:
        return
    if picture.part is None:
        inside = f"the picture is {picture.width}x{picture.height}; a template must fit inside its picture"
    else:
        inside = f"the network sees {_shown(picture)}; a template must fit inside that"
    raise OptionError(f"template is {template.width}x{template.height} but {inside}")


def content(picture: Picture) -> Region:
    """Return the part of the analysed pixels that shows the picture, and no padding."""
    height, width = picture.pixels.shape[:2]
    region = picture.region
    left, top = max(0.0, region.x), max(0.0, region.y)
    right, bottom = min(picture.width, region.x + region.width), min(picture.height, region.y + region.height)
    shown = Region(left - region.x, top - region.y, right - left, bottom - top)
    return shown.scaled(width / region.width, height / region.height)


def backdrop(picture: Picture, heatmaps: int) -> tuple[Pixels, Region | None]:
    """Return what heatmaps are laid over, and the region of it that they cover; None for all.

    That is the analysed picture, or all of the picture as it was sent where only a part of it was analysed: at its
    size, or smaller where as many heatmaps would have too many pixels together.
    """
    if picture.whole is None:
        return picture.pixels, None
    most = _MOST_OVERLAID / max(1, heatmaps)
    scale = min(1.0, (most / (picture.width * picture.height)) ** 0.5)
    width, height = max(1, int(picture.width * scale)), max(1, int(picture.height * scale))
    region = picture.region.scaled(width / picture.width, height / picture.height)
    return resize_image(picture.whole, (width, height)), region


def _shown(picture: Picture) -> str:
    """The part of the picture that a network sees, in whole pixels."""
    left, top = max(0, round(picture.region.x)), max(0, round(picture.region.y))
    right = min(picture.width, round(picture.region.x + picture.region.width))
    bottom = min(picture.height, round(picture.region.y + picture.region.height))
    return f"{left},{top},{right - left},{bottom - top} of the picture's {picture.width}x{picture.height}"
