"""Choose where matches run: on CUDA, by torch, where the service was told to use it and torch can; else on the CPU."""

from __future__ import annotations

from functools import cache
from typing import Literal

from models.runtime.load import Device
from scs.errors import DeviceError, MissingPackageError
from service.api.match import MatchOptions

Wish = Literal["auto", "cpu", "cuda"]


def cuda_match_obstacle(wish: Wish) -> str | None:
    """What keeps matches off CUDA here, or None. Imports torch, which takes seconds, where CUDA was asked for."""
    if wish == "cuda":
        return _torch_obstacle("cuda")
    return "SCS_DEVICE is cpu" if wish == "cpu" else "they need torch, which is loaded only where SCS_DEVICE is cuda"


def device_for(options: MatchOptions, wish: Wish) -> Device:
    """Where this match runs. The search over angles and scales, and the method ``parts``, have no way on CUDA."""
    upright = options.angles is None and options.scales is None and options.method != "parts"
    return "cuda" if upright and cuda_match_obstacle(wish) is None else "cpu"


@cache
def _torch_obstacle(device: str) -> str | None:
    # Brings the compiler of the matching along, which is why it is not at the top.
    from scs.matching.scores import check_device

    try:
        check_device(device)
    except (MissingPackageError, DeviceError) as error:
        return str(error)
    return None
