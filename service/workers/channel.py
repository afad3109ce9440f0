"""Messages between two processes over a socket, with large arrays and bytes in anonymous files beside them."""

from __future__ import annotations

import math
import mmap
import os
import pickle
import socket
import struct
import tempfile
from collections.abc import Sequence
from io import BytesIO
from typing import Any

import numpy as np

_HEAD = struct.Struct(">QQ")  # bytes of the pickle, bytes of the file beside it
_MOST_FILES = 64  # open files of one message, and the file beside it
_WORTH_A_FILE = 2**16  # bytes; what is smaller is faster within the pickle
_ALIGNMENT = 64


class OpenFile:
    """A file's descriptor in a message; the receiver gets one of its own.

    Args:
        descriptor: of the file.
        arrived: whether it came with a message, and is this process's to be closed.
    """

    def __init__(self, descriptor: int, arrived: bool = False) -> None:
        self.descriptor, self._arrived = descriptor, arrived

    def read(self) -> bytes:
        """Read the whole file, wherever others who have it open are in it."""
        return os.pread(self.descriptor, os.fstat(self.descriptor).st_size, 0)

    def close(self) -> None:
        """Close the descriptor, if it came with a message; a sender's own stays as it is."""
        if self._arrived:
            self._arrived = False
            os.close(self.descriptor)


def send(to: socket.socket, message: object) -> None:
    """Send a message: anything that can be pickled, with a few dozen :class:`OpenFile` in it at most.

    Bytes and arrays of 64 KiB or more are written to a file without a name (``memfd_create``). Unlike shared memory
    below ``/dev/shm``, of which a container has 64 MiB, it is limited by memory alone, and it is gone with the last
    process that has it open.

    Raises:
        OSError: the other side is gone.
    """
    pickler = _Pickler()
    pickler.dump(message)
    size = sum(_aligned(len(each)) for each in pickler.aside)
    aside = anonymous_file(pickler.aside) if size else None
    try:
        pickled = pickler.stream.getbuffer()
        files = [*([] if aside is None else [aside]), *pickler.files]
        socket.send_fds(to, [_HEAD.pack(len(pickled), size)], files)
        to.sendall(pickled)
    finally:
        if aside is not None:
            os.close(aside)


def receive(source: socket.socket, *, copied: bool = False) -> Any:
    """Receive a message; its large arrays lie in the sender's file, and so do long bytes, as ``memoryview``.

    Args:
        source: where it comes from.
        copied: whether long bytes are copied, and are ``bytes`` then.

    Raises:
        EOFError: the other side is gone.
        OSError: it was reset.
    """
    head, files = _receive_head(source)
    length, size = _HEAD.unpack(head)
    pickled = _exactly(source, length)
    aside = None
    if size:
        file = files.pop(0)
        aside = mmap.mmap(file, size, access=mmap.ACCESS_COPY)
        os.close(file)
    return _Unpickler(pickled, aside, files, copied).load()


class _Pickler(pickle.Pickler):
    """A pickler that puts long bytes and arrays aside, and only their places in a file into the pickle."""

    def __init__(self) -> None:
        self.stream = BytesIO()
        self.aside: list[memoryview] = []
        self.files: list[int] = []
        self._size = 0
        super().__init__(self.stream, protocol=5)

    def persistent_id(self, given: Any) -> tuple[Any, ...] | None:
        """Return what stands for an object in the pickle; None for one that is pickled itself."""
        if isinstance(given, np.ndarray) and given.nbytes >= _WORTH_A_FILE and not given.dtype.hasobject:
            raw = np.ascontiguousarray(given).reshape(-1).view(np.uint8)
            return "array", self._put(raw.data), given.dtype, given.shape
        if isinstance(given, bytes | memoryview) and len(given) >= _WORTH_A_FILE:
            return "bytes", self._put(memoryview(given).cast("B")), len(given)
        if isinstance(given, memoryview):  # cannot be pickled
            return "short", bytes(given)
        if isinstance(given, OpenFile):
            self.files.append(given.descriptor)
            return "file", len(self.files) - 1
        return None

    def _put(self, raw: memoryview) -> int:
        place = self._size
        self.aside.append(raw)
        self._size += _aligned(len(raw))
        return place


class _Unpickler(pickle.Unpickler):
    def __init__(self, pickled: bytes, aside: mmap.mmap | None, files: list[int], copied: bool) -> None:
        super().__init__(BytesIO(pickled))
        self._aside, self._files, self._copied = aside, files, copied

    def persistent_load(self, given: Any) -> Any:
        match given:
            case "array", place, dtype, shape:
                assert self._aside is not None
                count = math.prod(shape)
                return np.frombuffer(self._aside, dtype, count, place).reshape(shape)
            case "bytes", place, length:
                assert self._aside is not None
                found = memoryview(self._aside)[place : place + length]
                return bytes(found) if self._copied else found.toreadonly()
            case "short", content:
                return content
            case _:
                return OpenFile(self._files[given[1]], arrived=True)


def anonymous_file(pieces: Sequence[memoryview]) -> int:
    """Write pieces, each at an aligned place, to a file without a name; return its descriptor."""
    if hasattr(os, "memfd_create"):
        file = os.memfd_create("scs-serve")
    else:  # not on macOS
        with tempfile.TemporaryFile() as unnamed:
            file = os.dup(unnamed.fileno())
    try:
        place = 0
        for piece in pieces:
            written = 0
            while written < len(piece):
                written += os.pwrite(file, piece[written:], place + written)
            place += _aligned(len(piece))
        os.ftruncate(file, place)
    except BaseException:
        os.close(file)
        raise
    return file


def _aligned(length: int) -> int:
    return -(-length // _ALIGNMENT) * _ALIGNMENT


def _receive_head(source: socket.socket) -> tuple[bytes, list[int]]:
    head, descriptors, _, _ = socket.recv_fds(source, _HEAD.size, _MOST_FILES)
    if not head:
        raise EOFError("the other process is gone")
    return head + _exactly(source, _HEAD.size - len(head)), descriptors


def _exactly(source: socket.socket, length: int) -> bytes:
    received = bytearray(length)
    view, came = memoryview(received), 0
    while came < length:
        count = source.recv_into(view[came:])
        if not count:
            raise EOFError("the other process is gone")
        came += count
    return bytes(received)
