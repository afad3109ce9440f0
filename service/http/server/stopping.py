"""Whether a graceful shutdown has begun."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Stopping:
    """Set once, by the server: from then on nothing is ready, and each answer asks for its connection to be closed."""

    begun: bool = False
