"""What the OpenAPI description says of every route alike: the API key, and refusals before a route is reached."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI

from service.http.middleware.security import HEALTH
from service.http.problems import described, is_protocols

_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "`Authorization: Bearer` and the key."},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "The key itself."},
}
_V2_CONTENT = {
    "application/json": {
        "schema": {"type": "object", "properties": {"error": {"type": "string"}}, "required": ["error"]}
    }
}
_HEAD = (HTTPStatus.REQUEST_URI_TOO_LONG, HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)  # the path may not be known yet
_EITHER = (  # in the form of the path
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    HTTPStatus.MISDIRECTED_REQUEST,
)


def describe_refusals(app: FastAPI, with_key: bool) -> None:
    """Add to the OpenAPI description the refusals of any request, and the API key where one is needed.

    ``/docs`` then has a button that asks for it.
    """
    without = app.openapi

    def described_wholly() -> dict[str, Any]:
        description = without()
        components = description.setdefault("components", {})
        if with_key:
            components["securitySchemes"] = _SCHEMES
            description["security"] = [{name: []} for name in _SCHEMES]
        for path, operations in description["paths"].items():
            for method, operation in operations.items():
                origin = (HTTPStatus.FORBIDDEN,) if method == "post" else ()
                _complete(operation, path, (*_EITHER, *origin), with_key)
                for content in operation.get("requestBody", {}).get("content", {}).values():
                    components.setdefault("schemas", {}).update(content["schema"].get("$defs", {}))
        return description

    app.openapi = described_wholly  # type: ignore[method-assign]


def _complete(operation: dict[str, Any], path: str, statuses: tuple[HTTPStatus, ...], with_key: bool) -> None:
    responses = operation["responses"]
    for status in (*_HEAD, *statuses):
        responses.setdefault(str(status.value), described(status))
        if status in statuses and is_protocols(path):
            content = responses[str(status.value)].setdefault("content", {})
            responses[str(status.value)]["content"] = {**described(status)["content"], **_V2_CONTENT, **content}
    if with_key and path.startswith(HEALTH):
        operation["security"] = []
    elif with_key:
        unauthorized = described(HTTPStatus.UNAUTHORIZED)
        responses["401"] = {**unauthorized, "content": _V2_CONTENT} if is_protocols(path) else unauthorized
