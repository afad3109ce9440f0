"""Conversion of colours to sRGB by a picture's ICC profile, and of CMYK and Lab without one."""

from __future__ import annotations

import io
from functools import lru_cache

from PIL import Image, ImageCms

_MOST_BYTES = 2**23  # of a profile; that of a printing press has one or two million
_SPACES = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK", "LAB": "Lab"}  # Pillow's modes to those of a profile
_SAME = 2  # of 255: a difference that is not worth a conversion
_STEPS = 5  # of each channel, of the colours that are compared


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Convert a picture to sRGB, grey or RGB, with its opacity kept.

    The intent is perceptual, as browsers and ImageMagick have it. A profile that is damaged, or of another kind of
    colours than the picture's, is ignored: a picture that can be seen is not refused for its metadata.

    Args:
        image: of mode L, LA, RGB, RGBA, CMYK or LAB.
        profile: its ICC profile, if it has one.

    Returns:
        Of mode L, LA, RGB or RGBA.
    """
    if image.mode in ("LA", "RGBA"):
        if not profile:
            return image
        opacity = image.getchannel("A")
        colours = to_srgb(image.convert(image.mode[:-1]), profile)
        colours.putalpha(opacity)
        return colours
    transform = _transform(profile, image.mode) if profile and len(profile) <= _MOST_BYTES else None
    if transform is not None:
        converted = ImageCms.applyTransform(image, transform)
        assert converted is not None  # it is only where the picture is changed in place
        return converted.getchannel("G") if image.mode == "L" else converted
    if image.mode == "LAB":
        lab = ImageCms.createProfile("LAB")
        return ImageCms.profileToProfile(image, lab, _SRGB, outputMode="RGB") or image
    return image.convert("RGB") if image.mode == "CMYK" else image


_SRGB = ImageCms.createProfile("sRGB")


@lru_cache(maxsize=16)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Return what converts a mode's colours to sRGB; None where they are sRGB already, or the profile is of no use."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if source.profile.xcolor_space.strip() != _SPACES[mode]:
            return None
        transform = ImageCms.buildTransform(source, _SRGB, mode, "RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError, KeyError):
        return None
    return None if mode == "RGB" and _changes_nothing(transform) else transform


def _changes_nothing(transform: ImageCms.ImageCmsTransform) -> bool:
    """Return whether a transform leaves colours as they are, to within the rounding of its tables."""
    levels = [255 * step // (_STEPS - 1) for step in range(_STEPS)]
    colours = bytes(level for red in levels for green in levels for blue in levels for level in (red, green, blue))
    sample = Image.frombytes("RGB", (_STEPS**3, 1), colours)
    converted = ImageCms.applyTransform(sample, transform)
    return converted is not None and all(abs(a - b) <= _SAME for a, b in zip(colours, converted.tobytes(), strict=True))
