"""Who a request comes from, for the fair sharing of what is scarce."""

from __future__ import annotations

from fastapi import Request


def client_of(request: Request) -> str:
    """Return what tells clients apart: the address, as the server or a trusted proxy before it saw it."""
    return request.client.host if request.client else ""
