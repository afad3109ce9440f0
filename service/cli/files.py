"""The files that a command is given."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from service.api.files import NamedBytes


def read_file(path: Path) -> NamedBytes:
    """Read a file's bytes and name, without decoding; ``.npy`` files are marked as arrays."""
    return NamedBytes(shown_name(path.name), read_bytes(path), is_npy=path.suffix == ".npy")


def read_bytes(path: Path) -> bytes:
    """Read a file or a pipe to its end.

    Raises:
        OSError: it cannot be read, or is a device, which may have no end.
    """
    if path.is_char_device():
        raise OSError(errno.EINVAL, "A file or a pipe is needed, and this is a device", str(path))
    return path.read_bytes()


def shown_name(name: str) -> str:
    r"""Return a file's name as Unicode: bytes of it that are not UTF-8 are written out, such as ``bad\xff.jpg``."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
