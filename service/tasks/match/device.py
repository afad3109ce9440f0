"""The device of matches: CUDA, by torch, where the settings ask for it and torch can use it; else the CPU."""

from __future__ import annotations

from functools import cache
from typing import Literal

from models.runtime.load import Device
from scs.errors import DeviceError, MissingPackageError
from service.api.match import MatchOptions

Wish = Literal["auto", "cpu", "cuda"]


def cuda_match_obstacle(wish: Wish) -> str | None:
    """Return why matches cannot run on CUDA, or None; this imports torch, for seconds, if CUDA was asked for."""
    if wish == "cuda":
        return _torch_obstacle("cuda")
    return "SCS_DEVICE is cpu" if wish == "cpu" else "they need torch, which is loaded only where SCS_DEVICE is cuda"


def device_for(options: MatchOptions, wish: Wish) -> Device:
    """Return the device of a match; a search over angles and scales, or by ``parts``, runs on the CPU only."""
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
