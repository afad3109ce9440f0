"""Poses of a template, an angle and a scale, and the template warped to one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from scs.errors import OptionError
from scs.matching.arrays import Array

Plane = NDArray[np.float32]

ALL_ANGLES = (-180.0, 180.0)
USUAL_SCALES = (0.5, 2.0)

_MOST_VALUES = 10_000  # that a start, a stop and a step may stand for

# Taken off a length before it is rounded up, lest rounding errors add a pixel in which the template has no part.
_HAIR = 1e-6

# Poses whose scores have little to do with each other: turned or scaled by more than a part of the template's size.
_UNRELATED = 0.25

# Below this share of a pixel there is nothing of the template to give it a value.
_TRACE = 1e-3


@dataclass(frozen=True)
class Steps:
    """The values that an angle or a scale may take: those listed, or everything from ``low`` to ``high``.

    Attributes:
        low: smallest value.
        high: largest value.
        values: those to be tried, in ascending order; None stands for steps chosen to fit the template.
    """

    low: float
    high: float
    values: tuple[float, ...] | None = None

    @classmethod
    def of(cls, values: Sequence[float]) -> Steps:
        """Make steps of a list of values."""
        ascending = tuple(sorted({float(value) for value in values}))
        if not ascending or not all(map(math.isfinite, ascending)):
            raise OptionError(f"steps need at least one value, all finite; {list(values)} came")
        return cls(ascending[0], ascending[-1], ascending)

    @classmethod
    def parse(cls, text: str, auto: tuple[float, float]) -> Steps:
        """Parse steps from the text of a command line or a URL.

        Args:
            text: ``"30"``, ``"0,90,180"``, ``"start:stop:step"``, ``"start:stop:auto"``, the same for short as
                ``"start:stop"``, or ``"auto"``.
            auto: what ``"auto"`` alone goes from and to.

        Raises:
            OptionError: text of another form, or with a stop before its start or a step that is not above zero.

        Example:
            >>> Steps.parse("0.5:2:0.5", USUAL_SCALES).values
            (0.5, 1.0, 1.5, 2.0)
            >>> Steps.parse("-180:180", ALL_ANGLES)
            Steps(low=-180.0, high=180.0, values=None)
        """
        if text.strip() == "auto":
            return cls(*auto)
        parts = [part.strip() for part in text.split(":")]
        try:
            if len(parts) == 1:
                return cls.of([float(value) for value in text.split(",")])
            low, high = float(parts[0]), float(parts[1])
            step = None if len(parts) == 2 or parts[2] == "auto" else float(parts[2])
        except ValueError:
            raise _unreadable(text) from None
        if (
            len(parts) > 3
            or not math.isfinite(low)
            or not low <= high < math.inf
            or (step is not None and not step > 0)
        ):
            raise _unreadable(text)
        if step is None:
            return cls(low, high)
        if not (high - low) / step < _MOST_VALUES:
            raise OptionError(f"steps may list up to {_MOST_VALUES} values; '{text}' lists more")
        count = math.floor((high - low) / step + 1e-9) + 1
        return cls.of([low + step * index for index in range(count)])

    @property
    def single(self) -> bool:
        """Whether there is only one value."""
        return self.low == self.high


AxisOption = Steps | Sequence[float] | float | str | None


def angle_steps(option: AxisOption) -> Steps:
    """Read angles in degrees from any form of the option; None is 0 alone.

    Raises:
        OptionError: a form that cannot be read.
    """
    return _steps(option, 0.0, ALL_ANGLES)


def scale_steps(option: AxisOption) -> Steps:
    """Read scales from any form of the option; None is 1 alone.

    Raises:
        OptionError: a form that cannot be read, or a scale that is not above zero.
    """
    steps = _steps(option, 1.0, USUAL_SCALES)
    if steps.low <= 0:
        raise OptionError(f"a scale is above zero; {steps.low:g} came")
    return steps


def fitting_angles(steps: Steps, radius: float) -> tuple[float, ...]:
    """Choose angles to try: those listed, or such that a rim of this radius moves by at most a pixel between two.

    A full turn does not come back to where it began: -180 is tried, 180 is not.
    """
    if steps.values is not None:
        return steps.values
    span = steps.high - steps.low
    count = math.ceil(min(span, 360) / math.degrees(1 / radius))
    if span >= 360:
        return tuple(steps.low + 360 * index / count for index in range(count))
    return tuple(float(angle) for angle in np.linspace(steps.low, steps.high, count + 1))


def fitting_scales(steps: Steps, radius: float) -> tuple[float, ...]:
    """Choose scales to try: those listed, or growing by a factor that moves a rim of this radius by at most a pixel."""
    if steps.values is not None:
        return steps.values
    count = math.ceil(math.log(steps.high / steps.low) / math.log1p(1 / radius))
    return tuple(float(scale) for scale in np.geomspace(steps.low, steps.high, count + 1))


def unrelated_poses(angles: Steps, scales: Steps) -> int:
    """Count the poses with nearly independent scores in a range of angles and scales."""
    turns = 1 + math.radians(min(angles.high - angles.low, 360.0)) / 2 / _UNRELATED
    growths = 1 + math.log(scales.high / scales.low) / _UNRELATED
    return math.ceil(turns * growths)


@dataclass(frozen=True)
class Box:
    """A box of whole pixels: its first row and column, and how many there are of each."""

    row: int
    column: int
    rows: int
    columns: int


@dataclass(frozen=True)
class PosedTemplate:
    """A template warped to a pose, on the pixels of a scene.

    Attributes:
        pixels: ``(box.rows, box.columns, C)`` float32.
        weights: the same, or with C = 1, float32 >= 0: the share of each pixel that the template covers, times its
            mask.
        box: where these pixels lie in the scene.
    """

    pixels: Plane
    weights: Plane
    box: Box


def turn_and_scale(angle: float, scale: float) -> NDArray[np.float64]:
    """Return the ``(2, 2)`` matrix that maps ``(x, y)`` of a template to a scene.

    The y axis points down, angles are counter-clockwise.
    """
    cosine, sine = scale * math.cos(math.radians(angle)), scale * math.sin(math.radians(angle))
    return np.array([[cosine, sine], [-sine, cosine]])


def pose_template(
    template: Array,
    angle: float,
    scale: float,
    *,
    mask: Array | None = None,
    centre: tuple[float, float] | None = None,
    box: Box | None = None,
) -> PosedTemplate:
    """Turn and scale a template about its centre, with the mask that goes with it.

    A pixel of the result is the mean over its square, so that a template that is scaled down does not alias.

    Args:
        template: ``(h, w)`` or ``(h, w, C)``.
        angle: degrees, counter-clockwise as seen.
        scale: size in the result by size in the template, > 0.
        mask: ``(h, w)`` or ``(h, w, C)``, weights >= 0; it is turned and scaled too.
        centre: ``(x, y)``, where the template's centre comes to lie, pixel i covering [i, i + 1). None puts the
            template as far up and left as it goes.
        box: pixels wanted; None is the smallest box that holds the template.

    Returns:
        The template in this pose. Beyond its edge its pixels go on as they end, with a weight of zero.
    """
    height, width = template.shape[:2]
    warp = _warp_to_pose((height, width), angle, scale, centre, box)
    pixels = template.astype(np.float32).reshape(height, width, -1)
    covered = warp(np.ones((height, width, 1), np.float32), cv2.BORDER_CONSTANT)
    if mask is None:
        return PosedTemplate(warp(pixels, cv2.BORDER_REPLICATE), covered, warp.box)
    weights = mask.astype(np.float32).reshape(height, width, -1)
    # What the mask hides must not bleed into what it shows.
    seen = warp(weights, cv2.BORDER_REPLICATE)
    mixed = warp(pixels * weights, cv2.BORDER_REPLICATE)
    shown = np.broadcast_to(seen, mixed.shape) > _TRACE
    values = np.divide(mixed, seen, out=np.zeros_like(mixed), where=shown)
    return PosedTemplate(values, np.where(seen > _TRACE, seen, 0) * covered, warp.box)


@dataclass(frozen=True)
class _Warp:
    """An affine warp from a template to the pixels of a box, each the mean of finer ones (supersampling)."""

    matrix: NDArray[np.float64]  # (2, 3), from pixels of the template to the finer ones
    box: Box
    fineness: int  # finer pixels along the side of one

    def __call__(self, picture: Plane, border: int) -> Plane:
        """Warp ``(h, w, C)`` to ``(rows, columns, C)``; the border is OpenCV's, for what lies beyond the picture."""
        size = (self.fineness * self.box.columns, self.fineness * self.box.rows)
        # OpenCV warps four channels at a time.
        quarters = [picture[..., first : first + 4] for first in range(0, picture.shape[-1], 4)]
        warped = [
            cv2.warpAffine(part, self.matrix, size, flags=cv2.INTER_LINEAR, borderMode=border) for part in quarters
        ]
        samples = np.concatenate([part.reshape(*size[::-1], -1) for part in warped], 2)
        if self.fineness > 1:
            samples = cv2.resize(samples, (self.box.columns, self.box.rows), interpolation=cv2.INTER_AREA)
        return np.asarray(samples, np.float32).reshape(self.box.rows, self.box.columns, -1)


