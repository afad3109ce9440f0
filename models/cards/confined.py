"""Reading of a repository's files without path traversal: links that lead out of it are refused."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO

from scs.errors import ModelError

_MOST_LINKS = 40  # of one path, as Linux has it
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
    os.stat(path)  # a file that is not there, or a circle of links, is said as such
    file = open(os.open(_resolved(root, path), _FLAGS), "rb")  # noqa: SIM115 - whoever asked closes it
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


def _resolved(root: Path, path: Path) -> Path:
    """Return a path below a folder without the links in it.

    The folder itself is taken as the system finds it: it may be reached by a link into another container's files, such
    as ``/proc/7/root/models``, whose text leads elsewhere here.
    """
    outside = ModelError(f"{path.name} needs to lie inside the repository; a link leads out of it")
    left, found, links = list(path.relative_to(root).parts), root, 0
    while left:
        part = left.pop(0)
        if part == "..":
            if found == root:
                raise outside
            found = found.parent
        elif not stat.S_ISLNK(os.lstat(found / part).st_mode):
            found = found / part
        elif (links := links + 1) > _MOST_LINKS:
            raise ModelError(f"{path.name} cannot be read: there are too many links in its path")
        else:
            target = Path(os.readlink(found / part))
            if target.is_absolute():
                target, found = _below(root, target, outside), root
            left = [*target.parts, *left]
    return found


def _below(root: Path, target: Path, outside: ModelError) -> Path:
    """Return an absolute target of a link as a path below the folder."""
    if target.is_relative_to(root):
        return target.relative_to(root)
    real, top = Path(os.path.realpath(target)), os.path.realpath(root)
    if not real.is_relative_to(top):
        raise outside
    return real.relative_to(top)
