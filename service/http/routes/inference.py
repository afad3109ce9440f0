"""The Open Inference Protocol over HTTP, but for health and the repository."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

from scs.errors import ProtocolError
from service.http.disconnect import while_present
from service.http.shortcut import ShortRoute
from service.inference.batcher import Engine
from service.oip import metadata
from service.oip.compression import CODINGS, compress, expand
from service.oip.data_plane import Inference
from service.oip.json_codec import read_request, write_response
from service.oip.messages import InferRequest
from service.oip.schemas import (
    ModelMetadata,
    ModelReady,
    ModelStatistics,
    ProtocolFailure,
    RequestBody,
    ResponseBody,
    ServerMetadata,
)
from service.oip.triton_config import model_config
from service.oip.triton_statistics import model_statistics
from service.repository.loader import LoadedModel
from service.repository.repository import ModelRepository
from service.settings import Settings

_FAILURES: dict[int | str, dict[str, Any]] = {
    status: {"model": ProtocolFailure, "description": HTTPStatus(status).phrase}
    for status in (400, 404, 413, 415, 422, 500, 503, 504)
}
router = APIRouter(prefix="/v2", tags=["inference protocol"], responses=_FAILURES)

_JSON, _BINARY = "application/json", "application/octet-stream"
_HEADER_LENGTH = "inference-header-content-length"
_LIGHT_JSON = 2**14  # read on the event loop; more would keep other requests waiting
# Below this an answer is one packet anyway.
_WORTH_COMPRESSING = 1400
_BYTES_SCHEMA = {"schema": {"type": "string", "format": "binary"}}
_ANSWERS: dict[int | str, dict[str, Any]] = {200: {"content": {_BINARY: _BYTES_SCHEMA}}}
_DESCRIBED = {
    "requestBody": {
        "required": True,
        "content": {
            _JSON: {"schema": RequestBody.model_json_schema(ref_template="#/components/schemas/{model}")},
            _BINARY: _BYTES_SCHEMA,
        },
    },
    "parameters": [
        {
            "name": "Inference-Header-Content-Length",
            "in": "header",
            "description": "Bytes of JSON before the tensors' binary data, where there is some.",
            "schema": {"type": "integer", "minimum": 0},
        }
    ],
}


@router.get("", summary="The server's name, version and extensions")
@router.get("/", include_in_schema=False)
async def server_metadata() -> ServerMetadata:
    """What this server is, and which extensions of the protocol it has."""
    return ServerMetadata.model_validate(metadata.server_metadata())


@router.get("/models/stats", summary="What every model has done, in Triton's form")
async def all_statistics(request: Request) -> ModelStatistics:
    """Counts, and nanoseconds, of every version that can be asked, since it was loaded."""
    return _statistics(request, metadata.usable_models(request.app.state.models))


@router.get("/models/{name}", summary="A model's tensors")
@router.get("/models/{name}/versions/{version}", summary="A version's tensors")
async def model_metadata(request: Request, name: str, version: str | None = None) -> ModelMetadata:
    """The inputs and outputs of a model. A version is a number or a label."""
    model = _model(request, name, version)
    usable = metadata.usable_models(request.app.state.models, name)
    return ModelMetadata.model_validate(metadata.model_metadata(model.card, usable))


@router.get("/models/{name}/ready", summary="Whether a model can be asked")
@router.get("/models/{name}/versions/{version}/ready", summary="Whether a version can be asked")
async def model_ready(request: Request, name: str, version: str | None = None) -> ModelReady:
    """200 where it can; 404 where there is no such model, 503 where it cannot be used."""
    return ModelReady(name=_model(request, name, version).card.name)


@router.get("/models/{name}/config", summary="A model's configuration, in Triton's form")
@router.get("/models/{name}/versions/{version}/config", summary="A version's configuration, in Triton's form")
async def get_config(request: Request, name: str, version: str | None = None) -> dict[str, Any]:
    """What Triton's tools ask for before they send anything."""
    model = _model(request, name, version)
    return model_config(model.card, model.runtime.device, request.app.state.settings)


