"""Receptive fields of every tensor of an ONNX graph, by a rule for each operator.

An operator without a rule is taken to see the whole picture, which is never wrong. What the rules say of the layers
that are shown is checked by moving pixels, see :mod:`models.imports.moved_pixels`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import onnx

from models.imports.graphs import Graph, attributes
from models.imports.reshaping import reshaped
from models.imports.trial import Measured
from models.imports.views import Axis, Grid, Role, View, united
from models.onnx.op import SIMILARITY

_WINDOWS = {"Conv", "ConvInteger", "QLinearConv", "MaxPool", "AveragePool", "LpPool", SIMILARITY}
_RESHAPES = {"Reshape", "Flatten", "Squeeze", "Unsqueeze"}
_GLOBAL_POOLS = {"GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"}
_OVER_PLACES = {"InstanceNormalization", "GroupNormalization", "MeanVarianceNormalization"}
_ALONG = {"Softmax": -1, "LogSoftmax": -1, "Hardmax": -1, "LpNormalization": -1, "CumSum": 0}
_EACH_PLACE = {
    *("Abs", "Acos", "Add", "And", "Asin", "Atan", "BatchNormalization", "Cast", "CastLike", "Ceil", "Celu", "Clip"),
    *("Cos", "DequantizeLinear", "Div", "Dropout", "Elu", "Equal", "Erf", "Exp", "Expand", "Floor", "Gelu", "Greater"),
    *(
        "GreaterOrEqual",
        "HardSigmoid",
        "HardSwish",
        "Identity",
        "LRN",
        "LeakyRelu",
        "Less",
        "LessOrEqual",
        "Log",
        "Max",
    ),
    *("Mean", "Min", "Mish", "Mod", "Mul", "Neg", "Not", "Or", "PRelu", "Pow", "QuantizeLinear", "Reciprocal", "Relu"),
    *(
        "Round",
        "Selu",
        "Shrink",
        "Sigmoid",
        "Sign",
        "Sin",
        "Softplus",
        "Softsign",
        "Sqrt",
        "Sub",
        "Sum",
        "Swish",
        "Tan",
    ),
    *("Tanh", "ThresholdedRelu", "Where", "Xor"),
}
_REACH = {"nearest": Fraction(1), "linear": Fraction(1), "cubic": Fraction(2)}  # source units on either side


def receptive_fields(graph: Graph, measured: Measured, roles: tuple[Role, ...]) -> dict[str, View]:
    """Compute what the units of every tensor that depends on the picture see of it.

    Args:
        graph: the network.
        measured: a run of it.
        roles: what the axes of its input run over.
    """
    return _Fields(graph, measured, roles).views


class _Fields:
    def __init__(self, graph: Graph, measured: Measured, roles: tuple[Role, ...]) -> None:
        self._graph, self._measured = graph, measured
        self.views: dict[str, View] = {graph.source: View(roles, Axis(), Axis())}
        self._rules: dict[str, Callable[[onnx.NodeProto], View]] = {
            **dict.fromkeys(_WINDOWS, self._window),
            **dict.fromkeys(_EACH_PLACE, self._each_place),
            **dict.fromkeys(_RESHAPES, self._reshape),
            **dict.fromkeys(_GLOBAL_POOLS, self._global_pool),
            **dict.fromkeys(_OVER_PLACES, lambda node: replace(self._view(node), everywhere=True)),
            **dict.fromkeys(_ALONG, self._along),
            "Concat": self._concat,
            "ConvTranspose": self._transposed_convolution,
            "DynamicQuantizeLinear": lambda node: replace(self._view(node), everywhere=True),
            "DepthToSpace": self._depth_to_space,
            "Gather": self._gather,
            "Gemm": self._product,
            "LayerNormalization": self._layer_normalization,
            "MatMul": self._product,
            "Pad": self._pad,
            "Resize": self._resize,
            "Slice": self._slice,
            "SpaceToDepth": self._space_to_depth,
            "Split": self._split,
            "Transpose": self._transpose,
            "Upsample": self._resize,
        }
        for node in graph.nodes:
            self._follow(node)

    def _follow(self, node: onnx.NodeProto) -> None:
        outputs = [name for name in node.output if name in self._graph.valued and name in self._measured.shapes]
        rule = self._rules.get(node.op_type)
        if rule is None and node.op_type.startswith("Reduce"):
            rule = self._reduce
        for name in outputs:
            rank = len(self._shape(name))
            try:
                view = rule(node) if rule else View(("?",) * rank, everywhere=True)
            except (KeyError, IndexError, ValueError, TypeError):  # a form of the operator that its rule does not know
                view = View(("?",) * rank, everywhere=True)
            self.views[name] = view if len(view.roles) == rank else view.lost(rank)

    def _shape(self, name: str) -> tuple[int, ...]:
        if name in self._measured.shapes:
            return self._measured.shapes[name]
        value = self._value(name)
        if value is None:
            raise KeyError(name)
        return tuple(value.shape)

    def _value(self, name: str) -> np.ndarray[Any, Any] | None:
        found = self._measured.values.get(name)
        return self._graph.constant(name) if found is None else found

    def _numbers(self, node: onnx.NodeProto, place: int, attribute: str) -> list[int] | None:
        """Return numbers that are an input in newer operator sets and an attribute in older ones."""
        given = attributes(node).get(attribute)
        if given is not None:
            return [given] if isinstance(given, int) else [int(n) for n in given]
        if len(node.input) <= place or not node.input[place]:
            return None
        value = self._value(node.input[place])
        if value is None:
            raise KeyError(node.input[place])
        return [int(n) for n in value.reshape(-1)]

    def _view(self, node: onnx.NodeProto, place: int = 0) -> View:
        return self.views[node.input[place]]

    def _each_place(self, node: onnx.NodeProto) -> View:
        names = [name for name in node.input if name in self.views]
        shape = self._shape(node.output[0])
        return united([self.views[name] for name in names], [self._shape(name) for name in names], shape)

    def _window(self, node: onnx.NodeProto) -> View:
        view, options = self._view(node), attributes(node)
        names = [role for role in view.roles if role in "hwt?"]
        size = options.get("kernel_shape") or list(self._shape(node.input[1])[2:])
        rank = len(size)
        strides, dilations = options.get("strides", [1] * rank), options.get("dilations", [1] * rank)
        if set(size) == {1} and set(strides) == {1} and not any(options.get("pads", [0])):
            return view
        if view.roles[2:] not in (("h", "w"), ("w", "h")) or len(names) != 2:
            return view.lost(len(view.roles))
        shape = self._shape(node.input[0])[2:]
        before = _padding(options, list(size), list(strides), list(dilations), list(shape))
        for place, role in enumerate(view.roles[2:]):
            window = size[place], strides[place], dilations[place], before[place]
            view = _with(view, role, lambda axis, window=window: axis.window(*window))  # type: ignore[misc]
        return view

    def _transposed_convolution(self, node: onnx.NodeProto) -> View:
        view, options = self._view(node), attributes(node)
        size = options.get("kernel_shape") or list(self._shape(node.input[1])[2:])
        strides, dilations = options.get("strides", [1, 1]), options.get("dilations", [1, 1])
        pads = options.get("pads", [0] * 4)
        if view.roles[2:] != ("h", "w") or options.get("auto_pad", b"NOTSET") != b"NOTSET":
            return view.lost(len(view.roles))
        for place, role in enumerate(("h", "w")):
            step, pad = strides[place], pads[place]
            first = Fraction(pad - (size[place] - 1) * dilations[place], step)
            view = _scaled(view, role, Fraction(1, step), first, Fraction(pad, step))
        return view

    def _resize(self, node: onnx.NodeProto) -> View:
        view, options = self._view(node), attributes(node)
        before, after = self._shape(node.input[0]), self._shape(node.output[0])
        mode = options.get("mode", b"nearest").decode()
        how = options.get("coordinate_transformation_mode", b"half_pixel").decode()
        if node.op_type == "Upsample":
            how = "asymmetric"
        if "crop" in how:
            return view.lost(len(view.roles))
        for place, role in enumerate(view.roles):
            if before[place] == after[place]:
                continue
            factor = Fraction(before[place], after[place])
            if how == "align_corners":
                factor = Fraction(before[place] - 1, max(1, after[place] - 1))
            shift = Fraction(0) if how in ("asymmetric", "align_corners") else factor / 2 - Fraction(1, 2)
            reach = _REACH[mode] * (max(Fraction(1), factor) if options.get("antialias") else 1)
            if role not in "hw":
                return view.lost(len(view.roles))
            view = _scaled(view, role, factor, shift - reach, shift + reach)
        return view

    def _depth_to_space(self, node: onnx.NodeProto) -> View:
        block = attributes(node)["blocksize"]
        view = self._view(node)
        for role in ("h", "w"):
            view = _scaled(view, role, Fraction(1, block), Fraction(1 - block, block), Fraction(0))
        return view

    def _space_to_depth(self, node: onnx.NodeProto) -> View:
        block = attributes(node)["blocksize"]
        view = self._view(node)
        for role in ("h", "w"):
            view = _scaled(view, role, Fraction(block), Fraction(0), Fraction(block - 1))
        return view

    def _pad(self, node: onnx.NodeProto) -> View:
        view, pads = self._view(node), self._numbers(node, 1, "pads") or []
        axes = self._numbers(node, 3, "axes") or list(range(len(view.roles)))
        for number, axis in enumerate(axes):
            role, before = view.roles[axis], pads[number]
            if role == "t" and (before or pads[number + len(axes)]):
                return view.lost(len(view.roles))
            view = _scaled(view, role, Fraction(1), Fraction(-before), Fraction(-before))
        return view

    def _slice(self, node: onnx.NodeProto) -> View:
        view, shape = self._view(node), self._shape(node.input[0])
        starts, ends = self._numbers(node, 1, "starts") or [], self._numbers(node, 2, "ends") or []
        axes = self._numbers(node, 3, "axes") or list(range(len(starts)))
        steps = self._numbers(node, 4, "steps") or [1] * len(starts)
        for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
            span = range(*slice(start, end, step).indices(shape[axis]))
            view = _cut(view, view.roles[axis], span, shape[axis])
        return view

    def _split(self, node: onnx.NodeProto) -> View:
        view = self._view(node)
        axis = attributes(node).get("axis", 0)
        return view if view.roles[axis] in "nc" else view.lost(len(view.roles))

    def _gather(self, node: onnx.NodeProto) -> View:
        if node.input[0] not in self.views:  # an embedding of what the picture says
            return View(("?",) * len(self._shape(node.output[0])), everywhere=True)
        view, axis = self._view(node), attributes(node).get("axis", 0) % len(self._shape(node.input[0]))
        shape, indices = self._shape(node.input[0]), self._value(node.input[1])
        role = view.roles[axis]
        if indices is None or indices.ndim > 1:
            return view.lost(len(self._shape(node.output[0])))
        if indices.ndim == 0:
            left = replace(view, roles=view.roles[:axis] + view.roles[axis + 1 :])
            return left if role in "nc" else replace(left, everywhere=True)
        numbers = [int(i) % shape[axis] for i in indices]
        if role in "nc":
            return view
        if numbers == list(range(numbers[0], numbers[0] + len(numbers))):
            return _cut(view, role, range(numbers[0], numbers[-1] + 1), shape[axis])
        return view.lost(len(view.roles))

    def _concat(self, node: onnx.NodeProto) -> View:
        names = [name for name in node.input if name in self.views]
        shape = self._shape(node.output[0])
        axis = attributes(node)["axis"] % len(shape)
        views = [self.views[name] for name in names]
        roles = {view.roles[axis] for view in views}
        if "t" in roles:
            return self._with_class_token(node, axis)
        if roles & {"h", "w"}:
            return views[0].lost(len(shape))
        # Axes other than the one along which they lie are alike, so it is a union of what each sees.
        alike = tuple(1 if place == axis else size for place, size in enumerate(shape))
        view = united(views, [tuple(1 if p == axis else s for p, s in enumerate(self._shape(n))) for n in names], alike)
        main: Role = "c" if "c" in roles or roles == {"?"} else next(iter(roles))
        return replace(view, roles=tuple(main if p == axis else role for p, role in enumerate(view.roles)))

    def _with_class_token(self, node: onnx.NodeProto, axis: int) -> View:
        """Return the view of tokens to which others were joined, before them or after."""
        before = after = 0
        found: View | None = None
        for name in node.input:
            view = self.views.get(name)
            if view is not None and view.roles[axis] == "t":
                if found is not None:
                    return view.lost(len(view.roles))
                found = view
            elif found is None:
                before += self._shape(name)[axis]
            else:
                after += self._shape(name)[axis]
        assert found is not None and found.grid is not None
        grid = found.grid
        return replace(found, grid=replace(grid, before=grid.before + before, after=grid.after + after))

    def _transpose(self, node: onnx.NodeProto) -> View:
        view = self._view(node)
        return view.permuted(attributes(node).get("perm", range(len(view.roles))[::-1]))

    def _reshape(self, node: onnx.NodeProto) -> View:
        return reshaped(self._view(node), self._shape(node.input[0]), self._shape(node.output[0]))

    def _reduce(self, node: onnx.NodeProto) -> View:
        view = self._view(node)
        rank, options = len(view.roles), attributes(node)
        axes = self._numbers(node, 1, "axes") or list(range(rank))
        return _reduced(view, {axis % rank for axis in axes}, bool(options.get("keepdims", 1)))

    def _global_pool(self, node: onnx.NodeProto) -> View:
        view = self._view(node)
        return _reduced(view, set(range(2, len(view.roles))), keeps=True)

    def _along(self, node: onnx.NodeProto) -> View:
        view, options = self._view(node), attributes(node)
        rank = len(view.roles)
        if node.op_type == "CumSum":
            axes = [int(n) % rank for n in np.reshape(self._value(node.input[1]), -1)]  # type: ignore[arg-type]
        elif self._graph.opset < 13 and node.op_type != "LpNormalization":  # everything from the axis on, as one
            axes = list(range(options.get("axis", 1) % rank, rank))
        else:
            axes = [options.get("axis", _ALONG[node.op_type]) % rank]
        is_local = all(view.roles[axis] in "nc" for axis in axes)
        return view if is_local else replace(view, everywhere=True)

    def _layer_normalization(self, node: onnx.NodeProto) -> View:
        view = self._view(node)
        normalised = view.roles[attributes(node).get("axis", -1) % len(view.roles) :]
        return view if set(normalised) <= {"c"} else replace(view, everywhere=True)

    def _product(self, node: onnx.NodeProto) -> View:
        """Follow a matrix product: of channels place by place, or of places with each other, as attention has it."""
        first, second = (self.views.get(name) for name in node.input[:2])
        options, shape = attributes(node), self._shape(node.output[0])
        if first is None:
            assert second is not None
            contracted = second.roles[-1 if options.get("transB") else -2]
            return second if contracted == "c" and not options.get("transB") else second.lost(len(shape))
        roles = first.roles[::-1] if options.get("transA") else first.roles
        last: Role = "c" if second is None else second.roles[-1]
        view = replace(first, roles=(*roles[:-1], last))
        if len(view.roles) != len(shape):
            return first.lost(len(shape))
        return view if second is None and roles[-1] == "c" else replace(view, everywhere=True)


def _with(view: View, role: str, change: Callable[[Axis], Axis]) -> View:
    """Return a view with what it sees along rows or columns changed; the same for another axis."""
    if role == "h" and view.down is not None:
        return replace(view, down=change(view.down))
    if role == "w" and view.across is not None:
        return replace(view, across=change(view.across))
    return view


def _scaled(view: View, role: str, factor: Fraction, first: Fraction, last: Fraction) -> View:
    return _with(view, role, lambda axis: axis.scaled(factor, first, last))


def _cut(view: View, role: str, span: range, size: int) -> View:
    """Return the view of some units of an axis, in even steps."""
    if role in "nc" or span == range(size):
        return view
    if role in "hw" and span.step > 0:
        return _scaled(view, role, Fraction(span.step), Fraction(span.start), Fraction(span.start))
    grid = view.grid
    if role == "t" and grid and span.step == 1:
        before, after = grid.before - span.start, grid.after - (size - span.stop)
        if before >= 0 and after >= 0:
            return replace(view, grid=Grid(grid.rows, grid.columns, before, after))
        if span.stop <= grid.before:  # the class token
            roles: tuple[Role, ...] = tuple("?" if each == "t" else each for each in view.roles)
            return View(roles, everywhere=True)
    return view.lost(len(view.roles))


def _reduced(view: View, axes: set[int], keeps: bool) -> View:
    """Return the view of a mean, sum or largest value over axes."""
    over_places = any(view.roles[axis] not in "nc" for axis in axes)
    roles: tuple[Role, ...]
    if keeps:
        roles = tuple("?" if axis in axes and role in "hwt" else role for axis, role in enumerate(view.roles))
    else:
        roles = tuple(role for axis, role in enumerate(view.roles) if axis not in axes)
    return View(roles, everywhere=True) if over_places else replace(view, roles=roles)


def _padding(
    options: dict[str, Any], size: list[int], strides: list[int], dilations: list[int], shape: list[int]
) -> list[int]:
    """Return the padding before the first unit on each axis."""
    how = options.get("auto_pad", b"NOTSET")
    if how in (b"NOTSET", b""):
        return list(options.get("pads", [0] * 4))[:2]
    if how == b"VALID":
        return [0, 0]
    totals = [
        max(0, (math.ceil(length / stride) - 1) * stride + (taps - 1) * dilation + 1 - length)
        for taps, stride, dilation, length in zip(size, strides, dilations, shape, strict=True)
    ]
    return [total // 2 if how == b"SAME_UPPER" else total - total // 2 for total in totals]
