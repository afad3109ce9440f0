"""The body of an error answer: problem details (RFC 9457)."""

from __future__ import annotations

from pydantic import BaseModel, Field


class Problem(BaseModel):
    """Problem details of a failed request (RFC 9457)."""

    type: str = Field(description="The kind of the failure, `/problems/…`; docs/http.md lists them.")
    title: str
    status: int
    detail: str = Field(description="What was needed and what came.")
