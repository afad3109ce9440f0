"""The files that a command is given."""

from __future__ import annotations

import errno
from pathlib import Path

from service.api.files import NamedBytes, shown_name


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