def _warp_to_pose(
    size: tuple[int, int], angle: float, scale: float, centre: tuple[float, float] | None, box: Box | None
) -> _Warp:
    height, width = size
    forward = turn_and_scale(angle, scale)
    reach = np.abs(forward) @ (width / 2, height / 2)
    middle = np.ceil(2 * reach - _HAIR) / 2 if centre is None else np.array(centre)
    if box is None:
        first = np.floor(middle - reach + _HAIR).astype(int)
        columns, rows = np.maximum(np.ceil(middle + reach - _HAIR).astype(int) - first, 1).tolist()
        box = Box(int(first[1]), int(first[0]), rows, columns)
    fineness = max(1, math.ceil(1 / scale))
    finer = fineness * forward
    # OpenCV counts from the middle of the first pixel.
    offset = fineness * (middle - (box.column, box.row)) - finer @ (width / 2 - 0.5, height / 2 - 0.5) - 0.5
    return _Warp(np.column_stack([finer, offset]), box, fineness)


def _steps(option: AxisOption, single: float, auto: tuple[float, float]) -> Steps:
    if option is None:
        return Steps.of([single])
    if isinstance(option, Steps):
        return option
    if isinstance(option, str):
        return Steps.parse(option, auto)
    return Steps.of([option] if isinstance(option, int | float) else option)


def _unreadable(text: str) -> OptionError:
    return OptionError(
        f"steps are numbers with commas between them, 'start:stop:step', 'start:stop' or 'auto', with start <= stop "
        f"and step > 0; '{text}' came"
    )
