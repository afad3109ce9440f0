"""What ``scs evaluate`` finds, for programs and for people."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Progressing = Callable[[str, int], Callable[[int], None]]  # what, of how many images; then how many are done


@dataclass(frozen=True)
class Finding:
    """What one measurement came to.

    Attributes:
        figures: by name, as JSON has them.
        show: prints them.
    """

    figures: dict[str, object]
    show: Callable[[], None]
