"""A bank of templates as an ONNX graph: one layer of sharpened cosine similarity, whose kernels are the templates.

A template has thousands of pixels. Added up in float32, that many products are off by up to 1e-3 of a score where the
scene is faint. But pixels are whole numbers, so each sum over a window is made of a few convolutions whose kernels are
whole numbers, too, and so small that no sum passes 2^24: float32, and TF32 on a GPU, hold every one of them exactly, in
whatever order they are added. Those few are added up in float64. Sums over plain windows are differences of running
sums in float64. The rest is ``ai.scs::Sharpen``, the second half of the op of :mod:`models.onnx.op`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper, parser

from models.onnx import op as onnx_op
from models.onnx.op import DOMAIN, ONNX_OPSET, VERSION
from scs.matching.methods import Method
from scs.matching.scoring.kernel import Kernel, prepare_kernel, weighted_means

Array = NDArray[Any]
Wide = NDArray[np.float64]

WINDOW_SUM = "WindowSum"
CHUNK = 8  # templates whose maps are made at once: bounds what a large bank takes, and fills a matrix product

_LARGEST_SUM = 2**24  # up to which float32 holds every whole number
_LEVEL = 128  # pixels are measured from here, so that they fit eight bits with their sign
_DIGIT = 256  # base in which numbers that do not fit eight bits are taken apart
_DIGITS = 3
_FLAT = 0.25  # the energy of whole numbers is 0 or more than this, as scs.matching has it
_ROUNDING = 1e-11  # share of the largest energy under a mask of fractions below which an energy is rounding
_LAST = np.iinfo(np.int64).max

_WINDOW_SUM = f"""
<opset_import: ["" : {ONNX_OPSET}, "{DOMAIN}" : {VERSION}], domain: "{DOMAIN}">
{WINDOW_SUM} <kernel_shape> (x) => (sums)
{{
    before = Constant <value_ints: ints = [0, 0, 1, 1, 0, 0, 0, 0]> ()
    padded = Pad (x, before)
    window = Constant <value_ints: ints = @kernel_shape> ()
    tall, wide = Split <axis: int = 0, num_outputs: int = 2> (window)
    less_tall = Neg (tall)
    less_wide = Neg (wide)
    first = Constant <value_ints: ints = [0]> ()
    last = Constant <value_ints: ints = [{_LAST}]> ()
    rows = Constant <value_ints: ints = [2]> ()
    columns = Constant <value_ints: ints = [3]> ()
    row = Constant <value_int: int = 2> ()
    column = Constant <value_int: int = 3> ()
    down = CumSum (padded, row)
    lower = Slice (down, tall, last, rows)
    upper = Slice (down, first, less_tall, rows)
    strips = Sub (lower, upper)
    across = CumSum (strips, column)
    right = Slice (across, wide, last, columns)
    left = Slice (across, first, less_wide, columns)
    sums = Sub (right, left)
}}
"""


@dataclass(frozen=True, eq=False)
class Template:
    """A template of a bank.

    Attributes:
        label: its name.
        pixels: ``(h, w, C)``, uint8.
        weights: ``(h, w)``, 0 or more, by which patch and template are multiplied; None where all of it counts.
    """

    label: str
    pixels: NDArray[np.uint8]
    weights: Wide | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.pixels.shape[0], self.pixels.shape[1]


@dataclass(frozen=True)
class BankLayer:
    """The templates of one size: where the layer's map is in the graph, and which templates its channels are."""

    name: str
    size: tuple[int, int]
    members: tuple[int, ...]


def group_by_size(templates: Sequence[Template]) -> list[BankLayer]:
    """One layer for each size, in the order in which the sizes come."""
    members: dict[tuple[int, int], list[int]] = {}
    for number, template in enumerate(templates):
        members.setdefault(template.size, []).append(number)
    if len(members) == 1:
        return [BankLayer("templates", size, tuple(numbers)) for size, numbers in members.items()]
    return [
        BankLayer(f"templates-{width}x{height}", (height, width), tuple(numbers))
        for (height, width), numbers in members.items()
    ]


