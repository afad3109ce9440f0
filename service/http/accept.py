"""Which form of an answer a client takes."""

from __future__ import annotations

from collections.abc import Container

from fastapi import Request


def accepted_form(request: Request, forms: Container[str], otherwise: str = "application/json") -> str:
    """The first media type named in the ``Accept`` header that is one of ``forms``; ``otherwise`` where none is."""
    named = (part.partition(";")[0].strip().lower() for part in request.headers.get("accept", "").split(","))
    return next((kind for kind in named if kind in forms), otherwise)
