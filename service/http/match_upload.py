"""The files of a match, read from a request's body: a scene, and what to look for in it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from scs.errors import ImageError, UnsupportedImageError
from service.api.files import MatchUpload, NamedBytes
from service.http.json_files import decode_base64, parse_aside, parse_json
from service.http.multipart import read_form
from service.http.uploads import MAX_FILES
from service.pictures.npy import is_npy

if TYPE_CHECKING:
    from fastapi import Request

_FIELDS = ("scene", "template", "mask", "reference")


class JsonMatch(BaseModel):
    """The files of a match in JSON, base64."""

    model_config = ConfigDict(extra="forbid")

    scene: str = Field(description="Where to look, base64.")
    template: str | list[str] = Field([], description="What to look for, base64; one, or several.")
    mask: str | list[str] = Field([], description="Which pixels of the template count; one, or one each.")
    reference: str | None = Field(
        None, description="With `box`: a picture that has what to look for; the scene unless given."
    )


_BINARY = {"type": "string", "format": "binary"}
_SEVERAL = {"type": "array", "items": _BINARY}
MATCH_BODY = {
    "required": False,
    "description": "The files; without a scene, or nothing, with `picture`.",
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["scene"],
                "properties": {"scene": _BINARY, "template": _SEVERAL, "mask": _SEVERAL, "reference": _BINARY},
            }
        },
        "application/json": {"schema": JsonMatch.model_json_schema()},
    },
}


async def read_match_upload(request: Request, picture: NamedBytes | None = None, boxed: bool = False) -> MatchUpload:
    """Read the files of a match from a form or from JSON.

    Args:
        request: whose body it is.
        picture: the scene, where it is known and was named; the body is a form without a scene then, or empty.
        boxed: whether what to look for is a box, which lies in the scene where no reference comes.

    Raises:
        ImageError: there is nothing in the body, or it is not what its content type says.
        UnsupportedImageError: a content type that is not read here.
        OptionError: the files do not make a match, see :class:`service.api.files.MatchUpload`.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        return await _from_form(request, picture, boxed)
    body = await request.body()
    if picture is not None:
        if body:
            raise ImageError("beside the option picture the body is empty, or a form; something else came")
        return _upload(picture, {}, boxed)
    if not body:
        raise ImageError("the body needs to be a form with a scene; an empty one came")
    if kind == "application/json":
        return await parse_aside(request, body, partial(_from_json, boxed=boxed))
    raise UnsupportedImageError(
        f"scene and templates are sent as multipart/form-data or application/json; {kind or 'no content type'} came"
    )


async def _from_form(request: Request, picture: NamedBytes | None, boxed: bool) -> MatchUpload:
    files = await read_form(request, _FIELDS if picture is None else _FIELDS[1:], 4 * MAX_FILES)
    if picture is None and len(files["scene"]) != 1:
        raise ImageError(f"a form needs one scene; {len(files['scene']) or 'none'} came")
    if len(files["reference"]) > 1:
        raise ImageError(f"a form may hold one reference; {len(files['reference'])} came")
    return _upload(picture or files["scene"][0], files, boxed)


def _upload(scene: NamedBytes, files: Mapping[str, list[NamedBytes]], boxed: bool) -> MatchUpload:
    templates = files.get("template", [])
    reference = next(iter(files.get("reference", [])), scene if boxed and not templates else None)
    return MatchUpload(scene, templates, files.get("mask", []), reference)


def _from_json(body: bytes, boxed: bool) -> MatchUpload:
    sent = parse_json(JsonMatch, body, '{"scene": base64, "template": base64}')
    scene = _decoded("scene", sent.scene)
    templates = [_decoded(str(i), text) for i, text in enumerate(_several(sent.template))]
    masks = [_decoded(f"mask {i}", text) for i, text in enumerate(_several(sent.mask))]
    references = [] if sent.reference is None else [_decoded("reference", sent.reference)]
    return _upload(scene, {"template": templates, "mask": masks, "reference": references}, boxed)


def _several(texts: str | list[str]) -> list[str]:
    return [texts] if isinstance(texts, str) else texts


def _decoded(name: str, text: str) -> NamedBytes:
    content = decode_base64(text)
    return NamedBytes(name, content, is_npy(None, content))
