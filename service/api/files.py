"""The files of a request as they were sent, not decoded."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from scs.errors import OptionError

ANSWER_FILE = "answer.json"  # of an archive, beside its arrays
DIGEST_PATTERN = "^sha256:[0-9a-f]{64}$"
BY_DIGEST = (
    "`sha256:` and the digest of the bytes of a picture that was sent before; 404 where it is not known any more."
)


@dataclass(frozen=True)
class NamedBytes:
    """A file as it was sent, with its name; not decoded.

    Attributes:
        name: what the answer calls it.
        content: an encoded picture, or an array as ``numpy.save`` writes it.
        is_npy: whether it is an array.
        digest: SHA-256 of the content, in hexadecimal digits, where the service keeps the file for further questions.

    Example:
        >>> NamedBytes("scene.npy", b"...", is_npy=True).name
        'scene.npy'
    """

    name: str
    content: bytes
    is_npy: bool = False
    digest: str | None = None


@dataclass(frozen=True)
class Upload:
    """The files of one request: pictures, and for some routes a template.

    Attributes:
        images: the pictures.
        template: what to look for in the features of a layer.

    Example:
        >>> len(Upload([NamedBytes("cat.jpg", b"...")]).images)
        1
    """

    images: list[NamedBytes]
    template: NamedBytes | None = None


@dataclass(frozen=True)
class MatchUpload:
    """The files of a match as they were sent, not decoded: a scene, and templates or a reference.

    Attributes:
        scene: where to look.
        templates: what to look for, one or more.
        masks: which pixels of a template count: one for all templates, or one for each.
        reference: in place of templates, a picture that the option ``box`` cuts what to look for out of.

    Raises:
        OptionError: there is nothing to look for, or two kinds of it, or the masks are not one or one a template.

    Example:
        >>> scene, template = NamedBytes("cat.jpg", b"..."), NamedBytes("eye.png", b"...")
        >>> len(MatchUpload(scene, [template]).templates)
        1
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


def shown_name(name: str) -> str:
    r"""Return a file's name as Unicode: bytes of it that are not UTF-8 are written out, such as ``bad\xff.jpg``."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
