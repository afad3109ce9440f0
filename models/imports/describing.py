"""The card of a layer, from what its tensor's units see."""

from __future__ import annotations

import math

from models.cards.card import LayerCard, ReceptiveFieldCard
from models.imports.interface import Source
from models.imports.layers import Chosen
from models.imports.views import Axis


def layer_card(chosen: Chosen, tensor: str, shape: tuple[int, ...], source: Source) -> LayerCard:
    """Describe a layer.

    Args:
        chosen: the layer.
        tensor: that has its maps in the composed graph.
        shape: of the original's tensor.
        source: of the network, whose pictures have the size that the maps are of.
    """
    view = chosen.view
    if view.grid is not None and "t" in view.roles:
        is_apart = chosen.name.endswith(".class_token")
        rows, columns = (1, view.grid.before) if is_apart else (view.grid.rows, view.grid.columns)
    else:
        is_apart = False
        rows, columns = shape[view.roles.index("h")], shape[view.roles.index("w")]
    if is_apart:
        whole = ReceptiveFieldCard(
            size=source.height, width=source.width, stride=source.height, stride_across=source.width, offset=0,
            everywhere=True,
        )  # fmt: skip
        field = whole
    else:
        field = _field(view.down, view.across, view.everywhere, (rows, columns), source)
    return LayerCard(
        name=chosen.name,
        tensor=tensor,
        channels=shape[view.roles.index("c")],
        receptive_field=field,
        signed=True,
        maps=(rows, columns),
    )


def _field(
    down: Axis | None, across: Axis | None, everywhere: bool, size: tuple[int, int], source: Source
) -> ReceptiveFieldCard:
    """Return the field on a card; where what is local is not known, the part of the picture that a unit stands for."""
    sides = source.height, source.width
    axes = [axis if axis and axis.stride.denominator == 1 else None for axis in (down, across)]
    if None in axes:
        everywhere = True
    numbers = []
    for axis, units, pixels in zip(axes, size, sides, strict=True):
        stride = max(1, round(pixels / units))
        numbers.append((stride, 0, stride) if axis is None else (int(axis.stride), math.floor(axis.low), axis.size))
    (stride, offset, height), (stride_across, offset_across, width) = numbers
    return ReceptiveFieldCard(
        size=height,
        width=None if width == height else width,
        stride=stride,
        offset=offset,
        stride_across=None if stride_across == stride else stride_across,
        offset_across=None if offset_across == offset else offset_across,
        everywhere=everywhere,
    )