def kernel_of(template: Template, method: Method) -> Kernel:
    """The template as ``scs.matching`` compares it."""
    pixels = np.moveaxis(template.pixels, 2, 0)
    weights = None if template.weights is None else np.broadcast_to(template.weights, pixels.shape)
    return prepare_kernel(pixels, weights, method)


def build_graph(templates: Sequence[Template], method: Method, p: float, q: float) -> onnx.ModelProto:
    """A bank's graph: ``image`` uint8 (N, H, W, C) in, ``logits`` (N, templates) out, the best score of each template.

    Args:
        templates: at least one, all of as many channels; none flat.
        method: ``scs`` or ``scs_centred``.
        p: exponent, 1 or more.
        q: noise floor, in units of the pixels' 0 to 255 times the root of their number.
    """
    channels = templates[0].pixels.shape[2]
    graph = _Graph()
    planes = graph.add("Transpose", "image", perm=[0, 3, 1, 2])
    pixels = graph.add("Cast", planes, to=TensorProto.FLOAT)
    scene = graph.add("Sub", pixels, graph.constant(np.float32(_LEVEL)))
    best: list[str] = []
    order: list[int] = []
    for layer in group_by_size(templates):
        writer = _LayerWriter(graph, scene, layer.size, channels, method, p, q)
        chunks = _chunks(templates, layer.members)
        maps = [writer.scores([templates[i] for i in chunk]) for chunk in chunks]
        best += [graph.add("ReduceMax", each, graph.constant(np.array([2, 3])), keepdims=0) for each in maps]
        made = [number for chunk in chunks for number in chunk]
        graph.together(maps, made, layer.name)
        order += made
    graph.together(best, order, "logits")
    return graph.model(channels, len(templates))


def _chunks(templates: Sequence[Template], members: Sequence[int]) -> list[list[int]]:
    """Templates of one size in portions that are compared together: those without masks, then those with."""
    plain = [i for i in members if templates[i].weights is None]
    masked = [i for i in members if templates[i].weights is not None]
    return [kind[start : start + CHUNK] for kind in (plain, masked) for start in range(0, len(kind), CHUNK)]


