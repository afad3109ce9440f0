"""The files that a command is given."""

from __future__ import annotations

from pathlib import Path

from service.api.files import NamedBytes, shown_name


def read_file(path: Path) -> NamedBytes:
    """Read a file's bytes and name, without decoding; ``.npy`` files are marked as arrays."""
    return NamedBytes(shown_name(path.name), path.read_bytes(), is_npy=path.suffix == ".npy")
