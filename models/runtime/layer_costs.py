"""What each layer of an ONNX model costs: its parameters, and the time of its nodes as the runtime has fused them."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
import onnxruntime as ort

from models.cards.card import ModelCard
from models.onnx import native
from models.onnx.parameters import count_parameters, owners
from models.runtime.device import usable_cores
from scs.errors import ModelError

_RUNS = 5
_ERRORS_ONLY = 3
_HEAD = "logits"


@dataclass(frozen=True)
class LayerCost:
    """What a layer costs beyond the layers that it is made from.

    Attributes:
        name: on the card; ``logits`` for what follows the last of them.
        shape: of its maps or logits, without the batch.
        parameters: numbers that its nodes hold.
        milliseconds: that its nodes take on the CPU, all cores, one image of the card's size.
    """

    name: str
    shape: tuple[int, ...]
    parameters: int
    milliseconds: float


def layer_costs(content: bytes, card: ModelCard) -> list[LayerCost]:
    """Measure what each layer of an ONNX model costs, in the order of the card, and then what follows them.

    Each node belongs to the layer that is made first of all that need it. Layers stay apart for this, as `/activations`
    keeps them: without them the runtime may fuse more.

    Args:
        content: an ONNX file.
        card: its card.

    Raises:
        ModelError: the graph has no tensor that the card names.
    """
    model = _named(onnx.load_from_string(content))
    made = [name for node in model.graph.node for name in node.output]
    tensors = {layer.tensor: layer.name for layer in card.layers}
    for tensor in tensors:
        if tensor not in made:
            raise ModelError(f"the card names a layer's tensor '{tensor[:100]}' that the graph does not have")
    order = [*sorted(tensors, key=made.index), _HEAD]
    parameters = count_parameters(model.graph, order)
    given = {output.name for output in model.graph.output}
    model.graph.output.extend(onnx.ValueInfoProto(name=tensor) for tensor in tensors if tensor not in given)
    shapes, times = _run(model, card, order)
    found = {
        tensor: LayerCost(tensors.get(tensor, _HEAD), shapes[tensor], parameters[tensor], times[tensor])
        for tensor in order
    }
    return [*(found[layer.tensor] for layer in card.layers), found[_HEAD]]


def _named(model: onnx.ModelProto) -> onnx.ModelProto:
    """Give each node a name of its own, which the runtime's times are told by."""
    for number, node in enumerate(model.graph.node):
        node.name = f"{node.op_type}_{number}"
    return model


def _run(
    model: onnx.ModelProto, card: ModelCard, order: list[str]
) -> tuple[dict[str, tuple[int, ...]], dict[str, float]]:
    """Return the shapes of tensors, and the milliseconds of their nodes in a run."""
    is_native = native.calls_op(model) and native.available()
    with TemporaryDirectory() as folder:
        options = ort.SessionOptions()
        options.log_severity_level = _ERRORS_ONLY
        options.intra_op_num_threads = usable_cores()
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(folder) / "profile")
        fused = Path(folder) / "fused.onnx"
        options.optimized_model_filepath = str(fused)
        if is_native:
            native.register(options)
        content = (native.joined(model) if is_native else model).SerializeToString()
        session = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        batch = session.get_inputs()[0].shape[0]
        size = card.input.height, card.input.width, card.input.channels
        images = np.zeros((batch if isinstance(batch, int) else 1, *size), np.uint8)
        for _ in range(_RUNS + 1):
            values = session.run(order, {"image": images})
        events = json.loads(Path(session.end_profiling()).read_text())
        nodes = onnx.load(str(fused), load_external_data=False).graph.node
    milliseconds = _milliseconds(events)
    times = {
        tensor: sum(milliseconds.get(node.name, 0.0) for node in own) for tensor, own in owners(nodes, order).items()
    }
    return {tensor: value.shape[1:] for tensor, value in zip(order, values, strict=True)}, times


def _milliseconds(events: list[dict[str, object]]) -> dict[str, float]:
    """Return the milliseconds of each node in a run, from a profile of the runtime."""
    durations: dict[str, list[float]] = defaultdict(list)
    for event in events:
        name = str(event.get("name", ""))
        if event.get("cat") == "Node" and name.endswith("_kernel_time"):
            durations[name.removesuffix("_kernel_time")].append(float(str(event["dur"])))
    # A node of a loop has several times in a run; the median leaves out the first run, which finds its memory.
    return {name: float(np.median(each)) * len(each) / (_RUNS + 1) / 1000 for name, each in durations.items()}
