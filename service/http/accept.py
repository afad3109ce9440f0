"""Content negotiation: the media type of an answer, by the ``Accept`` header."""

from __future__ import annotations

from collections.abc import Container

from fastapi import Request


def accepted_form(request: Request, forms: Container[str], otherwise: str = "application/json") -> str:
    """Return the first media type in the ``Accept`` header that is one of ``forms``, else ``otherwise``."""
    named = (part.partition(";")[0].strip().lower() for part in request.headers.get("accept", "").split(","))
    return next((kind for kind in named if kind in forms), otherwise)
