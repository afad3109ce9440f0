"""The sizes and batches that a network really takes: tried, for a file says what was exported, not what runs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from models.imports.graphs import Graph
from models.imports.interface import Source
from models.imports.trial import Trial
from scs.errors import ModelError

Array = NDArray[Any]
_BATCH = 3
_MULTIPLES = (1, 2, 4, 8, 14, 16, 32, 64)
_AGREE = 1e-3  # of the range of an output, for a picture alone and in a batch
_LARGEST_TRIED = 1024  # pixels on a side


@dataclass(frozen=True)
class Freed:
    """A network with its batch, and its size, free where that proved right.

    Attributes:
        model: the network, perhaps with dimensions edited.
        source: its input.
        smallest: width and height below which it does not run.
        multiple_of: pixels that both sides need to be a multiple of.
    """

    model: onnx.ModelProto
    source: Source
    smallest: tuple[int, int]
    multiple_of: int = 1


def free(model: onnx.ModelProto, source: Source, output: str) -> Freed:
    """Free the batch and the size of a network, each where it runs so, and answers as it did.

    Args:
        model: the network.
        source: its input.
        output: a tensor whose first axis runs over the pictures.

    Raises:
        ModelError: it takes batches of several pictures alone.
    """
    free_batch = _with_free_batch(model, source, output)
    if free_batch is not None:
        model, source = free_batch, replace(source, batch=None)
    elif source.batch not in (None, 1):
        raise ModelError(
            f"the network needs to take pictures one by one or in any number; it takes {source.batch} at a time alone: "
            "export it with a batch of 1, or a free one"
        )
    elif source.batch is None:  # the file says that any number will do, and it is not so
        source = replace(source, batch=1)
    own = source.width, source.height
    if source.layout == "rows":
        return Freed(model, source, own)
    opened = _edited(model, source, sides=True)
    multiple = _multiple(opened, source, output)
    if multiple is None:
        return Freed(model, replace(source, fixed=True), own)
    source = replace(source, fixed=False)
    return Freed(opened, source, _smallest(opened, source, output, multiple), multiple)


def _edited(model: onnx.ModelProto, source: Source, sides: bool) -> onnx.ModelProto:
    """Return a copy of a model whose batch, and sides if wished, are free."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    del copy.graph.value_info[:]
    for value in copy.graph.input:
        if value.name == source.name:
            for axis, dimension in enumerate(value.type.tensor_type.shape.dim):
                is_side = source.layout != "rows" and axis in ((2, 3) if source.layout == "NCHW" else (1, 2))
                if (axis == 0 and source.batch is None) or (is_side and sides):
                    dimension.dim_param = f"free_{axis}"
    for value in copy.graph.output:
        if value.type.HasField("tensor_type"):
            value.type.tensor_type.ClearField("shape")
    return copy


def _with_free_batch(model: onnx.ModelProto, source: Source, output: str) -> onnx.ModelProto | None:
    """Return the model with a free batch: as it is, with its dimension edited, or its reshapes too; None for none."""
    free_source = replace(source, batch=None)
    candidates: list[onnx.ModelProto | None] = [_edited(model, free_source, sides=False)]
    if source.batch is not None:
        candidates.append(_with_free_reshapes(_edited(model, free_source, sides=False), source.batch))
    for candidate in candidates:
        if candidate is not None and _is_batch_right(model, candidate, source, output):
            return candidate
    return None


def _with_free_reshapes(model: onnx.ModelProto, batch: int) -> onnx.ModelProto | None:
    """Return a model whose reshapes to a shape that begins with the batch take any; None where there are none."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    graph, changed = Graph(copy, ""), False
    for node in copy.graph.node:
        shape = graph.constant(node.input[1]) if node.op_type == "Reshape" and len(node.input) > 1 else None
        if shape is None or shape.ndim != 1 or not shape.size or shape[0] != batch:
            continue
        freed = np.array([0 if -1 in shape[1:] else -1, *shape[1:]], np.int64)
        name = f"{node.output[0]}/free_shape"
        copy.graph.initializer.append(numpy_helper.from_array(freed, name))
        node.input[1] = name
        changed = True
    return copy if changed else None


def _is_batch_right(model: onnx.ModelProto, candidate: onnx.ModelProto, source: Source, output: str) -> bool:
    """Return whether pictures in a batch get the answers that they get as the file has it."""
    images = np.random.default_rng(1).random((_BATCH, source.height, source.width, source.channels)) * 2 - 1
    if source.dtype == np.uint8:
        images = images * 127 + 128
    rows = source.batch or 1
    try:
        original, edited = (_session(each, output) for each in (model, candidate))
        alone = []
        for image in images:
            batch = source.shaped(np.repeat(image[None], rows, 0))
            alone.append(original.run([output], {source.name: batch})[0][:1])
        together = edited.run([output], {source.name: source.shaped(images)})[0]
    except Exception:  # the runtime raises a class of its own for each cause
        return False
    expected = np.concatenate(alone)
    return bool(
        together.shape == expected.shape
        and np.abs(together.astype(np.float64) - expected).max() <= _AGREE * max(1e-6, float(np.ptp(expected)))
    )


def _session(model: onnx.ModelProto, output: str) -> Trial:
    if output in {value.name for value in model.graph.output}:
        return Trial(model)
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    copy.graph.output.append(onnx.ValueInfoProto(name=output))
    return Trial(copy)


def _multiple(model: onnx.ModelProto, source: Source, output: str) -> int | None:
    """Return the least multiple of pixels by whose sides the network runs, larger and not square; None for no size."""
    runs = _runner(model, source, output)
    for multiple in _MULTIPLES:
        down, across = (-(-side // multiple) * multiple for side in (source.height, source.width))
        # A little larger, not square, and so much larger that there are more places in every layer.
        others = [(down + multiple, across), (down, across + 3 * multiple), (2 * down, 2 * across), (2 * down, across)]
        if all(runs(height, width) for height, width in others):
            return multiple
    return None


def _smallest(model: onnx.ModelProto, source: Source, output: str, multiple: int) -> tuple[int, int]:
    """Return the least width and height at which the network runs, by bisection."""
    runs = _runner(model, source, output)

    def least(side: int, works: Any) -> int:
        low, high = 0, max(1, side // multiple)  # the first does not run, the second does
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if works(middle * multiple) else (middle, high)
        return high * multiple

    both = min(source.width, source.height)
    if runs(both, both):
        side = least(both, lambda length: runs(length, length))
        return side, side
    width = least(source.width, lambda length: runs(source.height, length))
    return width, least(source.height, lambda length: runs(length, source.width))


def _runner(model: onnx.ModelProto, source: Source, output: str) -> Any:
    """Return what says whether the network runs on pictures of a height and width, to an output of the same kind."""
    session = _session(model, output)

    def shape_at(height: int, width: int) -> tuple[int, ...] | None:
        blank = np.full((source.batch or 2, height, width, source.channels), 0.5)
        try:
            values = session.run([output], {source.name: source.shaped(blank)})[0]
        except Exception:  # the runtime raises a class of its own for each cause
            return None
        return values.shape if values.dtype.kind not in "f" or np.isfinite(values).all() else None

    expected = shape_at(source.height, source.width)

    def runs(height: int, width: int) -> bool:
        if max(height, width) > max(_LARGEST_TRIED, 2 * source.height, 2 * source.width):
            return False
        came = shape_at(height, width)
        if came is None or expected is None or len(came) != len(expected) or came[0] != expected[0]:
            return False
        # Classes stay as many; maps and boxes may become more.
        return came == expected if len(expected) == 2 else True

    return runs
