"""What a graph takes and what it gives: the layout of its picture, and which output has the classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import onnx
from numpy.typing import NDArray

from models.imports.graphs import FLOATS
from models.imports.trial import Trial
from models.runtime.device import first_line
from scs.errors import ModelError, OptionError

Layout = Literal["NCHW", "NHWC", "rows"]
Size = tuple[int, int]  # width, height
_TYPES: dict[int, np.dtype[Any]] = {**FLOATS, onnx.TensorProto.UINT8: np.dtype(np.uint8)}
_MOST_NUMBERS = 2**26  # of pictures that are given at a time: half a gigabyte while they are made
_TRIED: tuple[tuple[Layout, Literal[1, 3]], ...] = (("NCHW", 3), ("NHWC", 3), ("NCHW", 1), ("NHWC", 1))


@dataclass(frozen=True)
class Source:
    """The input that takes the picture.

    Attributes:
        name: in the graph.
        dtype: of its numbers.
        layout: of its axes; ``rows``: all pixels of a picture in a row.
        channels: of the picture.
        width: pixels, of the pictures that it takes.
        height: likewise.
        batch: how many pictures it takes together; None for any number.
        fixed: whether the file says that it takes this size alone.
    """

    name: str
    dtype: np.dtype[Any]
    layout: Layout
    channels: Literal[1, 3]
    width: int
    height: int
    batch: int | None
    fixed: bool

    def shaped(self, images: NDArray[Any]) -> NDArray[Any]:
        """Return images ``(N, H, W, C)``, preprocessed, in this layout and type."""
        if self.layout == "NCHW":
            images = images.transpose(0, 3, 1, 2)
        elif self.layout == "rows":
            images = images.reshape(len(images), -1)
        return np.ascontiguousarray(images, self.dtype)


def find_source(model: onnx.ModelProto, size: Size | None, usual: Size | None) -> Source:
    """Find the input of a graph that takes the picture, and how; what the file leaves open is tried.

    Args:
        model: the network.
        size: width and height that were asked for, if any.
        usual: those that its preprocessing goes by.

    Raises:
        ModelError: it takes no picture, or something beside it.
        OptionError: another size than the file takes was asked for, or none where it takes any.
    """
    value = _only_input(model)
    kind = value.type.tensor_type
    if kind.elem_type not in _TYPES:
        name = "" if not kind.elem_type else onnx.TensorProto.DataType.Name(kind.elem_type)
        raise ModelError(
            f"the input '{value.name}' needs to take uint8 or floats, as pictures are; it takes {name or 'no tensor'}: "
            "export the network in float32, or with a Cast from float in front"
        )
    dims = [d.dim_value if d.dim_value > 0 else None for d in kind.shape.dim] if kind.HasField("shape") else [None] * 4
    if len(dims) == 2:
        return _source_of_rows(value.name, _TYPES[kind.elem_type], dims, size)
    if len(dims) != 4:
        raise ModelError(
            f"the input '{value.name}' needs four dimensions, pictures (N, C, H, W) or (N, H, W, C); it takes "
            f"{_written(dims)}: "
            "export the network with a picture as its example"
        )
    dtype, batch = _TYPES[kind.elem_type], dims[0]
    for layout, channels in _layouts(dims, value.name):
        height, width = (dims[2], dims[3]) if layout == "NCHW" else (dims[1], dims[2])
        wanted = size or usual
        if size and (width or size[0], height or size[1]) != size:
            raise OptionError(f"the file takes {width}x{height} pixels alone; --size {size[0]}x{size[1]} came")
        if not (wanted or (width and height)):
            raise OptionError(
                "the file takes pictures of any size; say by --size 224x224, say, which one they shall have"
            )
        found = Source(
            value.name,
            dtype,
            layout,
            channels,
            width or (wanted or (0, 0))[0],
            height or (wanted or (0, 0))[1],
            batch,
            bool(width and height),
        )
        if (found.batch or 1) * found.width * found.height * channels > _MOST_NUMBERS:
            raise ModelError(
                f"a batch needs to have at most {_MOST_NUMBERS:,} numbers; '{value.name}' takes {_written(dims)}: "
                "export the network for smaller pictures, one by one"
            )
        obstacle = _obstacle(model, found)
        if obstacle is None:
            return found
    raise ModelError(f"the network does not run on a picture of {found.width}x{found.height} pixels: {obstacle}")


def _written(dims: Sequence[int | None]) -> str:
    """Return a shape in words, ``?`` for what is free."""
    return "x".join("?" if side is None else str(side) for side in dims) or "one number"


def _only_input(model: onnx.ModelProto) -> onnx.ValueInfoProto:
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in weights]
    if len(inputs) != 1:
        names = ", ".join(value.name for value in inputs)[:200] or "none"
        raise ModelError(
            f"an import needs a network of one input, a picture; this one has {len(inputs)}: {names}. Export the part "
            "that sees the picture, with what else it takes as constants"
        )
    (only,) = inputs
    assert isinstance(only, onnx.ValueInfoProto)
    return only


def _layouts(dims: Sequence[int | None], name: str) -> list[tuple[Layout, Literal[1, 3]]]:
    """Return the layouts and channels to be tried; one, where the file says which."""
    fitting = [
        (layout, channels)
        for layout, channels in _TRIED
        if (dims[1] if layout == "NCHW" else dims[3]) in (None, channels)
    ]
    said = [
        (layout, channels) for layout, channels in fitting if (dims[1] if layout == "NCHW" else dims[3]) is not None
    ]
    if not fitting:
        raise ModelError(
            f"a picture has 1 or 3 channels, second or last of the axes; '{name}' takes {_written(dims)}: "
            "put what makes these channels of a picture into the network, and export both"
        )
    return said or fitting


def _source_of_rows(name: str, dtype: np.dtype[Any], dims: Sequence[int | None], size: Size | None) -> Source:
    """Return the source of a network that takes a picture's pixels in a row, as scikit-learn's do."""
    count = dims[1]
    if size is None or count is None or count not in (size[0] * size[1], 3 * size[0] * size[1]):
        raise OptionError(
            f"the input '{name}' takes rows of {count or 'some'} numbers; say by --size WIDTHxHEIGHT of which pictures "
            "these are the pixels, row by row"
        )
    channels: Literal[1, 3] = 1 if count == size[0] * size[1] else 3
    return Source(name, dtype, "rows", channels, *size, dims[0], fixed=True)


def _obstacle(model: onnx.ModelProto, source: Source) -> str | None:
    """Return what keeps the network from running on a blank picture; None where nothing does."""
    blank = np.zeros((source.batch or 1, source.height, source.width, source.channels))
    session = Trial(model)
    try:
        session.run(None, {source.name: source.shaped(blank)})
    except ModelError:  # it ran, without an end
        raise
    except Exception as error:  # the runtime raises a class of its own for each cause
        return first_line(error)
    return None


def find_output(
    model: onnx.ModelProto, shapes: dict[str, tuple[int, ...]], labels: Sequence[str] | None, wanted: str | None
) -> tuple[str, bool]:
    """Find the output that has the classes, and say whether another could have been meant.

    Args:
        model: the network.
        shapes: of its tensors, for a batch.
        labels: names of the classes, if there are any.
        wanted: the output that was asked for.

    Raises:
        UnknownNameError, OptionError: there is none of that name, or none with as many numbers as there are labels.
    """
    zipped = {node.output[0]: node.input[0] for node in model.graph.node if node.op_type == "ZipMap"}
    made = {value.name: shapes.get(zipped.get(value.name, value.name), ()) for value in model.graph.output}
    if wanted is not None:
        if wanted not in shapes:
            raise OptionError(f"no tensor '{wanted[:60]}' in the network; its outputs are {_described(made)}")
        return wanted, False
    flat = [name for name, shape in made.items() if len(shape) >= 2 and int(np.prod(shape[2:])) == 1]
    if labels:
        count = len(labels)
        fits = [name for name in flat if made[name][1] == count or (count == 2 and made[name][1] == 1)]
        if not fits:
            inside = [name for name, shape in shapes.items() if len(shape) == 2 and shape[1] == count]
            instead = f"--output {inside[-1]} names a tensor inside that has" if inside else "without labels"
            rest = " as many" if inside else " it is served for its layers"
            raise OptionError(
                f"{count} labels need an output of as many numbers; the network has {_described(made)}; {instead}{rest}"
            )
        named = [name for name in fits if "logit" in name.lower()]
        return (named or fits)[0], len(fits) > 1
    return (flat or [*made])[0], len(made) > 1


def _described(made: dict[str, tuple[int, ...]]) -> str:
    return ", ".join(f"{name} {'x'.join(map(str, shape)) or '(no tensor)'}" for name, shape in made.items())[:300]
