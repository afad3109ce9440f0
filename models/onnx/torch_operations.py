"""What the operations of ONNX are in torch, for the graphs that torch runs: those of usual classifiers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import onnx
import torch
import torch.nn.functional as F
from onnx import TensorProto, numpy_helper
from torch import Tensor

from models.onnx import op as onnx_op
from scs.nn.similarity import sharpened_cosine_similarity

Pads = Sequence[int]  # top, left, bottom, right
_FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.BFLOAT16)
_WHOLE: dict[int, torch.dtype] = {
    TensorProto.INT64: torch.int64,
    TensorProto.INT32: torch.int32,
    TensorProto.UINT8: torch.uint8,
    TensorProto.BOOL: torch.bool,
}


def _similarity(x: Tensor, w: Tensor, p: Tensor, q: Tensor, *, pads: Pads, group: int, **window: Any) -> Tensor:
    strides, dilations = window["strides"], window["dilations"]
    return sharpened_cosine_similarity(_padded(x, pads), w, p, q, stride=strides, dilation=dilations, groups=group)


def _convolution(
    x: Tensor,
    w: Tensor,
    bias: Tensor | None = None,
    *,
    pads: Pads = (0, 0, 0, 0),
    strides: Sequence[int] = (1, 1),
    dilations: Sequence[int] = (1, 1),
    group: int = 1,
    auto_pad: bytes = b"NOTSET",
    **_: Any,
) -> Tensor:
    top, left, *after = pads = _chosen_pads(x, w.shape[2:], strides, dilations, pads, auto_pad)
    if [top, left] == after:  # no copy of the maps
        return F.conv2d(x, w, bias, list(strides), [top, left], list(dilations), group)
    return F.conv2d(_padded(x, pads), w, bias, list(strides), 0, list(dilations), group)


def _max_pool(
    x: Tensor,
    *,
    kernel_shape: Sequence[int],
    pads: Pads = (0, 0, 0, 0),
    strides: Sequence[int] = (1, 1),
    dilations: Sequence[int] = (1, 1),
    ceil_mode: int = 0,
    auto_pad: bytes = b"NOTSET",
    **_: Any,
) -> Tensor:
    x = _padded(x, _chosen_pads(x, kernel_shape, strides, dilations, pads, auto_pad), -torch.inf)
    return F.max_pool2d(x, list(kernel_shape), list(strides), 0, list(dilations), ceil_mode=bool(ceil_mode))


def _mean_pool(
    x: Tensor,
    *,
    kernel_shape: Sequence[int],
    pads: Pads = (0, 0, 0, 0),
    strides: Sequence[int] = (1, 1),
    count_include_pad: int = 0,
    ceil_mode: int = 0,
    auto_pad: bytes = b"NOTSET",
    **_: Any,
) -> Tensor:
    pads = _chosen_pads(x, kernel_shape, strides, (1, 1), pads, auto_pad)
    inside = _padded(torch.ones_like(x[:1, :1]), pads)
    sizes = list(kernel_shape), list(strides), 0, bool(ceil_mode)
    pooled = F.avg_pool2d(_padded(x, pads), *sizes)
    return pooled if count_include_pad else pooled / F.avg_pool2d(inside, *sizes)


def _chosen_pads(
    x: Tensor, kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int], pads: Pads, auto_pad: bytes
) -> Pads:
    """Return padding as it is said, or as its name says; an odd pixel of SAME_UPPER comes at the end."""
    if auto_pad in (b"NOTSET", b"VALID", b""):
        return pads
    before, after = [], []
    for size, side, stride, dilation in zip(x.shape[2:], kernel, strides, dilations, strict=True):
        missing = max(0, (math.ceil(size / stride) - 1) * stride + dilation * (side - 1) + 1 - size)
        small, large = missing // 2, missing - missing // 2
        before.append(small if auto_pad == b"SAME_UPPER" else large)
        after.append(large if auto_pad == b"SAME_UPPER" else small)
    return *before, *after


def _slice(x: Tensor, starts: Tensor, ends: Tensor, axes: Tensor | None = None, steps: Tensor | None = None) -> Tensor:
    axes = torch.arange(len(starts), device=starts.device) if axes is None else axes
    steps = torch.ones_like(starts) if steps is None else steps
    for start, end, axis, step in torch.stack([starts, ends, axes, steps], 1).tolist():
        parts = [slice(None)] * x.ndim
        parts[axis] = slice(start, end, step)
        x = x[tuple(parts)]
    return x


def _padded(x: Tensor, pads: Pads, value: float = 0.0) -> Tensor:
    top, left, bottom, right = pads
    return F.pad(x, (left, right, top, bottom), value=value) if any(pads) else x


def _pad(
    x: Tensor,
    pads: Tensor,
    value: Tensor | None = None,
    axes: Tensor | None = None,
    *,
    mode: bytes = b"constant",
    **_: Any,
) -> Tensor:
    chosen = list(range(x.ndim)) if axes is None else [int(axis) % x.ndim for axis in axes.tolist()]
    before, after = pads.tolist()[: len(chosen)], pads.tolist()[len(chosen) :]
    amounts = {axis: sides for axis, *sides in zip(chosen, before, after, strict=True)}
    first = min((axis for axis, sides in amounts.items() if any(sides)), default=x.ndim)
    backwards = [side for axis in range(x.ndim - 1, first - 1, -1) for side in amounts.get(axis, (0, 0))]
    if mode == b"constant":
        return F.pad(x, backwards, value=0.0 if value is None else float(value))
    return F.pad(x, backwards, mode={b"edge": "replicate", b"reflect": "reflect"}[mode])


def _cast(x: Tensor, *, to: int, **_: Any) -> Tensor:
    if to in _FLOATS:
        return x if x.is_floating_point() else x.float()
    return x.to(_WHOLE[to])


def _gemm(
    a: Tensor, b: Tensor, c: Tensor | None = None, *, alpha: float = 1.0, beta: float = 1.0, **turned: Any
) -> Tensor:
    a, b = a.T if turned.get("transA") else a, b.T if turned.get("transB") else b
    product = a @ b if alpha == 1 else alpha * (a @ b)
    return product if c is None else product + beta * c


def _reshape(x: Tensor, shape: Tensor, *, allowzero: int = 0, **_: Any) -> Tensor:
    sizes = [x.shape[i] if size == 0 and not allowzero else size for i, size in enumerate(shape.tolist())]
    return x.reshape(sizes)


def _flatten(x: Tensor, *, axis: int = 1, **_: Any) -> Tensor:
    return x.reshape(math.prod(x.shape[: axis % (x.ndim + 1)]), -1)


def _gather(x: Tensor, indices: Tensor, *, axis: int = 0, **_: Any) -> Tensor:
    axis = axis % x.ndim
    wanted = torch.where(indices < 0, indices + x.shape[axis], indices)
    chosen = x.index_select(axis, wanted.reshape(-1))
    return chosen.reshape([*x.shape[:axis], *wanted.shape, *x.shape[axis + 1 :]])


def _reduced(operation: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def reduced(
        x: Tensor, given: Tensor | None = None, *, axes: Sequence[int] | None = None, keepdims: int = 1, **_: Any
    ) -> Tensor:
        chosen = axes if given is None else given.tolist()
        return operation(x, list(range(x.ndim)) if chosen is None else list(chosen), keepdim=bool(keepdims))

    return reduced


def _squeeze(x: Tensor, given: Tensor | None = None, *, axes: Sequence[int] | None = None, **_: Any) -> Tensor:
    chosen = axes if given is None else given.tolist()
    return x.squeeze() if chosen is None else x.squeeze(tuple(chosen))


def _unsqueeze(x: Tensor, given: Tensor | None = None, *, axes: Sequence[int] = (), **_: Any) -> Tensor:
    chosen = [*axes] if given is None else given.tolist()
    for axis in sorted(axis % (x.ndim + len(chosen)) for axis in chosen):
        x = x.unsqueeze(axis)
    return x


def _clip(x: Tensor, low: Tensor | None = None, high: Tensor | None = None, **named: float) -> Tensor:
    least = named.get("min") if low is None else float(low)
    most = named.get("max") if high is None else float(high)
    return x if least is None and most is None else x.clamp(least, most)


def _normalised(x: Tensor, gain: Tensor, bias: Tensor | None = None, **options: Any) -> Tensor:
    shape = x.shape[options.get("axis", -1) % x.ndim :]
    return F.layer_norm(x, shape, gain, bias, options.get("epsilon", 1e-5))


def _shape(x: Tensor, *, start: int = 0, end: int | None = None, **_: Any) -> Tensor:
    return torch.tensor(x.shape[start:end], device=x.device)


def _constant_of_shape(shape: Tensor, *, value: onnx.TensorProto | None = None, **_: Any) -> Tensor:
    filled = torch.zeros(1) if value is None else torch.from_numpy(numpy_helper.to_array(value).copy())
    return filled.to(shape.device).expand(shape.tolist())


def _split(
    x: Tensor, sizes: Tensor | None = None, *, axis: int = 0, num_outputs: int = 0, split: Sequence[int] = (), **_: Any
) -> tuple[Tensor, ...]:
    parts = [*split] if sizes is None else sizes.tolist()
    pieces: tuple[Tensor, ...] = x.split(parts or math.ceil(x.shape[axis] / num_outputs), axis)
    return pieces


def _expand(x: Tensor, shape: Tensor) -> Tensor:
    return x.expand(torch.broadcast_shapes(x.shape, tuple(shape.tolist())))


def _hard_sigmoid(x: Tensor, *, alpha: float = 0.2, beta: float = 0.5, **_: Any) -> Tensor:
    return (alpha * x + beta).clamp(0, 1)


def _divided(a: Tensor, b: Tensor) -> Tensor:
    return a / b if a.is_floating_point() else torch.div(a, b, rounding_mode="trunc")


def _power(a: Tensor, b: Tensor) -> Tensor:
    return a.pow(float(b)) if b.numel() == 1 else a.pow(b)


def _gelu(x: Tensor, *, approximate: bytes = b"none", **_: Any) -> Tensor:
    return F.gelu(x, approximate=approximate.decode())


# Each takes the inputs of a node in their order, None for one left out, and its attributes by name.
OPERATIONS: dict[str, Callable[..., Any]] = {
    onnx_op.SIMILARITY: _similarity,
    "Conv": _convolution,
    "MaxPool": _max_pool,
    "AveragePool": _mean_pool,
    "GlobalAveragePool": lambda x: x.mean(tuple(range(2, x.ndim)), keepdim=True),
    "GlobalMaxPool": lambda x: x.amax(tuple(range(2, x.ndim)), keepdim=True),
    "BatchNormalization": lambda x, gain, bias, mean, variance, *, epsilon=1e-5, **_: F.batch_norm(
        x, mean, variance, gain, bias, eps=epsilon
    ),
    "LayerNormalization": _normalised,
    "Gemm": _gemm,
    "MatMul": torch.matmul,
    "Transpose": lambda x, perm=None: x.permute(*(perm or range(x.ndim - 1, -1, -1))),
    "Cast": _cast,
    "Slice": _slice,
    "Split": _split,
    "Concat": lambda *parts, axis: torch.cat(parts, axis),
    "Gather": _gather,
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Expand": _expand,
    "Pad": _pad,
    "Shape": _shape,
    "ConstantOfShape": _constant_of_shape,
    "ReduceMean": _reduced(torch.mean),
    "ReduceSum": _reduced(torch.sum),
    "ReduceMax": _reduced(torch.amax),
    "ReduceL2": _reduced(lambda x, axes, keepdim: x.square().sum(axes, keepdim=keepdim).sqrt()),
    "Where": torch.where,
    "Equal": torch.eq,
    "Less": torch.lt,
    "Greater": torch.gt,
    "GreaterOrEqual": torch.ge,
    "Relu": torch.relu,
    "LeakyRelu": lambda x, alpha=0.01: F.leaky_relu(x, alpha),
    "PRelu": lambda x, slope: torch.where(x < 0, slope * x, x),
    "Elu": lambda x, alpha=1.0: F.elu(x, alpha),
    "Clip": _clip,
    "Sigmoid": torch.sigmoid,
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": F.hardswish,
    "Tanh": torch.tanh,
    "Softplus": F.softplus,
    "Softmax": lambda x, axis=-1: x.softmax(axis),
    "Gelu": _gelu,
    "Mish": F.mish,
    "Erf": torch.erf,
    "Exp": torch.exp,
    "Log": torch.log,
    "Sqrt": torch.sqrt,
    "Reciprocal": torch.reciprocal,
    "Abs": torch.abs,
    "Sign": torch.sign,
    "Neg": torch.neg,
    "Add": torch.add,
    "Sub": torch.sub,
    "Mul": torch.mul,
    "Div": _divided,
    "Pow": _power,
    "Max": lambda *values: reduce(torch.maximum, values),
    "Min": lambda *values: reduce(torch.minimum, values),
    "Identity": lambda x: x,
    "Dropout": lambda x, *_, **__: x,
}
