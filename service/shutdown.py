"""The flag that a graceful shutdown has begun."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Stopping:
    """A flag that the server sets: from then on readiness fails, and each answer asks to close its connection."""

    begun: bool = False