class _Graph:
    """Nodes and constants, under names of their own."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[tuple[str, tuple[int, ...], bytes], onnx.TensorProto] = {}

    def add(self, kind: str, *inputs: str, name: str = "", domain: str = "", **attributes: Any) -> str:
        """Add a node; the result is the name of its output."""
        name = name or f"{kind.lower()}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, list(inputs), [name], domain=domain, **attributes))
        return name

    def split(self, tensor: str, parts: int) -> list[str]:
        """Its channels, one by one."""
        if parts == 1:
            return [tensor]
        names = [f"split_{len(self._nodes)}_{part}" for part in range(parts)]
        self._nodes.append(helper.make_node("Split", [tensor], names, axis=1, num_outputs=parts))
        return names

    def together(self, parts: Sequence[str], numbers: Sequence[int], name: str) -> None:
        """Join channels that were made in parts, in the order of their numbers, under a name."""
        whole = parts[0] if len(parts) == 1 else self.add("Concat", *parts, axis=1)
        if list(numbers) == sorted(numbers):
            self.rename(whole, name)
        else:
            self.add("Gather", whole, self.constant(np.argsort(numbers)), axis=1, name=name)

    def rename(self, tensor: str, name: str) -> None:
        """Give a tensor another name, wherever it stands."""
        for node in self._nodes:
            for names in (node.input, node.output):
                for place, known in enumerate(names):
                    if known == tensor:
                        names[place] = name

    def constant(self, values: Array | np.generic) -> str:
        """Name of a constant; equal ones are kept once."""
        array = np.asarray(values)
        key = array.dtype.name, array.shape, array.tobytes()
        if key not in self._constants:
            self._constants[key] = numpy_helper.from_array(array, f"constant_{len(self._constants)}")
        return self._constants[key].name

    def model(self, channels: int, templates: int) -> onnx.ModelProto:
        image = helper.make_tensor_value_info("image", TensorProto.UINT8, ("N", "H", "W", channels))
        logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ("N", templates))
        graph = helper.make_graph(self._nodes, "bank", [image], [logits], list(self._constants.values()))
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", ONNX_OPSET)], producer_name="scs-serve")
        model.ir_version = 10
        model.functions.append(parser.parse_function(_WINDOW_SUM))
        onnx_op.attach(model)
        onnx.checker.check_model(model, full_check=True)
        return model


class _LayerWriter:
    """Writes the nodes that compare templates of one size with every patch."""

    def __init__(
        self, graph: _Graph, scene: str, size: tuple[int, int], channels: int, method: Method, p: float, q: float
    ) -> None:
        self._graph, self._scene, self._size, self._channels = graph, scene, size, channels
        self._centred, self._method, self._p, self._q = method.centred, method, p, q
        self._wide_scene = self._wide(scene)
        self._planes = graph.split(scene, channels)
        self._digits: tuple[str, str] | None = None
        self._plain: tuple[str, list[str]] | None = None

    def scores(self, templates: Sequence[Template]) -> str:
        """Scores (N, K, H', W') of templates that all have masks or all have none."""
        masks, of = _unique_masks(templates)
        energy, sums, totals = self._plain_sums() if masks is None else self._masked_sums(masks)
        floors = _flat_energies(masks, self._channels)
        if masks is not None and len(masks) > 1:
            energy, *sums = (self._graph.add("Gather", each, self._const(of), axis=1) for each in (energy, *sums))
            totals, floors = totals[of], floors[of]
        dot = self._dot(templates, sums, totals)
        return self._sharpen(dot, energy, floors, len(templates))

    def _dot(self, templates: Sequence[Template], sums: list[str], totals: Wide) -> str:
        """Products of patches and templates, over the templates' norm plus q."""
        kernels = [kernel_of(template, self._method) for template in templates]
        digits = _kernel_digits(templates, kernels, self._centred)
        gains = np.array([1 / (kernel.norm + self._q) for kernel in kernels])
        dot = ""
        for values, scale in digits:
            part = self._correlate(self._scene, values, _LEVEL)
            of_channels = values.sum((2, 3))  # (K, C)
            if self._centred:
                # What a kernel's own mean adds to the product with a patch's: gone for a patch less its mean.
                for channel, name in enumerate(sums):
                    share = (of_channels[:, channel] / totals)[:, None, None]
                    part = self._subtract(part, self._graph.add("Mul", name, self._const(share)))
            else:
                part = self._plus(part, self._const(_LEVEL * of_channels.sum(1)[:, None, None]))
            if len(digits) > 1:
                part = self._graph.add("Mul", part, self._const(scale[:, None, None]))
            dot = self._plus(dot, part)
        narrow = self._graph.add("Cast", dot, to=TensorProto.FLOAT)
        return self._graph.add("Mul", narrow, self._const(gains.astype(np.float32)[:, None, None]))

    def _sharpen(self, dot: str, energy: str, floors: Wide, templates: int) -> str:
        graph = self._graph
        has_angle = graph.add("Greater", energy, self._const(floors[:, None, None]))
        narrow = graph.add("Cast", energy, to=TensorProto.FLOAT)
        dots = graph.add("Where", has_angle, dot, self._const(np.float32(0)))
        energies = graph.add("Where", has_angle, narrow, self._const(np.float32(1)))
        p, q = self._const(np.full(templates, self._p, np.float32)), self._const(np.float32(self._q))
        sharpened = graph.add("Sharpen", dots, energies, p, q, domain=DOMAIN)
        return graph.add("Clip", sharpened, self._const(np.float32(-1)), self._const(np.float32(1)))

    def _plain_sums(self) -> tuple[str, list[str], Wide]:
        """Energy of every patch, sums of each of its channels if these are needed, and its pixels."""
        area = float(self._size[0] * self._size[1])
        if self._plain is None:
            graph = self._graph
            scene = self._wide_scene
            if not self._centred:
                scene = self._plus(scene, self._const(np.float64(_LEVEL)))
            energy = self._window_sum(self._over_channels(graph.add("Mul", scene, scene)))
            sums: list[str] = []
            if self._centred:
                whole = self._window_sum(scene)
                squares = self._over_channels(graph.add("Mul", whole, whole))
                energy = self._subtract(energy, graph.add("Div", squares, self._const(np.float64(area))))
                sums = graph.split(whole, self._channels)
            self._plain = energy, sums
        return *self._plain, np.array(area)

    def _masked_sums(self, masks: Wide) -> tuple[str, list[str], Wide]:
        """Energy (N, M, H', W') of every patch under each of masks ``(M, h, w)``, weighted sums, total weights.

        With m, m² both as whole numbers over a common scale, the same ones in every sum, no part of an energy is a
        difference of numbers that were rounded apart.
        """
        weights, squares = _mask_digits(masks), _mask_digits(masks**2)
        totals, square_totals = _total(weights), _total(squares)
        high, low = self._square_digits()
        of_high, of_low = (self._weigh(name, squares, _DIGIT * self._channels) for name in (high, low))
        energy = self._plus(self._graph.add("Mul", of_high, self._const(np.float64(_DIGIT))), of_low)
        sums: list[str] = []
        if not self._centred:
            return energy, sums, totals
        binary = np.array_equal(masks, masks**2)
        for plane in self._planes:
            sums.append(self._weigh(plane, weights, _LEVEL))
            square_sums = sums[-1] if binary else self._weigh(plane, squares, _LEVEL)
            mean = self._graph.add("Div", sums[-1], self._const(totals[:, None, None]))
            of_mean = self._graph.add("Mul", mean, self._const(square_totals[:, None, None]))
            twice = self._plus(square_sums, square_sums)
            energy = self._subtract(energy, self._graph.add("Mul", mean, self._subtract(twice, of_mean)))
        return energy, sums, totals

    def _square_digits(self) -> tuple[str, str]:
        """Squares of the pixels, summed over the channels, as two digits."""
        if self._digits is None:
            graph, base = self._graph, self._const(np.float32(_DIGIT))
            scene = self._scene
            if not self._centred:
                scene = self._plus(scene, self._const(np.float32(_LEVEL)))
            squares = graph.add("Mul", scene, scene)
            high = graph.add("Floor", graph.add("Div", squares, base))
            low = self._subtract(squares, graph.add("Mul", high, base))
            self._digits = self._over_channels(high), self._over_channels(low)
        return self._digits

    def _weigh(self, plane: str, digits: list[tuple[Wide, Wide]], largest: int) -> str:
        """Sums of one plane under masks given as digits."""
        weighed = ""
        for values, scale in digits:
            part = self._correlate(plane, values[:, None], largest)
            weighed = self._plus(weighed, self._graph.add("Mul", part, self._const(scale[:, None, None])))
        return weighed

    def _correlate(self, planes: str, kernels: Wide, largest: int) -> str:
        """Exact products, float64, of whole numbers up to ``largest`` with whole kernels ``(K, C, h, w)``."""
        height = kernels.shape[2]
        total = ""
        for first, last in _strips(kernels, largest):
            strip = planes
            if (first, last) != (0, height):
                end = last - height if last < height else _LAST
                bounds = (self._const(np.array([bound])) for bound in (first, end, 2))
                strip = self._graph.add("Slice", planes, *bounds)
            kernel = self._const(kernels[:, :, first:last].astype(np.float32))
            part = self._wide(self._graph.add("Conv", strip, kernel))
            total = self._graph.add("Add", part, total) if total else part
        return total

    def _window_sum(self, planes: str) -> str:
        return self._graph.add(WINDOW_SUM, planes, domain=DOMAIN, kernel_shape=list(self._size))

    def _over_channels(self, planes: str) -> str:
        return self._graph.add("ReduceSum", planes, self._const(np.array([1])), keepdims=1)

    def _wide(self, name: str) -> str:
        return self._graph.add("Cast", name, to=TensorProto.DOUBLE)

    def _plus(self, left: str, right: str) -> str:
        return self._graph.add("Add", left, right) if left else right

    def _subtract(self, left: str, right: str) -> str:
        return self._graph.add("Sub", left, right)

    def _const(self, values: Array | np.generic) -> str:
        return self._graph.constant(values)


