"""What the units of a tensor see of the picture, as an operator's rules take it from its inputs to its output."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from fractions import Fraction

# What an axis of a tensor runs over: pictures, channels, rows, columns, tokens (rows and columns in one), or something
# else, such as what a mean has left.
Role = str  # "n", "c", "h", "w", "t" or "?"


@dataclass(frozen=True)
class Axis:
    """What units see along one side: unit ``i`` the pixels ``low + i * stride`` to ``high + i * stride``."""

    stride: Fraction = Fraction(1)
    low: Fraction = Fraction(0)
    high: Fraction = Fraction(0)

    def window(self, size: int, stride: int, dilation: int, before: int) -> Axis:
        """Return the axis behind a window of so many taps, with so many units of padding before the first."""
        return Axis(
            self.stride * stride,
            self.low - before * self.stride,
            self.high + ((size - 1) * dilation - before) * self.stride,
        )

    def scaled(self, factor: Fraction, first: Fraction, last: Fraction) -> Axis:
        """Return the axis whose unit ``i`` sees this one's units ``first + i * factor`` to ``last + i * factor``."""
        return Axis(self.stride * factor, self.low + first * self.stride, self.high + last * self.stride)

    def union(self, other: Axis) -> Axis | None:
        """Return what either sees; None where their units lie apart."""
        if self.stride != other.stride:
            return None
        return Axis(self.stride, min(self.low, other.low), max(self.high, other.high))

    @property
    def size(self) -> int:
        """Pixels that a unit sees, from the first to the last."""
        return math.ceil(self.high) - math.floor(self.low) + 1


@dataclass(frozen=True)
class Grid:
    """Tokens of a transformer: ``before`` are no place, as the class token is none; then come rows of columns."""

    rows: int
    columns: int
    before: int = 0
    after: int = 0

    @property
    def tokens(self) -> int:
        """All tokens."""
        return self.before + self.rows * self.columns + self.after


@dataclass(frozen=True)
class View:
    """What the units of a tensor see.

    Attributes:
        roles: what its axes run over.
        down: along the picture's height, of units along ``h``; None where that is not known.
        across: along its width.
        everywhere: whether a unit also sees the rest of the picture, or what it sees is not known.
        grid: of its tokens.
    """

    roles: tuple[Role, ...]
    down: Axis | None = None
    across: Axis | None = None
    everywhere: bool = False
    grid: Grid | None = None

    def has_places(self) -> bool:
        """Return whether its units are places of the picture."""
        return ("h" in self.roles and "w" in self.roles) or "t" in self.roles

    def lost(self, rank: int) -> View:
        """Return the view of a tensor of so many axes of which nothing is known but that it sees the picture."""
        return View(("?",) * rank, everywhere=True)

    def permuted(self, order: Iterable[int]) -> View:
        """Return the view with its axes in another order."""
        return replace(self, roles=tuple(self.roles[place] for place in order))


def united(views: list[View], shapes: list[tuple[int, ...]], shape: tuple[int, ...]) -> View:
    """Return the view of a tensor that is made, place by place, of others, which are repeated to its shape.

    Args:
        views: of those that depend on the picture.
        shapes: of the same.
        shape: of what is made.
    """
    rank = len(shape)
    aligned = [("?",) * (rank - len(view.roles)) + view.roles for view in views]
    sizes = [(1,) * (rank - len(s)) + s for s in shapes]
    roles: list[Role] = []
    for place in range(rank):
        # An axis of which there is one runs over nothing: who repeats it says what it runs over.
        said = [r[place] for r, s in zip(aligned, sizes, strict=True) if s[place] == shape[place] and r[place] != "?"]
        roles.append(next((role for role in said if role in "hwt"), said[0] if said else "?"))
    local = [view for view in views if view.down and view.across and view.has_places()]
    everywhere = any(view.everywhere for view in views) or len(local) < len(views)
    if not local:
        return View(tuple(roles), everywhere=everywhere, grid=next((v.grid for v in views if v.grid), None))
    down, across = local[0].down, local[0].across
    for view in local[1:]:
        assert down and across and view.down and view.across
        both = down.union(view.down), across.union(view.across)
        if both[0] is None or both[1] is None:
            everywhere = True
        else:
            down, across = both
    return View(tuple(roles), down, across, everywhere, next((v.grid for v in local if v.grid), None))
