"""The Open Inference Protocol's repository extension (index, load, unload), and the labels of versions."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, HTTPException, Request, Response
from pydantic import Field, TypeAdapter, ValidationError

from models.cards.aliases import ALIAS_PATTERN
from scs.errors import ModelError, TooLargeError
from service.api.repository import IndexRequest, LoadRequest, ModelIndex, UnloadRequest
from service.inference.event_loop import SMALL_JSON_BYTES
from service.services import Services

T = TypeVar("T")
_Labels = TypeAdapter(
    dict[Annotated[str, Field(pattern=ALIAS_PATTERN)], Annotated[int, Field(strict=True, gt=0)] | None]
)


def _described(schema: Mapping[str, Any], required: bool = False) -> dict[str, Any]:
    return {"requestBody": {"content": {"application/json": {"schema": schema}}, "required": required}}


_FAILURE = {
    "content": {
        "application/json": {
            "schema": {"type": "object", "properties": {"error": {"type": "string"}}, "required": ["error"]}
        }
    }
}
_REFUSALS: dict[int | str, dict[str, Any]] = {
    400: {"description": "Not a request, or a model that could not be loaded whole", **_FAILURE},
    403: {"description": "The operator has set no key", **_FAILURE},
    404: {"description": "No such model, version or label", **_FAILURE},
    413: {"description": "More JSON than is read", **_FAILURE},
}
_DONE: dict[int | str, dict[str, Any]] = {200: {"description": "Done", "content": {}}}

router = APIRouter(prefix="/v2/repository", tags=["repository"])


@router.post(
    "/index",
    summary="List what is in the repository",
    responses={status: _REFUSALS[status] for status in (400, 413)},
    openapi_extra=_described(IndexRequest.model_json_schema()),
)
async def post_index(request: Request) -> list[ModelIndex]:
    """List every version of every model, loaded or on disk, with its state; with `ready`, only usable ones."""
    wanted = await _read(request, TypeAdapter(IndexRequest))
    listed = await Services.of(request).data_plane.index(wanted.ready)
    return [ModelIndex.model_validate(each) for each in listed]


@router.post(
    "/models/{name}/load",
    summary="Load a model, or what has changed of it",
    response_class=Response,
    responses={**_DONE, **_REFUSALS},
    openapi_extra=_described(LoadRequest.model_json_schema()),
)
async def post_load(request: Request, name: str) -> Response:
    """Load a model; the old version keeps answering until the new one is warmed up, and for good if that fails.

    What lies on disk is loaded: a configuration or files in the request are refused.
    """
    data_plane = Services.of(request).data_plane
    data_plane.check_changes_allowed()
    wanted = await _read(request, TypeAdapter(LoadRequest))
    try:
        await data_plane.load(name, wanted.parameters)
    except ModelError as error:
        raise HTTPException(HTTPStatus.BAD_REQUEST, str(error)) from error
    return Response()


@router.post(
    "/models/{name}/unload",
    summary="Let go of a model",
    response_class=Response,
    responses={**_DONE, **_REFUSALS},
    openapi_extra=_described(UnloadRequest.model_json_schema()),
)
async def post_unload(request: Request, name: str) -> Response:
    """Unload every version of a model until it is loaded again or the service restarts; running requests finish."""
    data_plane = Services.of(request).data_plane
    data_plane.check_changes_allowed()
    await _read(request, TypeAdapter(UnloadRequest))
    await data_plane.unload(name)
    return Response()


@router.post(
    "/models/{name}/labels",
    summary="Move the labels of a model",
    responses=_REFUSALS,
    openapi_extra=_described(_Labels.json_schema() | {"examples": [{"stable": 2, "canary": None}]}, required=True),
)
async def post_labels(request: Request, name: str) -> dict[str, int]:
    """Move labels to other versions, all at once; null removes one. The answer is all labels of the model.

    `default` is the version that answers where none is asked for. Labels stay as they are until `labels.json` changes,
    or the model is loaded anew.
    """
    services = Services.of(request)
    services.data_plane.check_changes_allowed()
    labels = await _read(request, _Labels)
    try:
        moved: dict[str, int] = await services.reloading.change("move_aliases", name, labels)
        return moved
    except ModelError as error:
        raise HTTPException(HTTPStatus.BAD_REQUEST, str(error)) from error


async def _read(request: Request, kind: TypeAdapter[T]) -> T:
    """Parse the body as JSON, whatever its content type; an empty body is an empty object."""
    body = await request.body() or b"{}"
    if len(body) > SMALL_JSON_BYTES:
        raise TooLargeError(f"a request of the repository may have {SMALL_JSON_BYTES} bytes; {len(body)} came")
    try:
        return kind.validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))[:80] or "the body"
        raise HTTPException(HTTPStatus.BAD_REQUEST, f"{where!r}: {first['msg'].lower()}") from None
