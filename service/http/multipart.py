"""Multipart forms: the files in a body that is there as a whole, parsed in a worker unless it is small."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from scs.errors import ImageError, TooLargeError
from service.api.files import NamedBytes
from service.http.json_files import parse_aside
from service.pictures.npy import is_npy

if TYPE_CHECKING:
    from fastapi import Request

_STEP = 2**18  # bytes that the parser is given at a time, of which it makes copies


@dataclass(frozen=True)
class FormFile:
    """A file of a form, and the field that it came in; None for what is text, and no file."""

    field: str
    file: NamedBytes | None


async def read_form(request: Request, fields: Sequence[str], most_files: int) -> Mapping[str, list[NamedBytes]]:
    """Read the files of a multipart form.

    Args:
        request: whose body it is.
        fields: those that there may be; each is in what is returned.
        most_files: that there may be in all, one aside for what is looked for.

    Raises:
        ImageError: it is no form, or holds text or another field.
        TooLargeError: it has more files.
    """
    kind = request.headers.get("content-type", "")
    found = await parse_aside(request, await request.body(), partial(parse_form, kind, most_files=most_files))
    unknown = sorted({each.field for each in found} - set(fields))
    if unknown:
        named = " and ".join(filter(None, (", ".join(fields[:-1]), fields[-1])))
        raise ImageError(f"a form's fields are {named}; '{unknown[0]}' came")
    files: dict[str, list[NamedBytes]] = {field: [] for field in fields}
    for each in found:
        if each.file is None:
            raise ImageError(f"the form's field {each.field} needs to be a file; text came")
        files[each.field].append(each.file)
    return files


def parse_form(kind: str, body: bytes, most_files: int) -> list[FormFile]:
    """Parse a form as Starlette does it, without its event loop; a second for each MiB that is like its boundary.

    Args:
        kind: the content type, with the boundary.
        body: the form.
        most_files: that it may have, and one more; and as many fields of text.

    Raises:
        ImageError: it is not one.
        TooLargeError: it has more files.
    """

    async def pieces() -> AsyncGenerator[bytes, None]:
        for start in range(0, len(body), _STEP):
            yield body[start : start + _STEP]

    headers = Headers({"content-type": kind})
    parsing = _InMemory(headers, pieces(), max_files=most_files + 1, max_fields=most_files).parse()
    try:
        parsing.send(None)
    except StopIteration as done:
        return _files(done.value.multi_items())
    except MultiPartException as error:
        raise _refusal(error.message, most_files) from None
    raise AssertionError("nothing of a form in memory is waited for")


class _InMemory(MultiPartParser):
    spool_max_size = 0  # no limit: files that were written to disk would have to be waited for, and it may be read-only


def _files(items: Sequence[tuple[str, UploadFile | str]]) -> list[FormFile]:
    found: list[FormFile] = []
    numbers: dict[str, int] = {}
    for field, value in items:
        number = numbers[field] = numbers.get(field, -1) + 1
        file = None
        if isinstance(value, UploadFile):
            content = value.file.read()
            file = NamedBytes(value.filename or str(number), content, is_npy(value.content_type, content))
            value.file.close()
        found.append(FormFile(field, file))
    return found


def _refusal(said: str, most_files: int) -> ImageError | TooLargeError:
    """Return the error for what the framework says; it tells its failures apart by their messages only."""
    if said.startswith("Too many files"):
        return TooLargeError(f"one request may hold {most_files} images; more came")
    if said.startswith(("Too many fields", "Part exceeded")):
        return ImageError("a form's fields need to be files; more text than is read came")
    if "boundary" in said:
        return ImageError("a form's content type needs to name its boundary; one without came")
    if "Content-Disposition" in said:
        return ImageError("each part of a form needs a name; one without came")
    return ImageError("a form needs to be whole, its parts' headers few and short; something else came")
