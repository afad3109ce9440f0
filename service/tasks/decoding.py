"""Decoding of a request's files to the pictures that a network takes, within limits."""

from __future__ import annotations

from collections.abc import Sequence

from models.cards.card import InputCard
from scs.errors import OptionError, ScsError, TooLargeError
from service.api.files import NamedBytes
from service.pictures.decode import decode_image
from service.pictures.npy import decode_npy
from service.pictures.picture import Picture, Size
from service.settings import Settings

NamedPictures = list[tuple[str, Picture]]

_SMALLER = "ask for it smaller with resize=1024, say"


def decode(files: Sequence[NamedBytes], wanted: InputCard, resize: str, settings: Settings) -> NamedPictures:
    """Decode files to pictures of a network's channels, at the size that ``resize`` asks for.

    An array file may hold several pictures; they are numbered.

    Raises:
        ImageError, UnsupportedImageError, TooLargeError: a picture that cannot or may not be read.
        OptionError: a picture too small for the network.
    """
    pictures: NamedPictures = []
    scale_to = target_size(resize, wanted)
    # A picture that is not resized is analysed as it is, so its header already says whether it is too large for that.
    most = settings.max_pixels if scale_to else min(settings.max_pixels, settings.max_analysed_pixels)
    for number, file in enumerate(files, start=1):
        try:
            decoded = _decode_file(file, wanted.channels, most, scale_to)
        except ScsError as error:
            which = "" if len(files) == 1 else f"'{file.name}', number {number} of {len(files)}: "
            hint = f"; {_SMALLER}" if isinstance(error, TooLargeError) and scale_to is None else ""
            raise type(error)(f"{which}{error}{hint}") from error
        for name, picture in decoded:
            check_analysed_size(name, picture, wanted, settings)  # before the next file takes more memory
            pictures.append((name, picture))
    return pictures


def target_size(resize: str, wanted: InputCard) -> Size | int | None:
    """Return the size that ``resize`` (``card``, ``none`` or a number) means for a network."""
    if resize == "card":
        return (wanted.width, wanted.height) if wanted.resize else None
    return None if resize == "none" else int(resize)


def check_analysed_size(name: str, picture: Picture, wanted: InputCard, settings: Settings) -> None:
    """Refuse a picture that is too small for the network, or too large to run it on.

    Raises:
        OptionError: it is too small, or of a size that the network does not take; the message gives both sizes.
        TooLargeError: it is too large; the message says what can be done.
    """
    height, width = picture.pixels.shape[:2]
    least_width, least_height = wanted.smallest_size
    if width < least_width or height < least_height:
        needed = f"{least_width} pixels on a side" if least_width == least_height else f"{least_width}x{least_height}"
        raise OptionError(f"the network needs {needed}; '{name}' is {width}x{height}")
    if wanted.fixed and (width, height) != (wanted.width, wanted.height):
        raise OptionError(f"the network takes {wanted.width}x{wanted.height} alone; '{name}' is {width}x{height}")
    if width % wanted.multiple_of or height % wanted.multiple_of:
        raise OptionError(f"the network takes multiples of {wanted.multiple_of} pixels; '{name}' is {width}x{height}")
    if height * width > settings.max_analysed_pixels:
        raise TooLargeError(
            f"at most {settings.max_analysed_pixels} pixels are analysed; '{name}' is {width}x{height}; {_SMALLER}"
        )


def _decode_file(file: NamedBytes, channels: int, max_pixels: int, scale_to: Size | int | None) -> NamedPictures:
    if not file.is_npy:
        picture = decode_image(file.content, channels=channels, max_pixels=max_pixels, scale_to=scale_to)
        return [(file.name, picture)]
    batch = decode_npy(file.content, channels=channels, max_pixels=max_pixels, scale_to=scale_to)
    return [(f"{file.name}[{i}]" if len(batch) > 1 else file.name, picture) for i, picture in enumerate(batch)]
