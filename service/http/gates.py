"""Middleware that every request passes before any layer of the framework's own."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.types import ASGIApp


def put_before(app: FastAPI, gates: Sequence[Middleware]) -> None:
    """Put middleware round an application, outermost first.

    ``add_middleware`` would put it inside the layers that the framework has around everything, which take longer than
    a small network does, and behind which there is no way past them.
    """
    build = app.build_middleware_stack

    def with_gates() -> ASGIApp:
        inner = build()
        for gate in reversed(gates):
            inner = gate.cls(inner, *gate.args, **gate.kwargs)
        return inner

    app.build_middleware_stack = with_gates  # type: ignore[method-assign]
