"""The options of a search for templates."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Integral

from scs.errors import OptionError
from scs.matching.arrays import check_options
from scs.matching.methods import METHODS, method_named
from scs.matching.nms import check_overlap
from scs.matching.posing.poses import AxisOption

PARTS, PIXELS, FEATURES = "parts", "pixels", "features"
METHOD_NAMES = (*METHODS, PIXELS, PARTS, FEATURES)
POLARITIES = ("same", "either")
BORDERS = ("whole", "partial")


@dataclass(frozen=True)
class Search:
    """The options of a search for templates.

    Attributes:
        method: one of ``METHOD_NAMES``; see ``score_map`` and ``parts_map``. ``pixels`` finds the very same pixels, but
            for noise, compression and one level of light: a match scores 1 less its largest difference. ``features``
            is for ``scs.matching.deformable.in_features``.
        p: exponent of the similarities, > 0.
        q: noise floor of the similarities, >= 0.
        angles: that templates may be turned by; see ``Steps``. None is upright.
        scales: likewise; None is as large as they are.
        top: most matches of each template.
        threshold: a match scores above it (below it, where lower is better). None keeps whatever has an angle to the
            template.
        overlap: largest intersection over union of two matches of one template.
        device: where torch computes scores; see ``score_map``. The search over angles and scales, and the method
            ``parts``, run on the CPU all the same.
        polarity: ``same``, or ``either``: inverted contrast is a match as well, whose score is below 0. Methods that
            leave the mean on, such as ``scs``, tell it by the signs of the numbers, as in a signal around 0.
        border: ``whole``, or ``partial``: what the scene's border cuts off is found by what is left of it.
        region: ``(x, y, width, height)`` of the scene in whole pixels to look in; None is all of it. In a signal y is 0
            and height 1.

    Raises:
        OptionError: an unknown method, or an option out of range.

    Example:
        >>> search = Search(method="scs", p=3.0, angles="-30:30", top=5)
        >>> search.posed
        True
    """

    method: str = "ccoeff_normed"
    p: float = 2.0
    q: float = 0.0
    angles: AxisOption = None
    scales: AxisOption = None
    top: int = 1
    threshold: float | None = None
    overlap: float = 0.3
    device: str | None = None
    polarity: str = "same"
    border: str = "whole"
    region: tuple[int, int, int, int] | None = None

    def __post_init__(self) -> None:
        if self.method not in METHOD_NAMES:
            raise OptionError(f"no method '{self.method[:60]}'; there are: {', '.join(METHOD_NAMES)}")
        check_options(self.p, self.q)
        if self.top < 1:
            raise OptionError(f"top is 1 or more; {self.top} came")
        if self.threshold is not None and math.isnan(self.threshold):
            raise OptionError("a threshold is a number; nan came")
        check_overlap(self.overlap)
        if self.posed and self.method in (PARTS, FEATURES):
            raise OptionError(
                f"'{self.method}' bends a template but does not turn or scale it; leave out angles and scales"
            )
        if self.posed and self.method == PIXELS:
            raise OptionError(f"'{PIXELS}' compares pixels as they are; leave out angles and scales")
        _check_region(self.region)
        _check_choice("polarity", self.polarity, POLARITIES)
        _check_choice("border", self.border, BORDERS)
        if self.polarity == "either" and not (self.method in METHODS and METHODS[self.method].kind != "difference"):
            able = ", ".join(name for name, method in METHODS.items() if method.kind != "difference")
            raise OptionError(
                f"polarity 'either' is for methods whose scores have a sign: {able}; '{self.method}' came"
            )
        if self.border == "partial" and (self.posed or self.method not in ("ccoeff_normed", "scs_centred")):
            raise OptionError("border 'partial' is for ccoeff_normed and scs_centred, without angles and scales")

    @property
    def posed(self) -> bool:
        """Whether templates may be turned or scaled."""
        return self.angles is not None or self.scales is not None

    @property
    def sign(self) -> int:
        """Sign that makes higher scores better: -1 for a method where lower ones are, else 1."""
        return -1 if self.method in METHODS and METHODS[self.method].lower_is_better else 1

    @property
    def exponent(self) -> float:
        """Exponent that the scores are sharpened by; 1 where they are not."""
        return self.p if self.method in METHODS and METHODS[self.method].kind == "similarity" else 1.0

    @property
    def map_method(self) -> str:
        """The method whose map is searched."""
        return "ccoeff_normed" if self.method == PIXELS else self.method

    def rank(self, score: float) -> float:
        """How good a score is; higher is better."""
        return abs(score) if self.polarity == "either" else self.sign * score

    def unsharpened(self, score: float) -> float:
        """The cosine that a score was sharpened from."""
        return math.copysign(abs(score) ** (1 / self.exponent), score)

    @property
    def centred(self) -> bool:
        """Whether the mean is taken off, so that a template of one colour has no angle."""
        return self.method in METHODS and method_named(self.method).centred


def _check_region(region: object) -> None:
    if region is None:
        return
    whole = isinstance(region, (tuple, list)) and len(region) == 4 and all(isinstance(n, Integral) for n in region)
    if not whole:
        raise OptionError(f"a region is (x, y, width, height) in whole pixels; {str(region)[:60]} came")


def _check_choice(what: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise OptionError(f"{what} is {' or '.join(choices)}; '{value[:60]}' came")
