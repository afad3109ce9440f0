"""Files as base64 in JSON: parsed within bounds, and in a worker unless they are small."""

from __future__ import annotations

import binascii
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ValidationError

from scs.errors import ImageError
from service.inference.event_loop import SMALL_JSON_BYTES

if TYPE_CHECKING:  # workers import this module to parse, and none of the rest
    from fastapi import Request

    from service.services import Services

Parsed = TypeVar("Parsed")
Model = TypeVar("Model", bound=BaseModel)

# Of commas and opening brackets, which bound how many values there are: base64 has none of them. Each value, and each
# that is not as it should be, takes some hundred bytes of memory for two that were sent.
MOST_MARKS = 1000
_STEP = 2**20  # characters that are decoded at once: other threads, and the event loop, have their turn in between
_LONGEST_NAME = 60


async def parse_aside(request: Request, body: bytes, parse: Callable[[bytes], Parsed]) -> Parsed:
    """Parse a body, of JSON or a form, in a worker if it is not small.

    Raises:
        BusyError, DeadlineError: as :meth:`service.workers.pool.WorkerPool.run`.
    """
    if len(body) <= SMALL_JSON_BYTES:
        return parse(body)
    services: Services = request.app.state.services
    deadline = time.monotonic() + services.settings.request_timeout_s
    return await services.decoders.run(deadline, parse, body)


def parse_json(kind: type[Model], body: bytes, form: str) -> Model:
    """Parse JSON that holds a few values, most of them files.

    Args:
        kind: what it should be.
        body: the JSON.
        form: what it should look like, for the message.

    Raises:
        ImageError: it is something else; the message names the first value that is wrong.
        ValidationError: there is a list that is longer than it may be.
    """
    marks = sum(body.count(mark) for mark in (b",", b"[", b"{"))
    if marks > MOST_MARKS:
        raise ImageError(
            f"JSON needs to be {form}, with at most {MOST_MARKS} commas and opening brackets; {marks} came"
        )
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        if first["type"] == "too_long":
            raise
        where = ".".join(map(str, first["loc"]))[:_LONGEST_NAME] or "the body"
        raise ImageError(f"JSON needs to be {form}; {where}: {first['msg'].lower()}") from None


def decode_base64(text: str) -> bytes:
    """Decode base64.

    Raises:
        ImageError: it is something else.
    """
    if text.find("=", 0, len(text) - 2) >= 0:  # a piece that ends with padding would be taken for whole
        raise _not_base64()
    try:
        return b"".join(
            binascii.a2b_base64(text[start : start + _STEP], strict_mode=True) for start in range(0, len(text), _STEP)
        )
    except ValueError:  # binascii.Error is one, and so is the error of text that is not ASCII
        raise _not_base64() from None


def _not_base64() -> ImageError:
    return ImageError("pictures in JSON need to be base64; something else came")
