"""The files of a request, as they were sent: nothing of them has been read."""

from __future__ import annotations

from dataclasses import dataclass, field

from scs.errors import OptionError


@dataclass(frozen=True)
class NamedBytes:
    """A file as it was sent; nothing of it has been read."""

    name: str
    content: bytes
    is_npy: bool = False


@dataclass(frozen=True)
class Upload:
    """The files of one request: pictures, and for some routes a template."""

    images: list[NamedBytes]
    template: NamedBytes | None = None


@dataclass(frozen=True)
class MatchUpload:
    """The files of a match; nothing of them has been read.

    Raises:
        OptionError: there is nothing to look for, or two kinds of it, or the masks are not one or one a template.
    """

    scene: NamedBytes
    templates: list[NamedBytes] = field(default_factory=list)
    masks: list[NamedBytes] = field(default_factory=list)
    reference: NamedBytes | None = None

    def __post_init__(self) -> None:
        if bool(self.templates) == (self.reference is not None):
            came = "both" if self.templates else "neither"
            raise OptionError(f"what to look for is one or more templates, or a box in a reference; {came} came")
        count = len(self.templates) or 1
        if len(self.masks) not in (0, 1, count):
            allowed = "one mask" if count == 1 else f"one mask for all of {count} templates, or one for each"
            raise OptionError(f"there may be {allowed}; {len(self.masks)} came")
