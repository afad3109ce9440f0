"""Gradients of an ONNX model's logits by a layer's maps, in sessions of which only those used last are kept."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

import onnx
import onnxruntime as ort

from models.cards.card import ModelCard
from models.onnx.gradient.graph import DIRECTION, GRADIENT, with_gradient
from models.runtime.device import first_line, open_session
from models.runtime.session import Array, Gradients, Images
from scs.errors import GradientError

_MOST_KEPT = 2  # each holds the weights of its model
_kept: OrderedDict[tuple[str, str], ort.InferenceSession] = OrderedDict()
_one_at_a_time = threading.Lock()  # a run wants every core, and the memory of a forward and a reverse pass


def run_gradients(
    content: Callable[[], bytes], card: ModelCard, name: str, images: Images, direction: Array
) -> Gradients:
    """Run an ONNX model forth and back to a layer, on the CPU.

    Args:
        content: returns the file; called where no session for that layer is kept.
        card: of the model.
        name: of the layer.
        images: ``(N, H, W, C)``.
        direction: ``(N, classes)``; the gradient is that of the sum of the logits times this.

    Raises:
        GradientError: an operator behind the layer has no rule, or the logits do not depend on the layer.
    """
    layer = card.layer(name)
    assert layer is not None
    with _one_at_a_time:
        try:
            session = _session(content, card, layer.tensor)
            wanted = ["logits", layer.tensor, GRADIENT]
            logits, maps, gradients = session.run(wanted, {"image": images, DIRECTION: direction})
        except GradientError:
            raise
        except Exception as error:  # onnx and the runtime each raise classes of their own
            raise GradientError(
                f"the gradient by {name} of {card.name} was not computed: {first_line(error)}"
            ) from None
    return Gradients(logits, maps, gradients)


def _session(content: Callable[[], bytes], card: ModelCard, tensor: str) -> ort.InferenceSession:
    key = card.sha256, tensor
    if key in _kept:
        _kept.move_to_end(key)
        return _kept[key]
    while len(_kept) >= _MOST_KEPT:
        _kept.popitem(last=False)
    graph = with_gradient(onnx.load_from_string(content()), tensor)
    _kept[key] = open_session(graph.SerializeToString(), "cpu", keeps_memory=False)
    return _kept[key]
