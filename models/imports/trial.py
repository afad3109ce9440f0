"""Trial runs of a graph: the shapes of all its tensors, the values that do not depend on the picture, and outputs."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from models.imports.apart import GoneError, apart, open_session, run_session
from models.imports.graphs import Graph
from models.runtime.device import first_line
from scs.errors import ModelError

Array = NDArray[Any]

_SEQUENCES = {"ZipMap", "SequenceConstruct", "SequenceEmpty", "SplitToSequence", "SequenceInsert", "SequenceErase"}
_MOST_VALUES = 4096  # numbers of a constant that the analysis may look at: axes, pads, shapes
_keys = itertools.count()


@dataclass(frozen=True)
class Measured:
    """What a trial run found.

    Attributes:
        shapes: of every tensor that depends on the picture.
        values: of the small tensors that do not.
    """

    shapes: dict[str, tuple[int, ...]]
    values: dict[str, Array]


class Trial:
    """A session in a process of its own, whose runs end: a loop without an end is no reason to wait.

    Args:
        model: the network; not to be changed meanwhile.

    Raises:
        ModelError: the runtime does not take it; the message says what it misses, and what would work.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        self._model = model
        self._key = next(_keys)
        self.source = self._open()
        """The name of the first input."""

    def run(self, names: Sequence[str] | None, given: dict[str, Array]) -> list[Any]:
        """Run the session, and return the tensors named; all outputs for None.

        Raises:
            ModelError: it does not end in time, or ends its process.
            Exception: of the runtime's own, where it does not take what is given.
        """
        try:
            return self._run(names, given)
        except GoneError:
            self._open()
            return self._run(names, given)

    def _run(self, names: Sequence[str] | None, given: dict[str, Array]) -> list[Any]:
        found: list[Any] = apart.ask(run_session, self._key, names, given)
        return found

    def _open(self) -> str:
        try:
            return str(apart.ask(open_session, self._key, self._model.SerializeToString()))
        except ModelError:
            raise
        except Exception as error:  # the runtime raises a class of its own for each cause
            raise ModelError(f"ONNX Runtime cannot load the file: {first_line(error)}{_remedy(str(error))}") from None


def _remedy(said: str) -> str:
    """Return the nearest thing that would work, after what the runtime said; nothing where that is not known."""
    if "NOT_IMPLEMENTED" in said:
        return "; export it in float32 and for an operator set from 9 on"
    if "is not a registered function/op" in said or "No Op registered" in said:
        return "; export it with the operators of ONNX alone"
    if "opset" in said.lower() or "IR version" in said:
        return f"; export it for an operator set from 9 to {onnx.defs.onnx_opset_version() - 1} or an older one"
    return ""


def with_outputs(model: onnx.ModelProto, names: Sequence[str], keep: bool = False) -> onnx.ModelProto:
    """Return a shallow copy of a model whose outputs are these tensors; after its own where those are kept."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    if not keep:
        del copy.graph.output[:]
    copy.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    return copy


def run(model: onnx.ModelProto, images: Array, names: Sequence[str]) -> list[Array]:
    """Run a model of one input, and return the tensors named.

    Raises:
        ModelError: it cannot be loaded.
        Exception: of the runtime's own, where it does not take these images.
    """
    session = Trial(with_outputs(model, names))
    return session.run(list(names), {session.source: images})


def measure(graph: Graph, images: Array) -> Measured:
    """Run a graph on images, and measure its tensors; none of the maps themselves is kept.

    Args:
        graph: the network.
        images: of the type and layout that it takes.
    """
    skipped = {name for node in graph.nodes if node.op_type in _SEQUENCES for name in node.output}
    made = [name for node in graph.nodes for name in node.output if name and name not in skipped]
    valued = [name for name in made if name in graph.valued]
    fixed = [name for name in made if name not in graph.valued]
    asked = onnx.ModelProto()
    asked.CopyFrom(graph.model)
    del asked.graph.output[:]
    for number, name in enumerate(valued):
        asked.graph.node.append(helper.make_node("Shape", [name], [f"measured/{number}"]))
        asked.graph.output.append(onnx.ValueInfoProto(name=f"measured/{number}"))
    asked.graph.output.extend(onnx.ValueInfoProto(name=name) for name in fixed)
    session = Trial(asked)
    found = session.run(None, {graph.source: images})
    shapes = {name: tuple(int(n) for n in shape) for name, shape in zip(valued, found, strict=False)}
    shapes[graph.source] = images.shape
    values = {
        name: value for name, value in zip(fixed, found[len(valued) :], strict=True) if isinstance(value, np.ndarray)
    }
    return Measured(shapes, {name: value for name, value in values.items() if value.size <= _MOST_VALUES})
