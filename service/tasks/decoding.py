"""Decoding of a request's files to the pictures that a network takes, within limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from models.cards.card import GeometryCard, InputCard
from scs.errors import FixedSizeError, ImageError, OptionError, ScsError, TooLargeError
from service.api.files import NamedBytes
from service.pictures.decode import decode_image
from service.pictures.geometry import fit
from service.pictures.npy import decode_npy
from service.pictures.picture import Picture, Size
from service.settings import Settings

NamedPictures = list[tuple[str, Picture]]

_SMALLER = "ask for it smaller with resize=1024, say"


@dataclass(frozen=True)
class Unread:
    """A file that could not be read: its name, its number from 1, and why."""

    name: str
    number: int
    detail: str


def decode(
    files: Sequence[NamedBytes], wanted: InputCard, resize: str, settings: Settings, *, keeps_whole: bool = False
) -> NamedPictures:
    """Decode files to pictures of a network's channels, at the size that ``resize`` asks for.

    An array file may hold several pictures; they are numbered. With ``keeps_whole`` a picture that is cropped or padded
    is kept as it came, too.

    Raises:
        ImageError, UnsupportedImageError, TooLargeError: a picture that cannot or may not be read.
        OptionError: a picture too small for the network.
    """
    pictures: NamedPictures = []
    for number, file in enumerate(files, start=1):
        try:
            pictures += _decode_one(file, wanted, resize, settings, keeps_whole)
        except ScsError as error:
            which = "" if len(files) == 1 else f"'{file.name}', number {number} of {len(files)}: "
            raise type(error)(f"{which}{error}") from error
    return pictures


def decode_readable(
    files: Sequence[NamedBytes], wanted: InputCard, resize: str, settings: Settings
) -> tuple[NamedPictures, list[Unread]]:
    """Decode files as ``decode`` does, and leave out those that cannot be read.

    Returns:
        The pictures, and what could not be read.
    """
    pictures: NamedPictures = []
    unread: list[Unread] = []
    for number, file in enumerate(files, start=1):
        try:
            pictures += _decode_one(file, wanted, resize, settings, keeps_whole=False)
        except (ImageError, TooLargeError, OptionError) as error:
            unread.append(Unread(file.name, number, str(error)))
    return pictures, unread


def _decode_one(
    file: NamedBytes, wanted: InputCard, resize: str, settings: Settings, keeps_whole: bool
) -> NamedPictures:
    scale_to = target_size(resize, wanted)
    # A picture that is not resized is analysed as it is, so its header already says whether it is too large for that.
    most = settings.max_pixels if scale_to else min(settings.max_pixels, settings.max_analysed_pixels)
    try:
        if wanted.geometry is None or scale_to is None:
            decoded = _decode_file(file, wanted.channels, most, scale_to, settings.draft_jpeg)
        else:
            decoded = _decode_fitted(file, wanted, wanted.geometry, most, scale_to, keeps_whole)
    except TooLargeError as error:
        raise TooLargeError(f"{error}; {_SMALLER}" if scale_to is None else str(error)) from error
    for name, picture in decoded:
        check_analysed_size(name, picture, wanted, settings)  # before the next file takes more memory
    return decoded


def target_size(resize: str, wanted: InputCard) -> Size | int | None:
    """Return the size that ``resize`` (``card``, ``none`` or a number) means for a network."""
    if resize == "card":
        return (wanted.width, wanted.height) if wanted.resize or wanted.fixed else None
    return None if resize == "none" else int(resize)


def check_analysed_size(name: str, picture: Picture, wanted: InputCard, settings: Settings) -> None:
    """Refuse a picture that is too small for the network, too large to run it on, or not of the one size it takes.

    Raises:
        FixedSizeError: the network takes one size only, and this is another.
        OptionError: it is too small, or of a size that the network does not take; the message gives both sizes.
        TooLargeError: it is too large; the message says what can be done.
    """
    height, width = picture.pixels.shape[:2]
    least_width, least_height = (1, 1) if wanted.fixed else wanted.smallest_size
    if wanted.fixed and (width, height) != (wanted.width, wanted.height):
        raise FixedSizeError(
            f"the network takes pictures of {wanted.width}x{wanted.height} only; picture '{name}' is {width}x{height}; "
            "resize=card makes it so"
        )
    if width < least_width or height < least_height:
        needed = f"{least_width} pixels on a side" if least_width == least_height else f"{least_width}x{least_height}"
        raise OptionError(f"the network needs {needed}; picture '{name}' is {width}x{height}")
    if width % wanted.multiple_of or height % wanted.multiple_of:
        raise OptionError(
            f"the network takes multiples of {wanted.multiple_of} pixels; picture '{name}' is {width}x{height}"
        )
    if height * width > settings.max_analysed_pixels:
        raise TooLargeError(
            f"at most {settings.max_analysed_pixels} pixels are analysed; picture '{name}' is {width}x{height}; "
            f"{_SMALLER}"
        )


def _decode_file(
    file: NamedBytes, channels: int, max_pixels: int, scale_to: Size | int | None, draft: bool
) -> NamedPictures:
    if not file.is_npy:
        picture = decode_image(file.content, channels=channels, max_pixels=max_pixels, scale_to=scale_to, draft=draft)
        return [(file.name, picture)]
    batch = decode_npy(file.content, channels=channels, max_pixels=max_pixels, scale_to=scale_to)
    return [(f"{file.name}[{i}]" if len(batch) > 1 else file.name, picture) for i, picture in enumerate(batch)]


def _decode_fitted(
    file: NamedBytes, wanted: InputCard, geometry: GeometryCard, max_pixels: int, target: Size | int, keeps_whole: bool
) -> NamedPictures:
    """Decode pictures at their own size, as a JPEG's smaller decoding has other pixels, and fit them to the network."""
    pictures = _decode_file(file, wanted.channels, max_pixels, None, draft=False)
    share = max_pixels // len(pictures)
    return [(name, fit(each, target, geometry, share, keeps_whole=keeps_whole)) for name, each in pictures]