def _unique_masks(templates: Sequence[Template]) -> tuple[Wide | None, NDArray[np.int64]]:
    """Masks that differ ``(M, h, w)``, and each template's among them."""
    if templates[0].weights is None:
        return None, np.zeros(len(templates), np.int64)
    stacked = np.stack([template.weights for template in templates if template.weights is not None])
    masks, of = np.unique(stacked, axis=0, return_inverse=True)
    return masks, of.reshape(-1)


def _flat_energies(masks: Wide | None, channels: int) -> Wide:
    """Energy ``(M,)`` up to which a patch is flat."""
    if masks is None or np.array_equal(masks, masks**2):
        return np.full(1 if masks is None else len(masks), _FLAT)
    floors: Wide = _ROUNDING * channels * _LEVEL**2 * np.square(masks).sum((1, 2))
    return floors


def _kernel_digits(templates: Sequence[Template], kernels: Sequence[Kernel], centred: bool) -> list[tuple[Wide, Wide]]:
    """What patches are multiplied by, as whole kernels ``(K, C, h, w)`` and their scales ``(K,)``.

    Under no mask, or one of zeros and ones, the pixels are such kernels; the mean that is left in them is accounted for
    by who uses them.
    """
    weights = [np.ones(t.size) if t.weights is None else t.weights for t in templates]
    if all(np.array_equal(w, w**2) for w in weights):
        whole = []
        for template, weight in zip(templates, weights, strict=True):
            pixels = np.moveaxis(template.pixels, 2, 0).astype(np.float64)
            level = np.rint(weighted_means(pixels, np.broadcast_to(weight, pixels.shape))) if centred else 0
            whole.append(weight * (pixels - level))
        return [(np.stack(whole), np.ones(len(whole)))]
    return _digits(np.stack([kernel.unit * kernel.norm for kernel in kernels]))


