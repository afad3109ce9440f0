"""The plan of a coarse-to-fine search: angles and scales for the coarsest scan, and sizes to align at after it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from scs.matching.posing.poses import Steps, fitting_angles, fitting_scales
from scs.matching.posing.resolutions import TemplatePlane
from scs.matching.posing.turned_bank import is_round

# Products that the coarsest scan may take for each pixel of the scene; its resolution is chosen by that. Gathering a
# window's pixels costs as much as comparing it with so many angles.
_WORK = 18_000
_GATHERING = 20

# Side, in pixels, of the square of a template's area in the coarsest scan, unless the scene itself shows less.
_COARSEST = 12.0
_STEPS_UP = 1.25  # between the sizes that are tried for it


@dataclass(frozen=True)
class Ranges:
    """The ranges of angles and scales that a template may have.

    Attributes:
        angles: degrees.
        scales: size in the scene by size of the template.
    """

    angles: Steps
    scales: Steps

    @property
    def turning(self) -> bool:
        """Whether the angles are the full circle, without ends."""
        return self.angles.values is None and self.angles.high - self.angles.low >= 360

    @property
    def hold_upright(self) -> bool:
        """Whether angle 0 and scale 1, the template as it is, lie within the ranges."""
        return self.angles.low <= 0 <= self.angles.high and self.scales.low <= 1 <= self.scales.high

    def fitting_angles(self, radius: float) -> tuple[float, ...]:
        """Choose angles to try such that a rim of this radius moves by at most a pixel from one to the next."""
        angles = self.angles
        return _covering(angles, fitting_angles(Steps(angles.low, angles.high), radius))

    def fitting_scales(self, radius: float) -> tuple[float, ...]:
        """Choose scales to try such that a rim of this radius moves by at most a pixel from one to the next."""
        scales = self.scales
        return _covering(scales, fitting_scales(Steps(scales.low, scales.high), radius))


@dataclass(frozen=True)
class ScanPlan:
    """The plan of the coarsest scan: a template, its size there, and the angles and scales to try.

    Attributes:
        template: at its full resolution.
        size: side of the square of its area, in pixels of the scene that is scanned; less where a scale shows less.
        ranges: of angles and scales.
    """

    template: TemplatePlane
    size: float
    ranges: Ranges

    def levels(self) -> Iterator[tuple[float, float]]:
        """Yield each scale to try, and the size of the template to try it at."""
        for scale in self.ranges.fitting_scales(_rim(self.template, self.size)):
            yield scale, min(self.size, size_in_scene(self.template, scale))

    def angles(self, size: float) -> tuple[float, ...]:
        """Choose the angles to try, in degrees, for a template of this size."""
        return self.ranges.fitting_angles(_rim(self.template, size))


def plan_scan(template: TemplatePlane, ranges: Ranges, largest: float = math.inf) -> ScanPlan:
    """Plan a scan at the largest size of the template that the allowed work is enough for, and no larger than this."""
    size = _COARSEST
    while size * _STEPS_UP < template.size and _work(template, size * _STEPS_UP, ranges) <= _WORK:
        size *= _STEPS_UP
    return ScanPlan(template, min(size, template.size, largest), ranges)


def climbing_sizes(smallest: float, coarsest: float, largest: float) -> list[float]:
    """List the sizes to align at, doubling where every scale is shown in full, else in steps of root two."""
    sizes = [smallest]
    while sizes[-1] < 0.999 * largest:
        factor = 2 if sizes[-1] * 2 <= coarsest * 2.001 else math.sqrt(2)
        sizes.append(min(sizes[-1] * factor, largest))
    return sizes


def size_in_scene(template: TemplatePlane, scale: float) -> float:
    """Return the size at which a scene shows a template of this scale, at most the template's own."""
    return template.size * min(scale, 1.0)


def _work(template: TemplatePlane, size: float, ranges: Ranges) -> float:
    """Products for each pixel of the scene when the template is scanned for at this size."""
    rim = _rim(template, size)
    height, width = (side * size / template.size for side in template.pixels.shape)
    disc = is_round(template)
    points = math.pi / 4 * (min(height, width) ** 2 if disc else height**2 + width**2)
    angles = len(ranges.fitting_angles(rim))
    windows = sum(min(1.0, size / (template.size * scale)) ** 2 for scale in ranges.fitting_scales(rim))
    return float(windows * points * ((1 if disc else 3) * angles + _GATHERING))


def _rim(template: TemplatePlane, size: float) -> float:
    """Radius that decides the steps of a scan: of the disc, or of the disc whose pixels lie as far out on the mean."""
    height, width = (side * size / template.size for side in template.pixels.shape)
    return min(height, width) / 2 if is_round(template) else math.sqrt((height**2 + width**2) / 6)


def _covering(steps: Steps, fitting: tuple[float, ...]) -> tuple[float, ...]:
    """Thin out the listed values to gaps no wider than those of the fitting ones, which are used without a list."""
    if steps.values is None or len(fitting) < 2:
        return steps.values or fitting
    kept = [steps.values[0]]
    widest = np.interp(steps.values, fitting[:-1], np.diff(fitting))
    for value, following, gap in zip(steps.values[1:], (*steps.values[2:], math.inf), widest[1:], strict=True):
        if following - kept[-1] > gap:
            kept.append(value)
    return tuple(kept)
