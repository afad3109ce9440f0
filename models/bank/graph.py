"""A bank of templates as an ONNX graph: one layer of sharpened cosine similarity, whose kernels are the templates.

Products of patches and templates are convolutions in float32. A patch's energy is what is left of sums that nearly
cancel where the picture is faint, so these sums are exact: over a plain window they are differences of running sums in
float64, under a mask convolutions of whole numbers so small that float32 does not round. The rest is
``ai.scs::Sharpen``, the second half of the op of :mod:`models.onnx.op`.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import DTypeLike, NDArray
from onnx import TensorProto, helper, numpy_helper

from models.onnx import op as onnx_op
from models.onnx.op import DOMAIN, ONNX_OPSET
from scs.matching.methods import Method
from scs.matching.scoring.kernel import Kernel, prepare_kernel, weighted_means

Array = NDArray[Any]
Wide = NDArray[np.float64]

CHUNK = 16  # templates whose maps are made at once: bounds what a large bank takes, and fills a matrix product

_MIDDLE = 128  # pixels are measured from here where their mean does not count: small numbers round less
_BASE = 256  # of the digits that squares and weights are taken apart into
_EXACT = 2**24  # up to which float32 holds every whole number
_SHORT = 2048  # pixels whose products with a template are added up at once: long sums in float32 round more
_ROUNDING = 1e-11  # share of a patch's squares up to which its energy is rounding, in float64
_FAINT = 1e-8  # the same under other weights than 0 and 1: below, the rounding of products would be all of a score
_LAST = np.iinfo(np.int64).max


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
    return [
        BankLayer(f"templates-{size[1]}x{size[0]}" if len(members) > 1 else "templates", size, tuple(numbers))
        for size, numbers in members.items()
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
    graph = _BankGraph(templates[0].pixels.shape[2], method, p, q)
    best: list[str] = []
    order: list[int] = []
    for layer in group_by_size(templates):
        chunks = _chunks(templates, layer.members)
        maps = [graph.scores([templates[i] for i in chunk]) for chunk in chunks]
        best += [graph.add("ReduceMax", each, graph.constant(np.array([2, 3])), keepdims=0) for each in maps]
        made = [number for chunk in chunks for number in chunk]
        graph.join(maps, made, layer.name)
        order += made
    graph.join(best, order, "logits")
    return graph.model(len(templates))


def _chunks(templates: Sequence[Template], members: Sequence[int]) -> list[list[int]]:
    """Templates of one size in portions that are compared together: those without masks, then those with."""
    plain = [i for i in members if templates[i].weights is None]
    masked = [i for i in members if templates[i].weights is not None]
    share = len({templates[i].weights.tobytes() for i in masked}) == 1  # type: ignore[union-attr]
    at_once = CHUNK if share else CHUNK // 2  # energies under masks of their own take memory, too
    portions = [plain[start : start + CHUNK] for start in range(0, len(plain), CHUNK)]
    return portions + [masked[start : start + at_once] for start in range(0, len(masked), at_once)]


class _BankGraph:
    """Nodes and constants from a picture's pixels on, under names of their own; equal ones are there once."""

    def __init__(self, channels: int, method: Method, p: float, q: float) -> None:
        self._nodes: dict[str, onnx.NodeProto] = {}
        self._constants: dict[str, onnx.TensorProto] = {}
        self._channels, self._method, self._p, self._q = channels, method, p, q
        pixels = self.add("Cast", self.add("Transpose", "image", perm=[0, 3, 1, 2]), to=TensorProto.FLOAT)
        self._scene = self._with("Sub", pixels, _MIDDLE, np.float32) if method.centred else pixels

    def scores(self, templates: Sequence[Template]) -> str:
        """Scores (N, K, H', W') of templates of one size."""
        masks = np.stack([np.ones(t.size) if t.weights is None else t.weights for t in templates])
        if np.all(masks == masks[0]):
            masks = masks[:1]
        energy, has_angle, means = self._patches(masks)
        products = self._products(templates, means if _is_binary(masks) else None)
        dot = self.add("Where", has_angle, products, self.constant(np.float32(0)))
        p, q = self.constant(np.full(len(templates), self._p, np.float32)), self.constant(np.float32(self._q))
        sharpened = self.add("Sharpen", dot, energy, p, q, domain=DOMAIN)
        return self.add("Clip", sharpened, self.constant(np.float32(-1)), self.constant(np.float32(1)))

    def _products(self, templates: Sequence[Template], means: list[str] | None) -> str:
        """Products of patches and templates, over the templates' norm plus q.

        Args:
            templates: of one size.
            means: to be removed from the patches, where the masks are of zeros and ones. The kernels are whole numbers
                then, whose products do not round below 2^24. What is left of their own mean is taken off with these.
        """
        prepared = [kernel_of(template, self._method) for template in templates]
        if means is None:
            dot = self._convolve(self._scene, np.stack([kernel.unit * kernel.norm for kernel in prepared]), _SHORT)
        else:
            kernels = np.stack([_whole_kernel(template, self._method) for template in templates])
            dot = self._convolve(self._scene, kernels, _SHORT)
            for channel, mean in enumerate(means):
                left = kernels[:, channel].sum((1, 2))[:, None, None]
                dot = self.add("Sub", dot, self._with("Mul", mean, left, np.float32))
        gains = np.array([1 / (kernel.norm + self._q) for kernel in prepared])
        return self._with("Mul", dot, gains[:, None, None], np.float32)

    def _patches(self, masks: Wide) -> tuple[str, str, list[str]]:
        """Of every patch under masks ``(M, h, w)``: energy (N, M, H', W'), whether it is not flat, and means to remove.

        With weights M, a patch x has the energy Σ M²x², and less its weighted mean m, Σ M²(x - m)².
        """
        weights, of_squares = _Weights(masks), _Weights(masks**2)
        each = self.add("Mul", self._scene, self._scene)
        squares = self.add("ReduceSum", each, self.constant(np.array([1])), keepdims=1)
        high = self.add("Floor", self._with("Div", squares, _BASE, np.float32))
        low = self.add("Sub", squares, self._with("Mul", high, _BASE, np.float32))
        whole = self.add("Add", self._with("Mul", self._sums(high, of_squares), _BASE), self._sums(low, of_squares))
        energy, means = whole, []
        for channel in range(self._channels if self._method.centred else 0):
            plane = self._slice(self._scene, channel, channel + 1, 1)
            mean = self._with("Div", self._sums(plane, weights), weights.totals)
            weighed = self._with("Mul", self._sums(plane, of_squares), 2)
            of_mean = self.add("Mul", mean, self.add("Sub", weighed, self._with("Mul", mean, of_squares.totals)))
            energy = self.add("Sub", energy, of_mean)
            means.append(self.add("Cast", mean, to=TensorProto.FLOAT))
        floor = self._with("Mul", whole, _ROUNDING if _is_binary(masks) else _FAINT)
        has_angle = self.add("Greater", energy, floor)
        narrow = self.add("Cast", energy, to=TensorProto.FLOAT)
        return self.add("Where", has_angle, narrow, self.constant(np.float32(1))), has_angle, means

    def _sums(self, plane: str, weights: _Weights) -> str:
        """Sums (N, M, H', W') of a plane's whole numbers under weights, float64, without rounding."""
        count, size = weights.digits.shape[1], weights.digits.shape[2:]
        if np.all(weights.digits == 1):
            return self._window_sums(plane, size)
        pixels = int(_EXACT // (_BASE * weights.digits.max()))  # whose products with digits add up without rounding
        sums = self._convolve(plane, weights.digits.reshape(-1, 1, *size), pixels, TensorProto.DOUBLE)
        sums = self._with("Mul", sums, weights.factors.reshape(-1, 1, 1))
        return self.add("Sum", *(self._slice(sums, at, at + count, 1) for at in range(0, weights.factors.size, count)))

    def _window_sums(self, plane: str, size: tuple[int, ...]) -> str:
        """The same where every weight is 1: differences of running sums."""
        sums = self.add("Cast", plane, to=TensorProto.DOUBLE)
        for axis, length in zip((2, 3), size, strict=True):
            running = self.add("CumSum", sums, self.constant(np.array(axis)))
            padded = self.add("Pad", running, self.constant(np.array([1, 0])), "", self.constant(np.array([axis])))
            sums = self.add("Sub", self._slice(padded, length, _LAST, axis), self._slice(padded, 0, -length, axis))
        return sums

    def _convolve(self, planes: str, kernels: Array, pixels: int, to: int = TensorProto.FLOAT) -> str:
        """Products with kernels ``(K, C, h, w)``: strips of so many pixels in float32, added in a type."""
        _, channels, height, width = kernels.shape
        rows = max(1, pixels // (channels * width))
        parts = []
        for first in range(0, height, rows):
            last = min(first + rows, height)
            strip = self._slice(planes, first, last - height if last < height else _LAST, 2)
            part = self.add("Conv", strip, self.constant(kernels[:, :, first:last].astype(np.float32)))
            parts.append(part if to == TensorProto.FLOAT else self.add("Cast", part, to=to))
        # Sums that come after all parts: the runtime takes up the latest node first, and holds one part at a time.
        return functools.reduce(lambda total, part: self.add("Add", total, part), parts)

    def _slice(self, tensor: str, start: int, end: int, axis: int) -> str:
        return self.add("Slice", tensor, *(self.constant(np.array([number])) for number in (start, end, axis)))

    def _with(self, operation: str, tensor: str, value: Any, kind: DTypeLike = np.float64) -> str:
        return self.add(operation, tensor, self.constant(np.asarray(value, kind)))

    def join(self, parts: Sequence[str], numbers: Sequence[int], name: str) -> None:
        """Join channels that were made in parts, in the order of their numbers, under a name."""
        in_order = list(numbers) == sorted(numbers)
        whole = self.add("Concat", *parts, axis=1, name=name if in_order else "")
        if not in_order:
            self.add("Gather", whole, self.constant(np.argsort(numbers)), axis=1, name=name)

    def add(self, kind: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        """Add a node, unless an equal one is there; the result is the name of its output."""
        key = name or f"{kind}{inputs}{attributes}"
        if key not in self._nodes:
            output = name or f"{kind.lower()}_{len(self._nodes)}"
            self._nodes[key] = helper.make_node(kind, list(inputs), [output], **attributes)
        return str(self._nodes[key].output[0])

    def constant(self, values: Array | np.generic) -> str:
        """Name of a constant."""
        array = np.asarray(values)
        key = f"{array.dtype}{array.shape}{hashlib.sha256(array.tobytes()).hexdigest()}"
        if key not in self._constants:
            self._constants[key] = numpy_helper.from_array(array, f"constant_{len(self._constants)}")
        return str(self._constants[key].name)

    def model(self, templates: int) -> onnx.ModelProto:
        """The nodes as a model with its functions, checked."""
        image = helper.make_tensor_value_info("image", TensorProto.UINT8, ("N", "H", "W", self._channels))
        logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ("N", templates))
        nodes, constants = list(self._nodes.values()), list(self._constants.values())
        graph = helper.make_graph(nodes, "bank", [image], [logits], constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", ONNX_OPSET)], producer_name="scs-serve")
        model.ir_version = 10
        onnx_op.attach(model)
        onnx.checker.check_model(model, full_check=True)
        return model


class _Weights:
    """Weights ``(M, h, w)`` as whole digits ``(D, M, h, w)`` and their factors; others than 0 and 1 have 16 bits."""

    def __init__(self, weights: Wide) -> None:
        self.digits, self.factors = weights[None], np.ones((1, len(weights), 1, 1))
        if not _is_binary(weights):
            step = weights.max((1, 2), keepdims=True) / (_BASE**2 - 1)
            whole = np.rint(weights / step)
            self.digits, self.factors = np.stack([whole // _BASE, whole % _BASE]), np.stack([_BASE * step, step])
        self.totals = (self.digits * self.factors).sum((0, 2, 3))[:, None, None]


def _whole_kernel(template: Template, method: Method) -> Wide:
    """The pixels ``(C, h, w)`` under a mask of zeros and ones, less the whole number next to a mean to be removed."""
    pixels = np.moveaxis(template.pixels, 2, 0).astype(np.float64)
    weights = np.ones_like(pixels) if template.weights is None else np.broadcast_to(template.weights, pixels.shape)
    kernel: Wide = weights * (pixels - np.rint(weighted_means(pixels, weights)) * method.centred)
    return kernel


def _is_binary(weights: Wide) -> bool:
    return bool(np.all((weights == 0) | (weights == 1)))
