"""A failure, as RFC 9457 has it."""

from __future__ import annotations

from pydantic import BaseModel, Field


class Problem(BaseModel):
    """A failure, as RFC 9457 has it."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str = Field(description="What was needed and what came.")
