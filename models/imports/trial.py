"""Trial runs of a graph: the shapes of all its tensors, the values that do not depend on the picture, and outputs."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import helper

from models.imports.graphs import Graph
from models.runtime.device import first_line, usable_cores
from scs.errors import ModelError

Array = NDArray[Any]

_SEQUENCES = {"ZipMap", "SequenceConstruct", "SequenceEmpty", "SplitToSequence", "SequenceInsert", "SequenceErase"}
_LONGEST_RUN_S = 60  # far more than any network of pictures takes
_FATAL = 4  # the least that the runtime logs: a trial that fails is an answer, not an error
_MOST_VALUES = 4096  # numbers of a constant that the analysis may look at: axes, pads, shapes


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
    """A session whose runs end: a loop without an end is a mistake of a file, not a reason to wait.

    Args:
        session: of the runtime.
    """

    def __init__(self, session: ort.InferenceSession) -> None:
        self._session = session

    @property
    def source(self) -> str:
        """The name of the first input."""
        return str(self._session.get_inputs()[0].name)

    def run(self, names: Sequence[str] | None, given: dict[str, Array]) -> list[Any]:
        """Run the session, and return the tensors named; all outputs for None.

        Raises:
            ModelError: it does not end in time.
            Exception: of the runtime's own, where it does not take what is given.
        """
        options = ort.RunOptions()
        stop = threading.Timer(_LONGEST_RUN_S, setattr, (options, "terminate", True))
        stop.daemon = True
        stop.start()
        try:
            return list(self._session.run(names, given, options))
        except Exception:  # the runtime raises a class of its own for each cause
            if options.terminate:
                raise ModelError(
                    f"the network needs to answer within {_LONGEST_RUN_S} s and did not: a loop of it may have no end"
                ) from None
            raise
        finally:
            stop.cancel()


def open_model(model: onnx.ModelProto) -> Trial:
    """Open a session for a model in memory.

    Raises:
        ModelError: the runtime does not take it; the message says what it misses, and what would work.
    """
    options = ort.SessionOptions()
    options.log_severity_level = _FATAL
    options.enable_cpu_mem_arena = False
    options.intra_op_num_threads = usable_cores()
    try:
        return Trial(ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"]))
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
    session = open_model(with_outputs(model, names))
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
    session = open_model(asked)
    found = session.run(None, {graph.source: images})
    shapes = {name: tuple(int(n) for n in shape) for name, shape in zip(valued, found, strict=False)}
    shapes[graph.source] = images.shape
    values = {
        name: value for name, value in zip(fixed, found[len(valued) :], strict=True) if isinstance(value, np.ndarray)
    }
    return Measured(shapes, {name: value for name, value in values.items() if value.size <= _MOST_VALUES})
