"""The estimated work of a match, checked before any of it is done."""

from __future__ import annotations

import math

from scs.errors import OptionError, TooLargeError
from service.api.match import MatchOptions
from service.settings import Settings
from service.tasks.match.pictures import MatchPictures

# What a pixel of the scene costs, in those of one upright template by a cosine; measured on photographs of 640x480 and
# 1920x1080, rounded up.
_JUDGED = 2  # these scores have no probability of chance: Pearson's r is computed for that
_MASKED = 3
_POSED = 24
_PARTS = 12
_PARTS_IN_REFERENCE = 40

_LARGEST_ANGLE = 360.0
_SMALLEST_SCALE, _LARGEST_SCALE = 0.05, 20.0


def check_work(pictures: MatchPictures, options: MatchOptions, settings: Settings) -> None:
    """Refuse a match that takes too much work, or whose angles or scales are out of range.

    Raises:
        TooLargeError: the message says what would have been allowed.
        OptionError: angles or scales out of range.
    """
    _check_poses(options)
    scene = pictures.scene
    channels = scene.shape[2] if scene.ndim == 3 else 1
    pixels = math.prod(scene.shape[:2]) * channels
    work = sum(pixels * _cost(options, mask is not None, pictures) for mask in pictures.masks)
    if work > settings.max_match_work:
        raise TooLargeError(
            f"this match is estimated at {work} units of work, a unit being one template by ccoeff_normed at one "
            f"number of the scene; at most {settings.max_match_work} are allowed: take a scene of at most "
            f"{int(math.prod(scene.shape[:2]) * settings.max_match_work / work)} pixels, fewer templates, or leave "
            "out angles and scales"
        )


def _cost(options: MatchOptions, masked: bool, pictures: MatchPictures) -> int:
    if options.method == "parts":
        return _PARTS if pictures.reference is None else _PARTS_IN_REFERENCE
    if options.angles is not None or options.scales is not None:
        return _POSED
    judged = options.method in ("sqdiff", "sqdiff_normed", "ccorr", "ccoeff")
    return (_MASKED if masked else 1) * (_JUDGED if judged else 1)


def _check_poses(options: MatchOptions) -> None:
    # Imported here, as it brings OpenCV.
    from scs.matching.posing.poses import angle_steps, scale_steps

    angles, scales = angle_steps(options.angles), scale_steps(options.scales)
    if max(-angles.low, angles.high) > _LARGEST_ANGLE:
        raise OptionError(f"angles lie between -360 and 360 degrees; '{options.angles}' came")
    if not _SMALLEST_SCALE <= scales.low <= scales.high <= _LARGEST_SCALE:
        raise OptionError(f"scales lie between {_SMALLEST_SCALE:g} and {_LARGEST_SCALE:g}; '{options.scales}' came")
