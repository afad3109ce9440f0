"""What the kernels of an ONNX model's layers are laid over, from sessions of which only those used last are kept."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import onnx
import onnxruntime as ort

from models.cards.card import LayerCard, ModelCard
from models.onnx import native
from models.onnx.graph import keep_only, needed_nodes
from models.onnx.kernels import LayerKernels, find_kernels
from models.runtime.device import open_session
from models.runtime.session import Array, Images, to_float32

_MOST_KEPT = 4  # each holds the weights in front of its layer
_kept: OrderedDict[tuple[str, str], _Kept] = OrderedDict()
_one_at_a_time = threading.Lock()  # a run wants every core


@dataclass(frozen=True)
class _Kept:
    session: ort.InferenceSession
    input: str


def kernels_of(model: onnx.ModelProto, card: ModelCard, layer: LayerCard) -> LayerKernels:
    """Find the kernels of a layer of a model's card.

    Raises:
        OptionError: it has none.
    """
    return find_kernels(model.graph, layer.name, layer.tensor, {each.tensor for each in card.layers})


def run_kernel_input(content: Callable[[], bytes], card: ModelCard, name: str, images: Images) -> Array:
    """Run an ONNX model up to the kernels of a layer, on the CPU.

    Args:
        content: returns the file; called where no session for that layer is kept.
        card: of the model.
        name: of the layer.
        images: ``(N, H, W, C)``.

    Returns:
        What the kernels are laid over, ``(N, C', H', W')``, without the padding.

    Raises:
        OptionError: the layer has no kernels.
    """
    layer = card.layer(name)
    assert layer is not None
    with _one_at_a_time:
        kept = _open(content, card, layer)
        (found,) = kept.session.run([kept.input], {"image": images})
    return to_float32(found)


def _open(content: Callable[[], bytes], card: ModelCard, layer: LayerCard) -> _Kept:
    key = card.sha256, layer.tensor
    if key in _kept:
        _kept.move_to_end(key)
        return _kept[key]
    while len(_kept) >= _MOST_KEPT:
        _kept.popitem(last=False)
    model = onnx.load_from_string(content())
    tensor = kernels_of(model, card, layer).input
    del model.graph.output[:]
    model.graph.output.append(onnx.ValueInfoProto(name=tensor))
    keep_only(model.graph, needed_nodes(model.graph))
    is_native = native.calls_op(model) and native.available()
    file = native.joined(model) if is_native else model
    session = open_session(file.SerializeToString(), "cpu", keeps_memory=False, is_native=is_native)
    _kept[key] = _Kept(session, tensor)
    return _kept[key]
