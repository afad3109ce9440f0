"""Multipart forms whose body is there as a whole, parsed without an event loop, so that a thread can."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from starlette.datastructures import FormData, Headers
from starlette.formparsers import MultiPartParser

_STEP = 2**18  # bytes that the parser is given at a time, of which it makes copies


class _InMemory(MultiPartParser):
    spool_max_size = 0  # no limit: files that were written to disk would have to be waited for


def parse_form(headers: Headers, body: bytes, most_files: int, most_fields: int) -> FormData:
    """Parse a form as Starlette does it; a second for each MiB that is like its boundary.

    Raises:
        MultiPartException: it is not one, or has more files or fields.
    """

    async def pieces() -> AsyncGenerator[bytes, None]:
        for start in range(0, len(body), _STEP):
            yield body[start : start + _STEP]

    parsing = _InMemory(headers, pieces(), max_files=most_files, max_fields=most_fields).parse()
    try:
        parsing.send(None)
    except StopIteration as done:
        form: FormData = done.value
        return form
    raise AssertionError("nothing of a form in memory is waited for")
