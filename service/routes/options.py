"""Options out of a request's query, where the framework does not read them."""

from __future__ import annotations

from typing import TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

Options = TypeVar("Options", bound=BaseModel)


def read_options(request: Request, kind: type[Options]) -> Options:
    """The options of a request.

    Raises:
        RequestValidationError: one that is unknown, or malformed; as the framework raises it.
    """
    try:
        return kind.model_validate(dict(request.query_params) if request.scope["query_string"] else {})
    except ValidationError as error:
        raise RequestValidationError(error.errors()) from None
