"""The matching methods: OpenCV's six, under the names of its users, and two of this project."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from scs.errors import OptionError

MethodName = Literal[
    "sqdiff", "sqdiff_normed", "ccorr", "ccorr_normed", "ccoeff", "ccoeff_normed", "scs", "scs_centred"
]


@dataclass(frozen=True)
class Method:
    """A matching method: the formula of a score.

    Attributes:
        name: as in ``METHODS``.
        kind: ``"difference"`` of squares, ``"product"``, or ``"similarity"``, the sharpened product.
        centred: each patch, and the template, is compared after its own mean (per channel) is removed.
        normalised: divided by the norms of patch and template. A patch without a norm has no angle to the template:
            it scores as the worst, or as 0.
    """

    name: MethodName
    kind: Literal["difference", "product", "similarity"]
    centred: bool
    normalised: bool

    @property
    def lower_is_better(self) -> bool:
        """Whether the best match is the minimum of the scores."""
        return self.kind == "difference"


_ALL = [
    Method("sqdiff", "difference", centred=False, normalised=False),
    Method("sqdiff_normed", "difference", centred=False, normalised=True),
    Method("ccorr", "product", centred=False, normalised=False),
    Method("ccorr_normed", "product", centred=False, normalised=True),
    Method("ccoeff", "product", centred=True, normalised=False),
    Method("ccoeff_normed", "product", centred=True, normalised=True),
    Method("scs", "similarity", centred=False, normalised=True),
    Method("scs_centred", "similarity", centred=True, normalised=True),
]
METHODS: dict[str, Method] = {method.name: method for method in _ALL}


def method_named(name: str) -> Method:
    """Look up a method by its name.

    Raises:
        OptionError: there is none.
    """
    if name not in METHODS:
        raise OptionError(f"no method '{name[:60]}'; there are: {', '.join(METHODS)}")
    return METHODS[name]
