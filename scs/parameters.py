"""Numbers of weights from one picture to another: dense, with shared weights, with local ones, and as a convolution.

A picture ``(H, W, C)`` becomes a picture ``(H', W', K)`` without padding, so that a kernel has ``H - H' + 1`` by
``W - W' + 1`` pixels. Biases are left out; a dense layer has ``H' * W' * K`` of them, a convolution ``K``.

Source: the order of the steps is that of A. Zhang et al., "Dive into Deep Learning" (2023), section 7.1.

Example:
    >>> [count((32, 32, 3), (28, 28, 64)) for count in (dense, shared, local, convolution)]
    [154140672, 668352, 3763200, 4800]
"""

from __future__ import annotations

import math

from scs.errors import ShapeError

Shape = tuple[int, int, int]  # height, width, channels


def dense(inputs: Shape, outputs: Shape) -> int:
    """Count the weights of a dense layer: one for each pair of an input and an output."""
    _check(inputs, outputs)
    return math.prod(inputs) * math.prod(outputs)


def shared(inputs: Shape, outputs: Shape) -> int:
    """Count the weights of a dense layer that shares them: one for each offset between places and pair of channels.

    The same everywhere: what is looked for does not depend on where it is.
    """
    _check(inputs, outputs)
    return (inputs[0] + outputs[0] - 1) * (inputs[1] + outputs[1] - 1) * inputs[2] * outputs[2]


def local(inputs: Shape, outputs: Shape) -> int:
    """Count the weights of a locally connected layer: one for each output and each input in its window."""
    return math.prod(outputs) * _window(inputs, outputs) * inputs[2]


def convolution(inputs: Shape, outputs: Shape) -> int:
    """Count the weights of a convolution, shared and local: one for each tap of each kernel."""
    return _window(inputs, outputs) * inputs[2] * outputs[2]


def _window(inputs: Shape, outputs: Shape) -> int:
    """Pixels of a kernel."""
    _check(inputs, outputs)
    height, width = (wide - narrow + 1 for wide, narrow in zip(inputs[:2], outputs[:2], strict=True))
    if min(height, width) < 1:
        raise ShapeError(f"without padding a picture does not grow, but {inputs[:2]} is to become {outputs[:2]}")
    return height * width


def _check(inputs: Shape, outputs: Shape) -> None:
    for shape in (inputs, outputs):
        if min(shape) < 1:
            raise ShapeError(f"a picture is (height, width, channels), each 1 or more; {shape} came")
