"""Bodies of answers, kept in memory where they are small and in a file where they are not; and archives of arrays."""

from __future__ import annotations

import io
import mmap
import struct
import tempfile
import zipfile
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from service.api.files import ANSWER_FILE

_IN_MEMORY = 2**24  # bytes
_LOCAL_HEADER = 30  # bytes of a member before its name, of which the last four are the lengths of name and extra field

Body = bytes | mmap.mmap


class _FileMap(mmap.mmap):
    def seekable(self) -> bool:
        """Answer what zipfile asks before Python 3.13."""
        return True


class BodyWriter:
    """Takes the pieces of a body as they come; a large one is kept in a file without a name, which goes with it."""

    def __init__(self) -> None:
        self._pieces: IO[bytes] = io.BytesIO()
        self._is_file = False

    def write(self, piece: bytes) -> None:
        """Take the next piece."""
        if not self._is_file and self._pieces.tell() + len(piece) > _IN_MEMORY:
            begun = self._pieces
            self._pieces = tempfile.TemporaryFile()  # noqa: SIM115 the map of it keeps it
            self._pieces.write(begun.getvalue())  # type: ignore[attr-defined]
            self._is_file = True
        self._pieces.write(piece)

    def body(self) -> Body:
        """Return all that came: bytes, or a map of the file, whose pages the system reads and drops as it needs."""
        if not self._is_file:
            return self._pieces.getvalue()  # type: ignore[attr-defined,no-any-return]
        with self._pieces as file:
            file.flush()
            return _FileMap(file.fileno(), 0, access=mmap.ACCESS_READ)


def read_archive(body: Body) -> tuple[bytes, dict[str, NDArray[Any]]]:
    """Return the JSON answer of an archive, and its arrays by name: views of the body, nothing is copied.

    Raises:
        ValueError: it is no archive, or not one that can be viewed.
    """
    arrays: dict[str, NDArray[Any]] = {}
    file = io.BytesIO(body) if isinstance(body, bytes) else body
    try:
        with zipfile.ZipFile(file) as archive:  # type: ignore[arg-type]
            answer = archive.read(ANSWER_FILE)
            for member in archive.infolist():
                if member.filename.endswith(".npy"):
                    arrays[member.filename.removesuffix(".npy")] = _array(body, member)
    except (zipfile.BadZipFile, KeyError, struct.error) as error:
        raise ValueError(f"an archive with {ANSWER_FILE} in it was needed; {error}") from error
    return answer, arrays


def _array(body: Body, member: zipfile.ZipInfo) -> NDArray[Any]:
    if member.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"arrays that are not compressed were needed; {member.filename} is")
    names = member.header_offset + _LOCAL_HEADER
    start = names + sum(struct.unpack("<HH", body[names - 4 : names]))
    header = io.BytesIO(body[start : start + min(member.file_size, 2**16)])
    if np.lib.format.read_magic(header) == (1, 0):
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(header)
    else:
        shape, fortran, dtype = np.lib.format.read_array_header_2_0(header)
    count = int(np.prod(shape, dtype=np.int64))
    flat = np.frombuffer(body, dtype, count, start + header.tell())
    return flat.reshape(shape, order="F" if fortran else "C")
