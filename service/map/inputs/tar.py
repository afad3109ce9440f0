"""Pictures in tar archives, such as the shards of webdataset."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from scs.errors import ImageError, OptionError
from service.api.files import shown_name
from service.map.listed import Listed
from service.pictures.formats import SUFFIXES

KIND = "tar"


def list_tar(path: Path) -> Iterator[Listed]:
    """Yield the pictures of an archive, by the ends of their names; only the heads of its members are read.

    An archive that ends early has its whole members, and one more entry that says so. A link, as tar writes for another
    name of a file, is an entry that says so, too.

    Raises:
        OptionError: it is compressed, so that no member can be read without all before it, or no archive.
    """
    name, stored = shown_name(str(path)), os.fsencode(path.absolute())
    try:
        archive = tarfile.open(path, "r:")  # noqa: SIM115 - closed below
    except tarfile.ReadError:
        raise OptionError(f"{name} needs to be a tar archive that is not compressed") from None
    with archive:
        try:
            while (member := archive.next()) is not None:
                archive.members.clear()  # type: ignore[attr-defined]  # all of which it would keep
                if not member.isdir() and _is_picture(member.name):
                    yield _listed(name, stored, member)
            is_cut = path.stat().st_size <= archive.offset
        except tarfile.ReadError:
            is_cut = True
    if is_cut:
        yield Listed(name, KIND, stored, error="the archive ends early: what follows here is lost")


def _listed(name: str, stored: bytes, member: tarfile.TarInfo) -> Listed:
    error = None
    if member.islnk() or member.issym():
        error = f"the archive has a link to {shown_name(member.linkname)} in its place, which is not followed"
    elif not member.isreg() or member.issparse():
        error = "the archive has no plain file in its place"
    return Listed(f"{name}/{shown_name(member.name)}", KIND, stored, member.offset_data, member.size, error)


def read_tar(listed: Listed) -> bytes:
    """Read a picture of an archive.

    Raises:
        ImageError: the archive ends before it does.
        OSError: the archive cannot be read.
    """
    with open(listed.path, "rb") as file:
        file.seek(listed.place)
        content = file.read(listed.size)
    if len(content) < listed.size:
        raise ImageError(f"{listed.size} bytes were needed but the archive ends after {len(content)} of them")
    return content


def _is_picture(name: str) -> bool:
    member = PurePosixPath(name)
    return member.suffix.lower() in SUFFIXES and not member.name.startswith(".")
