"""The repository extension of the Open Inference Protocol, and labels: what is loaded, and which version answers."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, HTTPException, Request, Response
from pydantic import Field, TypeAdapter, ValidationError
from starlette.concurrency import run_in_threadpool

from models.cards.aliases import ALIAS_PATTERN
from scs.errors import ModelError
from service.api.repository import IndexRequest, LoadRequest, ModelIndex, UnloadRequest
from service.repository.reload import Reloading
from service.repository.repository import ModelRepository

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
}
_DONE: dict[int | str, dict[str, Any]] = {200: {"description": "Done", "content": {}}}

router = APIRouter(prefix="/v2/repository", tags=["repository"])


@router.post(
    "/index",
    summary="List what is in the repository",
    responses={400: _REFUSALS[400]},
    openapi_extra=_described(IndexRequest.model_json_schema()),
)
async def post_index(request: Request) -> list[ModelIndex]:
    """Every version of every model, loaded or on disk, with its state; only those that answer with `ready`."""
    wanted = await _read(request, TypeAdapter(IndexRequest))
    store: ModelRepository = request.app.state.models
    return [
        ModelIndex(name=each.name, version=str(each.version), state=each.state, reason=each.reason or "")
        for each in await run_in_threadpool(store.index)
        if each.model is not None or not wanted.ready
    ]


@router.post(
    "/models/{name}/load",
    summary="Load a model, or what has changed of it",
    response_class=Response,
    responses={**_DONE, **_REFUSALS},
    openapi_extra=_described(LoadRequest.model_json_schema()),
)
async def post_load(request: Request, name: str) -> Response:
    """Requests go on being answered by what was there until the new has answered a warm-up, and for good if it fails.

    What lies on disk is loaded: a configuration or files in the request are refused.
    """
    reloading = _changes(request)
    for given in (await _read(request, TypeAdapter(LoadRequest))).parameters:
        raise HTTPException(
            HTTPStatus.BAD_REQUEST, f"a model is loaded as it lies in the repository; the parameter {given[:60]!r} came"
        )
    try:
        await reloading.run(reloading.store.load, name)
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
    """Every version of it; requests that have begun are answered. It stays so until it is loaded, or a restart."""
    reloading = _changes(request)
    await _read(request, TypeAdapter(UnloadRequest))
    await reloading.run(reloading.store.unload, name)
    return Response()


@router.post(
    "/models/{name}/labels",
    summary="Move the labels of a model",
    responses=_REFUSALS,
    openapi_extra=_described(_Labels.json_schema() | {"examples": [{"stable": 2, "canary": None}]}, required=True),
)
async def post_labels(request: Request, name: str) -> dict[str, int]:
    """Let labels name other versions, all at once; null takes one away. The answer is all labels of the model.

    `default` is the version that answers where none is asked for. Labels stay as they are until `labels.json` changes,
    or the model is loaded anew.
    """
    reloading = _changes(request)
    labels = await _read(request, _Labels)
    try:
        return await reloading.run(reloading.store.move_aliases, name, labels)
    except ModelError as error:
        raise HTTPException(HTTPStatus.BAD_REQUEST, str(error)) from error


def _changes(request: Request) -> Reloading:
    """What makes changes, where the operator has said who may ask for them."""
    if request.app.state.settings.api_key is None:
        raise HTTPException(
            HTTPStatus.FORBIDDEN, "models are changed over HTTP only by those who have a key; SCS_API_KEY is not set"
        )
    reloading: Reloading = request.app.state.reloading
    return reloading


async def _read(request: Request, kind: TypeAdapter[T]) -> T:
    """The body as JSON, whatever it says that it is; nothing at all is an empty object."""
    body = await request.body() or b"{}"
    try:
        return kind.validate_json(body)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))[:80] or "the body"
        raise HTTPException(HTTPStatus.BAD_REQUEST, f"{where!r}: {first['msg'].lower()}") from None
