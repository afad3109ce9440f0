"""Normalisation of each picture by itself, in front of a network: what light and contrast did to it is undone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from scs.errors import OptionError

if TYPE_CHECKING:
    from torch import Tensor

Normalise = Literal["none", "stretch", "standardise"]
NORMALISE: tuple[Normalise, ...] = get_args(Normalise)
_WHOLE_PICTURE = (1, 2, 3)


def normalised(x: Tensor, way: Normalise) -> Tensor:
    """Normalise pictures, each by its own pixels, all channels together, so that colours stay.

    Args:
        x: pictures ``(N, C, H, W)`` from 0 to 255, floating point.
        way: ``"none"`` leaves them; ``"stretch"`` maps darkest to brightest to 0 to 255; ``"standardise"`` gives them
            the mean 0 and the standard deviation 1 (instance normalisation of the input). Of a blank picture, or one
            that varies by less than a grey level, noise is not blown up: it is divided by 1.

    Returns:
        ``(N, C, H, W)``.

    Raises:
        OptionError: another way.
    """
    if way not in NORMALISE:
        raise OptionError(f"pictures are normalised by one of {', '.join(NORMALISE)}; '{way}' came")
    if way == "none":
        return x
    if way == "stretch":
        low, high = x.amin(_WHOLE_PICTURE, keepdim=True), x.amax(_WHOLE_PICTURE, keepdim=True)
        return (x - low) * (255 / (high - low).clamp_min(1))
    centred = x - x.mean(_WHOLE_PICTURE, keepdim=True)
    variance = centred.square().mean(_WHOLE_PICTURE, keepdim=True)
    return centred / variance.clamp_min(1).sqrt()