def _mask_digits(weights: Wide) -> list[tuple[Wide, Wide]]:
    if np.all((weights == 0) | (weights == 1)):
        return [(weights, np.ones(len(weights)))]
    return _digits(weights)


def _digits(values: Wide) -> list[tuple[Wide, Wide]]:
    """Numbers rounded to 24 bits of each one's largest, as three digits of eight bits with their scales."""
    axes = tuple(range(1, values.ndim))
    scale = np.abs(values).max(axes) / (_LEVEL - 1)
    rest = values / scale.reshape(-1, *(1 for _ in axes))
    digits = []
    for place in range(_DIGITS):
        digit = np.rint(rest)
        digits.append((digit, scale / _DIGIT**place))
        rest = (rest - digit) * _DIGIT
    return digits


def _total(digits: list[tuple[Wide, Wide]]) -> Wide:
    """Sum of each mask ``(M,)``."""
    total: Wide = sum((values.sum((1, 2)) * scale for values, scale in digits), np.zeros(len(digits[0][0])))
    return total


def _strips(kernels: Wide, largest: int) -> list[tuple[int, int]]:
    """Rows of whole kernels ``(K, C, h, w)`` in as few strips as keep every sum exact, or one row where none does."""
    rows = np.abs(kernels).sum((1, 3)) * largest  # (K, h)
    strips, first = [], 0
    for row in range(1, rows.shape[1] + 1):
        if row == rows.shape[1] or rows[:, first : row + 1].sum(1).max() > _LARGEST_SUM:
            strips.append((first, row))
            first = row
    return strips
