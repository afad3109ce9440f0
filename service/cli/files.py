"""The files that a command is given."""

from __future__ import annotations

import os
from pathlib import Path

from service.api.files import NamedBytes


def read_file(path: Path) -> NamedBytes:
    """Read a file's bytes and name, without decoding; ``.npy`` files are marked as arrays."""
    return NamedBytes(shown_name(path.name), path.read_bytes(), is_npy=path.suffix == ".npy")


def shown_name(name: str) -> str:
    r"""Return a file's name as Unicode: bytes of it that are not UTF-8 are written out, such as ``bad\xff.jpg``."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
