"""Windows that slide over maps: where they begin, and how what came of each is spread back over what it saw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from models.onnx.gradient.writer import Node, Writer


@dataclass(frozen=True)
class Window:
    """A window's size, and the steps between windows and between the numbers of one, for each axis of the maps."""

    size: Sequence[int]
    strides: Sequence[int]
    dilations: Sequence[int]
    pads: Sequence[int] | None  # before each axis, then after each; None where the sizes of the maps decide
    more_before: bool  # whether the odd one of such pads comes before

    @property
    def reach(self) -> list[int]:
        """Numbers from a window's first to its last, along each axis."""
        return [dilation * (size - 1) + 1 for size, dilation in zip(self.size, self.dilations, strict=True)]


def window_of(node: Node, size: Sequence[int]) -> Window:
    """Return the window of a convolution or of a pooling."""
    axes = len(size)
    automatic = node.attribute("auto_pad", b"NOTSET")
    pads = node.attribute("pads", [0] * 2 * axes)
    return Window(
        size,
        node.attribute("strides", [1] * axes),
        node.attribute("dilations", [1] * axes),
        None if automatic.startswith(b"SAME") else [0] * 2 * axes if automatic == b"VALID" else pads,
        automatic == b"SAME_LOWER",
    )


def spread_back(node: Node, w: Writer, window: Window, gradient: str, kernels: str, group: int) -> str:
    """Return the gradient of what windows slid over, from that of what came of them.

    A transposed convolution spreads each number over its window. It reaches to the end of the last window, which is
    before or behind the end of the maps, so that the rest is added or cut off.
    """
    steps = {"strides": window.strides, "dilations": window.dilations, "kernel_shape": window.size}
    spread = w.add("ConvTranspose", gradient, kernels, group=group, **steps)
    before = _pads_before(node, w, window)
    sizes, reached = (w.add("Shape", name, start=2) for name in (node.x, spread))
    after = w.add("Sub", w.add("Add", sizes, before), reached)
    none = w.constant([0, 0])
    return w.add("Pad", spread, w.add("Concat", none, w.add("Neg", before), none, after, axis=0))


def _pads_before(node: Node, w: Writer, window: Window) -> str:
    """Return how far the first window begins before the maps, along each axis."""
    if window.pads is not None:
        return w.constant(window.pads[: len(window.size)])
    sizes, counts = (w.add("Shape", name, start=2) for name in (node.x, node.y))
    strides, reach = w.constant(window.strides), w.constant(window.reach)
    last = w.add("Add", w.add("Mul", w.add("Sub", counts, w.constant(1)), strides), reach)
    both = w.add("Max", w.add("Sub", last, sizes), w.constant(0))
    return w.add("Div", w.add("Add", both, w.constant(int(window.more_before))), w.constant(2))
