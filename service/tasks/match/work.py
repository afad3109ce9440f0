"""The estimated work of a match, checked before any of it is done."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager

from scs.errors import OptionError, TooLargeError
from service.api.match import MatchOptions
from service.settings import Settings
from service.tasks.match.cost import estimated_work
from service.tasks.match.shapes import MatchShapes

_LARGEST_ANGLE = 360.0
_HALVINGS = 12  # of the range in which the largest scene is looked for
_SMALLEST_SCALE, _LARGEST_SCALE = 0.05, 20.0


@contextmanager
def naming_setting(settings: Settings) -> Iterator[None]:
    """Add to a refusal by size the name of the setting that refuses, unless it is named."""
    try:
        yield
    except TooLargeError as error:
        if "SCS_" in str(error):
            raise
        least = "SCS_MAX_PIXELS" if settings.max_pixels < settings.max_match_pixels else "SCS_MAX_MATCH_PIXELS"
        raise TooLargeError(
            f"{error}; the setting is {least}; scs map match searches a larger TIFF in tiles"
        ) from error


def check_work(shapes: MatchShapes, options: MatchOptions, settings: Settings) -> None:
    """Refuse a match that takes too much work, or whose angles or scales are out of range.

    Raises:
        TooLargeError: the message says what would have been allowed.
        OptionError: angles or scales out of range.
    """
    _check_poses(options)
    work = estimated_work(shapes, options)
    if work > settings.max_match_work:
        smaller = _largest_scene(shapes, options, settings.max_match_work)
        scene = f"a scene of at most {smaller} pixels, " if smaller else ""
        raise TooLargeError(
            f"this match is estimated at {work} units of work, a unit being one template by ccoeff_normed at one "
            f"number of the scene; at most {settings.max_match_work} are allowed (SCS_MAX_MATCH_WORK): take {scene}"
            "fewer or smaller templates, fewer channels, or fewer angles and scales"
        )


def _largest_scene(shapes: MatchShapes, options: MatchOptions, most: int) -> int:
    """Return the pixels of the largest scene of the same proportions that is allowed; 0 if none holds the templates."""
    rows, columns, channels = shapes.scene
    needed = [max((template[axis] for template in shapes.templates), default=1) for axis in (0, 1)]
    allowed, refused, pixels = 0.0, 1.0, 0
    for _ in range(_HALVINGS):
        share = (allowed + refused) / 2
        size = max(1, round(rows * share)), max(1, round(columns * share))
        smaller = dataclasses.replace(shapes, scene=(*size, channels))
        fits = size[0] >= needed[0] and size[1] >= needed[1]
        if not fits or estimated_work(smaller, options) <= most:
            allowed, pixels = share, size[0] * size[1] if fits else 0
        else:
            refused = share
    return pixels


def _check_poses(options: MatchOptions) -> None:
    # Imported here, as it brings OpenCV.
    from scs.matching.posing.poses import angle_steps, scale_steps

    angles, scales = angle_steps(options.angles), scale_steps(options.scales)
    if max(-angles.low, angles.high) > _LARGEST_ANGLE:
        raise OptionError(f"angles lie between -360 and 360 degrees; '{options.angles}' came")
    if not _SMALLEST_SCALE <= scales.low <= scales.high <= _LARGEST_SCALE:
        raise OptionError(f"scales lie between {_SMALLEST_SCALE:g} and {_LARGEST_SCALE:g}; '{options.scales}' came")
