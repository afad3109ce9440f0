"""The Open Inference Protocol over HTTP, but for health and the repository."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException
from starlette.routing import Route

from models.cards.card import InputCard
from scs.errors import ProtocolError
from service.http.disconnect import cancel_on_disconnect
from service.inference.event_loop import SMALL_JSON_BYTES
from service.oip.compression import CODINGS, compress, expand
from service.oip.data_plane import DataPlane
from service.oip.images import pack_numbers
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
from service.repository.loader import LoadedModel
from service.services import Services
from service.settings import Settings

_FAILURES: dict[int | str, dict[str, Any]] = {
    status: {"model": ProtocolFailure, "description": HTTPStatus(status).phrase}
    for status in (400, 404, 413, 415, 422, 500, 503, 504)
}
router = APIRouter(prefix="/v2", tags=["inference protocol"], responses=_FAILURES)

_JSON, _BINARY = "application/json", "application/octet-stream"
_HEADER_LENGTH = "inference-header-content-length"
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
async def server_metadata(request: Request) -> ServerMetadata:
    """Return the server's name and version, and the extensions of the protocol that it has."""
    return ServerMetadata.model_validate(_data_plane(request).server_metadata())


@router.get("/models/stats", summary="What every model has done, in Triton's form")
async def all_statistics(request: Request) -> ModelStatistics:
    """Return the counts and durations (nanoseconds) of every usable version since it was loaded."""
    return ModelStatistics.model_validate(await _data_plane(request).statistics(None, None))


@router.get("/models/{name}", summary="A model's tensors")
@router.get("/models/{name}/versions/{version}", summary="A version's tensors")
async def model_metadata(request: Request, name: str, version: str | None = None) -> ModelMetadata:
    """Return the inputs and outputs of a model; a version is a number or a label."""
    _note(request, name, version)
    return ModelMetadata.model_validate(_data_plane(request).model_metadata(name, version))


@router.get("/models/{name}/ready", summary="Whether a model can be asked")
@router.get("/models/{name}/versions/{version}/ready", summary="Whether a version can be asked")
async def model_ready(request: Request, name: str, version: str | None = None) -> ModelReady:
    """Answer 200 if the model can be used, 404 if there is no such model, 503 if it cannot be used."""
    return ModelReady(name=_note(request, name, version).card.name)


@router.get("/models/{name}/config", summary="A model's configuration, in Triton's form")
@router.get("/models/{name}/versions/{version}/config", summary="A version's configuration, in Triton's form")
async def get_config(request: Request, name: str, version: str | None = None) -> dict[str, Any]:
    """Return a model's configuration, which Triton's tools ask for before they send anything."""
    _note(request, name, version)
    return _data_plane(request).model_config(name, version)


@router.get("/models/{name}/stats", summary="What a model has done, in Triton's form")
@router.get("/models/{name}/versions/{version}/stats", summary="What a version has done, in Triton's form")
async def statistics(request: Request, name: str, version: str | None = None) -> ModelStatistics:
    """Return the counts and durations (nanoseconds) of a version since it was loaded, or of every usable one."""
    _note(request, name, version)
    return ModelStatistics.model_validate(await _data_plane(request).statistics(name, version))


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
    """Run a model on images ``[N, H, W, C]``, as JSON or as binary data behind it; return logits ``[N, classes]``."""
    model = _note(request, request.path_params["name"], request.path_params.get("version"))
    data_plane = _data_plane(request)
    data_plane.check_room(model)
    body = await request.body()
    with cancel_on_disconnect(request):
        asked = await _read(body, request, model, data_plane)
        response = await data_plane.infer(model, asked)
        if response.is_small:
            answer, json_length = write_response(response)
        else:
            answer, json_length = await data_plane.aside(model, write_response, response)
    headers = {} if json_length is None else {_HEADER_LENGTH: str(json_length)}
    coding = _accepted(request.headers.get("accept-encoding", ""))
    if coding and len(answer) >= _WORTH_COMPRESSING:
        answer = await data_plane.aside(model, compress, answer, coding)
        headers |= {"content-encoding": coding, "vary": "accept-encoding"}
    return Response(answer, headers=headers, media_type=_JSON if json_length is None else _BINARY)


HOT = [
    Route("/v2/models/{name}/infer", post_infer, methods=["POST"]),
    Route("/v2/models/{name}/versions/{version}/infer", post_infer, methods=["POST"]),
]


async def _read(body: bytes, request: Request, model: LoadedModel, data_plane: DataPlane) -> InferRequest:
    """Read a request, in a worker if that takes long."""
    headers = request.headers
    coding = headers.get("content-encoding", "identity").strip().lower()
    length = _length(headers.get(_HEADER_LENGTH))
    if coding == "identity" and (len(body) if length is None else length) <= SMALL_JSON_BYTES:
        return read_request(body, length)
    if coding != "identity" and coding not in CODINGS:
        raise HTTPException(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f"a body may be compressed as {' or '.join(CODINGS)}; '{coding[:60]}' came",
            {"accept-encoding": ", ".join(CODINGS)},
        )
    settings = Services.of(request).settings
    return await data_plane.aside(model, _read_aside, body, coding, length, model.card.input, settings)


def _read_aside(body: bytes, coding: str, length: int | None, wanted: InputCard, settings: Settings) -> InferRequest:
    whole = body if coding == "identity" else expand(body, coding, settings.max_body_bytes)
    return pack_numbers(read_request(whole, length), wanted, settings)


def _data_plane(request: Request) -> DataPlane:
    return Services.of(request).data_plane


def _note(request: Request, name: str, version: str | None) -> LoadedModel:
    """Return the model that a request asks for, and label the request's metrics with it."""
    model = _data_plane(request).model(name, version)
    request.state.model = model.card.name
    return model


def _length(header: str | None) -> int | None:
    if header is None:
        return None
    if not (header.isascii() and header.isdecimal() and len(header) < 19):
        raise ProtocolError(f"Inference-Header-Content-Length needs to be a number of bytes; '{header[:60]}' came")
    return int(header)


def _accepted(header: str) -> str | None:
    """Return the first compression that a client accepts and the server has, or None."""
    for part in header.lower().split(","):
        coding, _, quality = part.partition(";")
        if coding.strip() in CODINGS and quality.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000"):
            return coding.strip()
    return None
