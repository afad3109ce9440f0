"""Compression of request and answer bodies: gzip and deflate."""

from __future__ import annotations

import gzip
import zlib

from scs.errors import ProtocolError, TooLargeError

GZIP, DEFLATE = "gzip", "deflate"
CODINGS = (GZIP, DEFLATE)
_GZIP_WINDOW, _BARE_WINDOW = 31, -15
_STEP = 2**16
_LEVEL = 1  # tensors hardly get smaller at a higher one


def expand(body: bytes, coding: str, most: int) -> bytes:
    """Decompress a body, up to a size limit (against decompression bombs).

    Args:
        body: what came.
        coding: one of ``CODINGS``; deflate with zlib's frame, as its definition has it, or bare, as some send it.
        most: bytes that it may expand to.

    Raises:
        TooLargeError: it is more than that; noticed as it expands.
        ProtocolError: it is damaged, incomplete, or followed by something else.
    """
    stream = zlib.decompressobj(_window(body, coding))
    parts: list[bytes] = []
    size = 0
    for start in range(0, len(body), _STEP):
        if stream.eof:
            break
        try:
            # One byte more than allowed is all that is ever expanded.
            parts.append(stream.decompress(body[start : start + _STEP], most - size + 1))
        except zlib.error:
            raise ProtocolError(f"the body needs to be {coding} as its content-encoding says; it is not") from None
        size += len(parts[-1])
        if size > most:
            parts.clear()  # the error's traceback would keep them in memory
            raise TooLargeError(f"a body may have {most} bytes; this one expands to more")
    if not stream.eof:
        raise ProtocolError(f"the body needs to be {coding} to its end; it is cut off")
    if stream.unused_data or start + _STEP < len(body):
        raise ProtocolError(f"the body needs to be {coding} and nothing behind it; more came")
    return b"".join(parts)


def compress(body: bytes, coding: str) -> bytes:
    """Compress a body, fast rather than small."""
    return gzip.compress(body, _LEVEL, mtime=0) if coding == GZIP else zlib.compress(body, _LEVEL)


def _window(data: bytes, coding: str) -> int:
    if coding == GZIP:
        return _GZIP_WINDOW
    framed = len(data) > 1 and data[0] & 15 == 8 and int.from_bytes(data[:2]) % 31 == 0
    return zlib.MAX_WBITS if framed else _BARE_WINDOW
