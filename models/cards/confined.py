"""Reading of a repository's files without path traversal: links that lead out of it are refused."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO

from scs.errors import ModelError

# A link that appears between the check and the opening is not followed, and a pipe is not waited for.
_FLAGS = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def open_confined(root: Path, path: Path, most: int) -> BinaryIO:
    """Open a file, refusing one that lies outside a folder once the links in its path are resolved.

    Args:
        root: the folder.
        path: the file.
        most: bytes that it may have.

    Raises:
        FileNotFoundError: there is none.
        ModelError: it lies elsewhere, is no file, or has more bytes.
        OSError: it cannot be read.
    """
    real = os.path.realpath(path, strict=True)
    if not Path(real).is_relative_to(os.path.realpath(root)):
        raise ModelError(f"{path.name} needs to lie inside the repository; a link leads out of it")
    file = open(os.open(real, _FLAGS), "rb")  # noqa: SIM115 - whoever asked closes it
    status = os.fstat(file.fileno())
    if stat.S_ISREG(status.st_mode) and status.st_size <= most:
        return file
    file.close()
    if not stat.S_ISREG(status.st_mode):
        raise ModelError(f"{path.name} cannot be read: it is not a file")
    raise ModelError(f"{path.name} may have {most} bytes; it has {status.st_size}")


def read_confined(root: Path, path: Path, most: int) -> bytes:
    """Read a file that :func:`open_confined` opens, and raise what that raises."""
    with open_confined(root, path, most) as file:
        return file.read(most)
