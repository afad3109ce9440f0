"""Options of a query string, for routes that FastAPI does not handle."""

from __future__ import annotations

from functools import lru_cache
from typing import TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.datastructures import QueryParams

Options = TypeVar("Options", bound=BaseModel)


def read_options(request: Request, kind: type[Options]) -> Options:
    """Parse the options of a request from its query string; equal queries share one cached object.

    Raises:
        RequestValidationError: one that is unknown, or malformed; as the framework raises it.
    """
    try:
        return _options(kind, request.scope["query_string"])  # type: ignore[return-value]
    except ValidationError as error:
        raise RequestValidationError(error.errors()) from None


@lru_cache(maxsize=256)  # most clients ask with the same query again and again
def _options(kind: type[BaseModel], query: bytes) -> BaseModel:
    return kind.model_validate(dict(QueryParams(query)))
