"""Answers of the health routes."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel


class Live(BaseModel):
    """Answer of ``GET /v2/health/live``."""

    live: Literal[True] = True


class Ready(BaseModel):
    """Answer of ``GET /v2/health/ready``."""

    ready: bool
