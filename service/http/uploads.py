"""Pictures read from a request's body: binary, a form, a NumPy array, or base64 in JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from scs.errors import ImageError, TooLargeError, UnsupportedImageError
from service.api.files import NamedBytes, Upload
from service.http.json_files import decode_base64, parse_aside, parse_json
from service.http.multipart import read_form
from service.pictures.npy import CONTENT_TYPE, is_npy
from service.pictures.picture import MAX_PICTURES

if TYPE_CHECKING:
    from fastapi import Request

MAX_FILES = MAX_PICTURES
_NPY = CONTENT_TYPE


class JsonImages(BaseModel):
    """Pictures as base64 in JSON, a third larger than binary; for clients that can send nothing else."""

    model_config = ConfigDict(extra="forbid")

    images: list[str] = Field(min_length=1, max_length=MAX_FILES, description="Pictures, base64.")
    template: str | None = Field(None, description="For `/activations`: what to look for, base64.")


_BINARY = {"schema": {"type": "string", "format": "binary"}}
REQUEST_BODY = {
    "required": True,
    "content": {
        "image/*": _BINARY,
        _NPY: _BINARY,
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["file"],
                "properties": {
                    "file": {"type": "array", "items": {"type": "string", "format": "binary"}},
                    "template": {"type": "string", "format": "binary"},
                },
            }
        },
        "application/json": {"schema": JsonImages.model_json_schema()},
    },
}


OR_KNOWN = {
    **REQUEST_BODY,
    "required": False,
    "description": "The picture; with `picture` a template alone, or nothing.",
}


async def read_question(request: Request, picture: NamedBytes | None) -> Upload:
    """Read a picture and perhaps a template, as :func:`read_upload` does; or a template alone, of a known picture.

    Args:
        request: whose body it is.
        picture: the one that is known, if it was named.

    Raises:
        ScsError: as :func:`read_upload`; ``ImageError`` too where a picture came beside the one that was named.
    """
    if picture is None:
        return await read_upload(request)
    if is_form(request):
        files = await read_form(request, ("template",), 1)
        return Upload([picture], next(iter(files["template"]), None))
    if await request.body():
        raise ImageError("beside the option picture the body is empty, or a form with a template; something else came")
    return Upload([picture])


def is_form(request: Request) -> bool:
    """Return whether a request's body is a multipart form."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() == "multipart/form-data"


async def read_upload(request: Request) -> Upload:
    """Read a request's pictures: the body itself, a form's ``file`` fields, a NumPy array, or base64 in JSON.

    Raises:
        ImageError: there is nothing in the body, or it is not what its content type says.
        UnsupportedImageError: a content type that is not read here.
        TooLargeError: too many files; the size in bytes was limited before.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        return await _from_form(request)
    body = await request.body()
    if not body:
        raise ImageError("the body needs to be an image; an empty one came")
    if kind == "application/json":
        return await parse_aside(request, body, _from_json)
    if kind in ("", "application/octet-stream", _NPY) or kind.startswith("image/"):
        return Upload([NamedBytes("0", body, is_npy=is_npy(kind, body))])
    raise UnsupportedImageError(
        f"a picture is sent as image/*, {_NPY}, multipart/form-data or application/json; {kind} came"
    )


async def _from_form(request: Request) -> Upload:
    files = await read_form(request, ("file", "template"), MAX_FILES)
    images, templates = files["file"], files["template"]
    if not images:
        raise ImageError("a form needs at least one file field; none came")
    if len(images) > MAX_FILES:
        raise _too_many()
    if len(templates) > 1:
        raise ImageError(f"a form may hold one template; {len(templates)} came")
    return Upload(images, templates[0] if templates else None)


def _from_json(body: bytes) -> Upload:
    try:
        sent = parse_json(JsonImages, body, '{"images": [base64, …]}')
    except ValidationError:
        raise _too_many() from None
    images = [NamedBytes(str(number), decode_base64(text)) for number, text in enumerate(sent.images)]
    template = None if sent.template is None else decode_base64(sent.template)
    return Upload(images, None if template is None else NamedBytes("template", template))


def _too_many() -> TooLargeError:
    return TooLargeError(f"one request may hold {MAX_FILES} images; more came")
