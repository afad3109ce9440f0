"""The HTTP status of every exception, and ``application/problem+json`` (RFC 9457) as the body of failures."""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import Scope

from scs.errors import (
    BusyError,
    ClientGoneError,
    DeadlineError,
    DeviceError,
    FixedSizeError,
    ImageError,
    MissingPackageError,
    ModelError,
    NoKeyError,
    NotFiniteError,
    OptionError,
    ProtocolError,
    ScsError,
    ShapeError,
    TooLargeError,
    UnknownNameError,
    UnsupportedImageError,
)
from service.api.problem import Problem

_log = logging.getLogger(__name__)

STATUSES: dict[type[ScsError], HTTPStatus] = {
    UnsupportedImageError: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    ImageError: HTTPStatus.BAD_REQUEST,
    ProtocolError: HTTPStatus.BAD_REQUEST,
    UnknownNameError: HTTPStatus.NOT_FOUND,
    TooLargeError: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    FixedSizeError: HTTPStatus.BAD_REQUEST,
    OptionError: HTTPStatus.UNPROCESSABLE_ENTITY,
    ShapeError: HTTPStatus.UNPROCESSABLE_ENTITY,
    NoKeyError: HTTPStatus.FORBIDDEN,
    NotFiniteError: HTTPStatus.INTERNAL_SERVER_ERROR,
    ModelError: HTTPStatus.SERVICE_UNAVAILABLE,
    MissingPackageError: HTTPStatus.SERVICE_UNAVAILABLE,
    DeviceError: HTTPStatus.SERVICE_UNAVAILABLE,
    DeadlineError: HTTPStatus.GATEWAY_TIMEOUT,
    BusyError: HTTPStatus.SERVICE_UNAVAILABLE,
}

# The kinds of failures that have no exception of ours, by their status.
_KINDS: dict[int, str] = {
    400: "bad-request",
    401: "key-needed",
    403: "foreign-origin",
    404: "no-route",
    405: "method-not-allowed",
    408: "too-slow",
    413: "too-large",
    414: "address-too-long",
    415: "content-coding",
    421: "foreign-host",
    422: "option",
    431: "head-too-large",
    500: "unforeseen",
    503: "stopping",
}
CLIENT_GONE = 499  # nobody reads it but the log and the metrics; the number is nginx's
_DOCUMENTED = (400, 404, 413, 415, 422, 500, 503)


def described(status: int) -> dict[str, Any]:
    """Return the OpenAPI description of a failure with this status."""
    schema = Problem.model_json_schema()
    return {"description": HTTPStatus(status).phrase, "content": {"application/problem+json": {"schema": schema}}}


RESPONSES: dict[int | str, dict[str, Any]] = {status: described(status) for status in _DOCUMENTED}
DEADLINE_RESPONSE: dict[int | str, dict[str, Any]] = {504: described(504)}


def status_of(error: ScsError) -> HTTPStatus:
    """Return the HTTP status of an exception of this project, by its class or the nearest base class."""
    for kind in type(error).__mro__:
        if kind in STATUSES:
            return STATUSES[kind]
    return HTTPStatus.INTERNAL_SERVER_ERROR


def kind_of(error: ScsError) -> str:
    """Return the kind of problem that an exception of this project is: the name of the class that has its status."""
    known = next((kind for kind in type(error).__mro__ if kind in STATUSES), None)
    return _KINDS[500] if known is None else _kind(known)


def _kind(error: type[ScsError]) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", error.__name__.removesuffix("Error")).lower()


def kinds() -> set[str]:
    """Return every kind of problem that there is."""
    return {*_KINDS.values(), *map(_kind, STATUSES)}


Handler = Callable[[Request, Exception], Awaitable[Response]]


async def _ours(request: Request, error: Exception) -> Response:
    assert isinstance(error, ScsError)
    return problem_of(error, _path(request))


async def _wrong_option(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return failure(_path(request), HTTPStatus.UNPROCESSABLE_ENTITY, _sentence(error))


async def _frameworks(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    route = f"{request.method} {_path(request)}"
    unknown = error.status_code == HTTPStatus.NOT_FOUND and error.detail == HTTPStatus.NOT_FOUND.phrase
    detail = f"there is no route {route[:100]}; /docs lists those there are" if unknown else str(error.detail)
    response = failure(_path(request), HTTPStatus(error.status_code), detail)
    response.headers.update(error.headers or {})
    if response.headers.get("allow") == "GET":
        response.headers["allow"] = "GET, HEAD"
    return response


# Every failure that is foreseen, ours and the frameworks'. What is not is answered by the instrumentation.
PROBLEM_HANDLERS: dict[type[Exception], Handler] = {
    ScsError: _ours,
    RequestValidationError: _wrong_option,
    HTTPException: _frameworks,
}


def _path(request: Request) -> str:
    """Return the path of a request without the prefix below which a proxy shows the service."""
    path: str = request.scope["path"]
    return path.removeprefix(request.scope.get("root_path", ""))


def unforeseen(scope: Scope, error: Exception) -> JSONResponse:
    """Log an unhandled exception, and answer 500 without its details."""
    _log.error("%s %s failed", scope["method"], scope["path"], exc_info=error)
    return failure(
        scope["path"],
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "the request failed for a reason that was not foreseen; it was logged",
    )


def problem_of(error: ScsError, path: str = "/") -> Response:
    """Turn an exception of this project into an answer, with ``Retry-After`` where the service is busy."""
    if isinstance(error, ClientGoneError):
        return Response(status_code=CLIENT_GONE)
    response = failure(path, status_of(error), str(error), kind_of(error))
    if isinstance(error, BusyError):
        response.headers["retry-after"] = str(error.retry_after_s)
    return response


def problem(status: HTTPStatus, detail: str, kind: str | None = None) -> JSONResponse:
    """Return a failure as ``application/problem+json``.

    Args:
        status: its HTTP status.
        detail: what was needed and what came.
        kind: what its ``type`` names, by the status unless given.
    """
    kind = kind or _KINDS.get(status, _KINDS[400])
    content = Problem(type=f"/problems/{kind}", title=status.phrase, status=status, detail=detail).model_dump()
    return JSONResponse(content, status, media_type="application/problem+json")


def failure(path: str, status: HTTPStatus, detail: str, kind: str | None = None) -> JSONResponse:
    """Return a failure in the form of its path: ``{"error": …}`` for the inference protocol, else problem details."""
    if is_protocols(path):
        return JSONResponse({"error": detail}, status)
    return problem(status, detail, kind)


def is_protocols(path: str) -> bool:
    """Return whether the inference protocol describes a path, failures included."""
    return path == "/v2" or (path.startswith("/v2/") and not path.startswith("/v2/health/"))


def _sentence(error: RequestValidationError) -> str:
    first = error.errors()[0]
    name = first["loc"][-1] if first["loc"] else "request"
    if first["type"] == "extra_forbidden":
        return f"there is no option {str(name)[:60]}; /docs lists those there are"
    came = "" if first["type"] == "missing" else f"; '{str(first.get('input'))[:60]}' came"
    return f"{name}: {first['msg'].lower()}{came}"
