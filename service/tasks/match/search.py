"""The options of a match, as the search that they ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.runtime.load import Device
from service.api.box import parse_box
from service.api.match import MatchOptions

if TYPE_CHECKING:
    from scs.matching.finding import Search


def search_for(options: MatchOptions, device: Device = "cpu") -> Search:
    """Return the search that options ask for.

    Args:
        options: how to look.
        device: where scores are computed.

    Raises:
        OptionError: an option that names nothing or asks for something impossible.
    """
    from scs.matching.finding import Search

    return Search(
        method=options.method,
        p=options.p,
        q=options.q,
        angles=options.angles,
        scales=options.scales,
        top=options.top,
        threshold=options.threshold,
        overlap=options.overlap,
        device=None if device == "cpu" else device,
        polarity=options.polarity,
        border=options.border,
        region=None if options.region is None else parse_box(options.region),
    )
