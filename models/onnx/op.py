"""Sharpened cosine similarity as a custom ONNX op, ``ai.scs::SharpenedCosineSimilarity``.

The op travels inside the model file as a model-local function, so that any ONNX runtime can run it with nothing
installed. A runtime that has a native kernel for the op, or for one of the two it is made of, may use that instead.

Its inputs are the images ``x`` (N, C, H, W), the kernels ``w`` (K, C / group, kH, kW), the exponents ``p`` (K,) and the
noise floor ``q`` (a scalar); its attributes are those of ``Conv``. The body serves one group and depthwise layers
(``group`` equal to K): in between, a channel's norm would have to be repeated for its kernels.
"""

from __future__ import annotations

import onnx
from onnx import parser

DOMAIN = "ai.scs"
VERSION = 1
SIMILARITY = "SharpenedCosineSimilarity"
ONNX_OPSET = 20
_IR_VERSION_WITH_OVERLOADS = 10
UNIT = 2**16  # as scs.nn.squares.UNIT, and in models/onnx/native/ops.cpp

_HEADER = f'<opset_import: ["" : {ONNX_OPSET}, "{DOMAIN}" : {VERSION}], domain: "{DOMAIN}"'

# A square root needs a floor to keep gradients finite where a network is trained further; see scs.nn.similarity.
# Energies are sums of squares of x / unit: 1 unless said, as in the bundled networks and in banks.
_SHARPEN = f"""
{_HEADER}>
Sharpen <unit: int = 1> (dot, energy, p, q) => (y)
{{
    floor = Constant <value_float: float = 1e-12> ()
    eps = Constant <value_float: float = 1e-6> ()
    one = Constant <value_float: float = 1.0> ()
    axes = Constant <value_ints: ints = [1, 2]> ()
    whole = Constant <value_int: int = @unit> ()
    unit = Cast <to: int = 1> (whole)
    square = Mul (unit, unit)
    scaled_floor = Div (floor, square)
    floored = Add (energy, scaled_floor)
    root = Sqrt (floored)
    norm = Mul (root, unit)
    muted = Add (norm, q)
    reciprocal = Reciprocal (muted)
    cosine = Mul (dot, reciprocal)
    magnitude = Abs (cosine)
    above_zero = Add (magnitude, eps)
    logarithm = Log (above_zero)
    less_one = Sub (p, one)
    exponent = Unsqueeze (less_one, axes)
    scaled = Mul (exponent, logarithm)
    factor = Exp (scaled)
    y = Mul (cosine, factor)
}}
"""


def _window_sum_square(depthwise: bool) -> str:
    """Write the function that sums the squares of every patch: over channels, unless depthwise, and the window.

    Average pooling times the window's area is the fastest portable box sum.
    """
    summed = "Identity (squares)" if depthwise else "ReduceSum <keepdims: int = 1> (squares, channel)"
    return f"""
{_HEADER}>
{_energy(depthwise)} <kernel_shape, pads, strides, dilations, unit: int = 1> (x) => (energy)
{{
    whole = Constant <value_int: int = @unit> ()
    unit = Cast <to: int = 1> (whole)
    scale = Reciprocal (unit)
    scaled = Mul (x, scale)
    squares = Mul (scaled, scaled)
    channel = Constant <value_ints: ints = [1]> ()
    summed = {summed}
    mean = AveragePool <count_include_pad: int = 1, kernel_shape: ints = @kernel_shape, pads: ints = @pads,
                        strides: ints = @strides, dilations: ints = @dilations> (summed)
    window = Constant <value_ints: ints = @kernel_shape> ()
    pixels = ReduceProd <keepdims: int = 0> (window)
    area = Cast <to: int = 1> (pixels)
    energy = Mul (mean, area)
}}
"""


def _similarity(depthwise: bool) -> str:
    return f"""
{_HEADER}, overload: "{_overload(depthwise)}">
{SIMILARITY} <kernel_shape, pads, strides, dilations, group> (x, w, p, q) => (y)
{{
    floor = Constant <value_float: float = {1e-12 / UNIT**2}> ()
    unit = Constant <value_float: float = {UNIT}.0> ()
    taps = Constant <value_ints: ints = [1, 2, 3]> ()
    scaled = Div (w, unit)
    kernel_squares = Mul (scaled, scaled)
    kernel_energy = ReduceSum <keepdims: int = 1> (kernel_squares, taps)
    kernel_floored = Add (kernel_energy, floor)
    kernel_root = Sqrt (kernel_floored)
    kernel_norm = Mul (kernel_root, unit)
    kernel_muted = Add (kernel_norm, q)
    kernel = Div (w, kernel_muted)
    dot = Conv <kernel_shape: ints = @kernel_shape, pads: ints = @pads, strides: ints = @strides,
                dilations: ints = @dilations, group: int = @group> (x, kernel)
    energy = {DOMAIN}.{_energy(depthwise)} <kernel_shape: ints = @kernel_shape, pads: ints = @pads,
                strides: ints = @strides, dilations: ints = @dilations, unit: int = {UNIT}> (x)
    y = {DOMAIN}.Sharpen <unit: int = {UNIT}> (dot, energy, p, q)
}}
"""


def _energy(depthwise: bool) -> str:
    return "WindowSquare" if depthwise else "WindowSumSquare"


def _overload(depthwise: bool) -> str:
    return "depthwise" if depthwise else ""


def functions() -> list[onnx.FunctionProto]:
    """Return the op and the two functions it is made of, for dense layers and (as an overload) for depthwise ones."""
    texts = [_SHARPEN, *(body(depthwise) for body in (_window_sum_square, _similarity) for depthwise in (False, True))]
    return [parser.parse_function(text) for text in texts]


def attach(model: onnx.ModelProto) -> None:
    """Add the functions to a model whose graph calls the op, and point its depthwise calls to their overload."""
    calls = [node for node in model.graph.node if node.domain == DOMAIN]
    if not calls:
        return
    for node in calls:
        if any(a.name == "group" and a.i > 1 for a in node.attribute):
            node.overload = _overload(depthwise=True)
    model.functions.extend(functions())
    model.ir_version = max(model.ir_version, _IR_VERSION_WITH_OVERLOADS)
    if DOMAIN not in {opset.domain for opset in model.opset_import}:
        model.opset_import.append(onnx.helper.make_opsetid(DOMAIN, VERSION))
