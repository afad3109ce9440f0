"""Validation of the parameters of requests, inputs and outputs."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from typing import Any, TypeGuard

from scs.errors import ProtocolError

Parameters = Mapping[str, Any]
MOST_TENSORS = 16  # inputs of a request, and outputs that it asks for
MOST_DIMENSIONS = 8  # of a tensor
_SHARED_MEMORY = "shared_memory_region"
_short = reprlib.Repr()
_short.maxstring = _short.maxother = 60


def flag(parameters: Parameters, name: str, otherwise: bool = False) -> bool:
    """Return a parameter that needs to be true or false.

    Raises:
        ProtocolError: it is neither.
    """
    value = parameters.get(name, otherwise)
    if not isinstance(value, bool):
        raise ProtocolError(f"{name} needs to be true or false; {shown(value)} came")
    return value


def count(parameters: Parameters, name: str) -> int | None:
    """Return a parameter that needs to be a whole number from 0 on, or None where it is missing.

    Raises:
        ProtocolError: it is something else.
    """
    value = parameters.get(name)
    if value is not None and not is_count(value):
        raise ProtocolError(f"{name} needs to be a whole number; {shown(value)} came")
    return value


def refuse_shared_memory(parameters: Parameters) -> None:
    """Refuse a tensor that lies in shared memory.

    Raises:
        ProtocolError: it is.
    """
    if _SHARED_MEMORY in parameters:
        raise ProtocolError("tensors need to be in the request or the answer; shared memory is not read here")


def check_count(came: int, what: str) -> None:
    """Refuse a request with more inputs or outputs than any network has.

    Raises:
        ProtocolError: there are more than ``MOST_TENSORS``.
    """
    if came > MOST_TENSORS:
        raise ProtocolError(f"a request may have {MOST_TENSORS} {what}; {came} came")


def check_dimensions(name: str, came: int) -> None:
    """Refuse a shape of more dimensions than any tensor has, before its sizes are looked at or multiplied.

    Raises:
        ProtocolError: there are more than ``MOST_DIMENSIONS``.
    """
    if came > MOST_DIMENSIONS:
        raise ProtocolError(f"the shape of {shown(name)} may have {MOST_DIMENSIONS} dimensions; {came} came")


def is_count(value: object) -> TypeGuard[int]:
    """Return whether a value is a whole number from 0 on."""
    return type(value) is int and value >= 0


def shown(value: object) -> str:
    """Return a value as error messages quote it: shortened, since it may be a million numbers."""
    return "nothing" if value is None else _short.repr(value)
