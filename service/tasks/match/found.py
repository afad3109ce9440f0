"""What a match found, whichever way it was looked for, and the checks of what came."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from models.runtime.load import Device
from scs.errors import OptionError, TooLargeError
from service.api.files import MatchUpload
from service.api.match import MatchOptions
from service.settings import Settings

# The compiler behind scs.matching takes a while to import: a service starts without it, and so do other commands.
if TYPE_CHECKING:
    from scs.matching.finding import Match
    from scs.matching.scores import ScoreMap


@dataclass(frozen=True)
class SeenTemplate:
    """A template that was looked for: its name, its size in pixels, and how it was looked for."""

    name: str
    width: int
    height: int
    masked: bool = False
    flat: float = 0.0
    outlined: bool = False


class BestMap(NamedTuple):
    """The score map of the best match's template, in its pose, with its number, angle and scale."""

    scored: ScoreMap
    template: int
    angle: float
    scale: float


class NetworkUsed(NamedTuple):
    """The network whose features were compared, and the layers."""

    model: str
    version: int
    layers: list[str]


@dataclass(frozen=True, eq=False)
class Matches:
    """The matches in a scene of some width and height, to be written as JSON, as arrays or as a picture.

    Attributes:
        best: returns the best map; where nothing was found that of the first template, upright.
        network: whose features were compared, if any.
    """

    width: int
    height: int
    templates: list[SeenTemplate]
    matches: list[Match]
    options: MatchOptions
    device: Device
    decode_ms: float
    match_ms: float
    best: Callable[[], BestMap]
    network: NetworkUsed | None = None


def in_network(options: MatchOptions) -> bool:
    """Return whether the features of a network are compared.

    Raises:
        OptionError: a model, a version or a layer is named, and the method has no use for one.
    """
    if options.method == "features":
        return True
    named = options.model is not None or options.version is not None or options.layer is not None
    if named and options.method != "parts":
        raise OptionError(f"a model, version or layer is for the methods features and parts; '{options.method}' came")
    return named


def check_upload(upload: MatchUpload, options: MatchOptions, settings: Settings) -> None:
    """Check what came against the options and limits.

    Raises:
        TooLargeError: too many templates.
        OptionError: a box without a reference or the other way round; a mask where none is taken.
    """
    if len(upload.templates) > settings.max_templates:
        raise TooLargeError(
            f"a match may have {settings.max_templates} templates (SCS_MAX_TEMPLATES); {len(upload.templates)} came"
        )
    if (options.box is None) != (upload.reference is None):
        raise OptionError("a box and the reference that it lies in come together; one came without the other")
    if options.method in ("parts", "features") and upload.masks:
        raise OptionError(f"'{options.method}' takes no mask")