@router.get("/models/{name}/stats", summary="What a model has done, in Triton's form")
@router.get("/models/{name}/versions/{version}/stats", summary="What a version has done, in Triton's form")
async def statistics(request: Request, name: str, version: str | None = None) -> ModelStatistics:
    """Counts, and nanoseconds, since it was loaded; without a version, those of every version that can be asked."""
    model = _model(request, name, version)
    return _statistics(request, [model] if version else metadata.usable_models(request.app.state.models, name))


def _statistics(request: Request, models: Sequence[LoadedModel]) -> ModelStatistics:
    engine: Engine = request.app.state.engine
    return ModelStatistics(model_stats=[model_statistics(each.card, engine.statistics(each)) for each in models])


@router.post(
    "/models/{name}/infer",
    summary="Run a model on images",
    response_model=ResponseBody,
    responses=_ANSWERS,
    openapi_extra=_DESCRIBED,
)
@router.post(
    "/models/{name}/versions/{version}/infer",
    summary="Run a version on images",
    response_model=ResponseBody,
    responses=_ANSWERS,
    openapi_extra=_DESCRIBED,
)
async def post_infer(request: Request) -> Response:
    """Images ``[N, H, W, C]`` to logits ``[N, classes]``, in JSON, or as binary data behind it."""
    model = _model(request, request.path_params["name"], request.path_params.get("version"))
    inference: Inference = request.app.state.inference
    request.app.state.engine.check_room(model)
    body = await request.body()
    with while_present(request):
        asked = await _read(body, request, model, inference)
        answer, json_length = write_response(await inference.infer(model, asked))
    headers = {} if json_length is None else {_HEADER_LENGTH: str(json_length)}
    coding = _accepted(request.headers.get("accept-encoding", ""))
    if coding and len(answer) >= _WORTH_COMPRESSING:
        answer = await inference.aside(model, compress, answer, coding)
        headers |= {"content-encoding": coding, "vary": "accept-encoding"}
    return Response(answer, headers=headers, media_type=_JSON if json_length is None else _BINARY)


SHORT = [
    ShortRoute("/v2/models/{name}/infer", post_infer),
    ShortRoute("/v2/models/{name}/versions/{version}/infer", post_infer),
]


async def _read(body: bytes, request: Request, model: LoadedModel, inference: Inference) -> InferRequest:
    """Read a request, on a thread if that takes long."""
    headers = request.headers
    coding = headers.get("content-encoding", "identity").strip().lower()
    length = _length(headers.get(_HEADER_LENGTH))
    if coding == "identity":
        if (len(body) if length is None else length) <= _LIGHT_JSON:
            return read_request(body, length)
        return await inference.aside(model, read_request, body, length)
    if coding in CODINGS:
        settings: Settings = request.app.state.settings
        return await inference.aside(model, _read_packed, body, coding, settings.max_body_bytes, length)
    raise HTTPException(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        f"a body may be compressed as {' or '.join(CODINGS)}; '{coding[:60]}' came",
        {"accept-encoding": ", ".join(CODINGS)},
    )


def _read_packed(body: bytes, coding: str, most: int, json_length: int | None) -> InferRequest:
    return read_request(expand(body, coding, most), json_length)


def _model(request: Request, name: str, version: str | None) -> LoadedModel:
    store: ModelRepository = request.app.state.models
    model = store.get(name, version)
    request.state.model = model.card.name
    return model


def _length(header: str | None) -> int | None:
    if header is None:
        return None
    if not (header.isascii() and header.isdecimal() and len(header) < 19):
        raise ProtocolError(f"Inference-Header-Content-Length needs to be a number of bytes; '{header[:60]}' came")
    return int(header)


def _accepted(header: str) -> str | None:
    """The compression that a client can read, the one it names first of those there are."""
    for part in header.lower().split(","):
        coding, _, quality = part.partition(";")
        if coding.strip() in CODINGS and quality.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000"):
            return coding.strip()
    return None
