"""What a reshape does to the view of a tensor: which axes stay, and which become tokens, or are split or joined."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from models.imports.views import Axis, Grid, Role, View

Shape = tuple[int, ...]


def reshaped(view: View, before: Shape, after: Shape) -> View:
    """Return the view of a tensor that was reshaped from one shape to another."""
    parts = _segments(before, after)
    if parts is None:
        return view.lost(len(after))
    roles: list[Role] = ["?"] * len(after)
    if after and after[0] == before[0] == 1 and view.roles[0] == "n":  # the only picture of a batch
        roles[0] = "n"
    for places, made in parts:
        found = _segment(view, [(view.roles[i], before[i]) for i in places], [after[i] for i in made])
        if found is None:
            return view.lost(len(after))
        view, names = found
        for place, name in zip(made, names, strict=True):
            roles[place] = name
    return replace(view, roles=tuple(roles))


def _segments(before: Shape, after: Shape) -> list[tuple[list[int], list[int]]] | None:
    """Split two shapes into the shortest runs of axes that hold as many numbers; axes of one are left out."""
    left = [i for i, size in enumerate(before) if size != 1]
    right = [i for i, size in enumerate(after) if size != 1]
    parts = []
    while left or right:
        if not (left and right):
            return None
        ours, theirs = [left.pop(0)], [right.pop(0)]
        have, need = before[ours[0]], after[theirs[0]]
        while have != need:
            if have < need and left:
                ours.append(left.pop(0))
                have *= before[ours[-1]]
            elif need < have and right:
                theirs.append(right.pop(0))
                need *= after[theirs[-1]]
            else:
                return None
        parts.append((ours, theirs))
    return parts


def _segment(view: View, ours: list[tuple[Role, int]], sizes: list[int]) -> tuple[View, list[Role]] | None:
    """Return the view, and the roles of what a run of axes becomes; None where that is not known."""
    roles = [role for role, _ in ours]
    if len(ours) == len(sizes) == 1:
        return view, [roles[0]]
    if not {"h", "w", "t"}.intersection(roles):
        return view, [roles[0], *["c"] * (len(sizes) - 1)] if roles[0] == "n" else ["c"] * len(sizes)
    if roles == ["h", "w"] and len(sizes) == 1:
        return replace(view, grid=Grid(ours[0][1], ours[1][1])), ["t"]
    if roles == ["t"] and view.grid and sizes == [view.grid.rows, view.grid.columns]:
        return (replace(view, grid=None), ["h", "w"]) if view.grid.before == view.grid.after == 0 else None
    if len(roles) == 1 and len(sizes) == 2 and roles[0] in "hw":
        return _split(view, roles[0], sizes[1])
    if len(roles) == 2 and len(sizes) == 1 and roles[0] in "hw" and roles[1] in "c?":
        return _joined(view, roles[0], ours[1][1])
    return None


def _split(view: View, role: Role, parts: int) -> tuple[View, list[Role]]:
    """Split an axis into one of runs of so many units, and one within a run."""
    view = _changed(view, role, Fraction(parts), Fraction(0), Fraction(parts - 1))
    return view, [role, "c"]


def _joined(view: View, role: Role, parts: int) -> tuple[View, list[Role]]:
    """Join an axis and so many channels for each of its units into one."""
    view = _changed(view, role, Fraction(1, parts), Fraction(1 - parts, parts), Fraction(0))
    return view, [role]


def _changed(view: View, role: Role, factor: Fraction, first: Fraction, last: Fraction) -> View:
    axis: Axis | None = view.down if role == "h" else view.across
    scaled = None if axis is None else axis.scaled(factor, first, last)
    return replace(view, down=scaled) if role == "h" else replace(view, across=scaled)
