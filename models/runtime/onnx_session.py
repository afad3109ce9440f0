"""Run a model on ONNX Runtime."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial

import numpy as np
import onnx
import onnxruntime as ort

from models.cards.card import ModelCard
from models.onnx import native
from models.onnx.external_data import refers_to_files
from models.onnx.graph import keep_only, needed_nodes
from models.runtime.device import Device, first_line, open_session, usable_cores
from models.runtime.gradients import run_gradients
from models.runtime.session import Array, Gradients, Images
from models.runtime.wide_sessions import WideSession, WideSessionCache
from scs.errors import DeviceError, ModelError

# The runtime keeps the memory of its largest run. For dense maps of a photograph that is most of a gigabyte a model, so
# it is handed back after pictures above this size; below it, keeping it is faster.
_PIXELS_WORTH_KEEPING_MEMORY_FOR = 2**18
_SMALL_S = 0.002  # a picture that takes longer on one thread gets all of them
# Two runs that each want every core take turns on them, and the memory of both: one after the other is as fast.
_all_cores = threading.Lock()
_wide_sessions = WideSessionCache()
_MOST_CONCURRENT = 3  # more runs of small pictures at once than one event loop can feed


class OnnxModel:
    """An ONNX model: sessions for logits, fused as far as the runtime can, and one that keeps every layer.

    On the CPU there are two for logits: one thread is best for a small picture, because waking others takes longer than
    the run, and leaves the other cores to other requests; for a large one all cores are. Those of all cores are opened
    from the file's content, which is kept, and closed while other models use theirs.
    """

    def __init__(self, content: bytes, card: ModelCard, device: Device) -> None:
        self.device = device
        self.kernels: native.Kernels | None = None
        self._content, self._card = content, card
        self._tensors = {layer.name: layer.tensor for layer in card.layers}
        # What a bank's sums in float64 take is handed back after every picture, however small.
        self._keeps_memory = card.bank is None
        try:
            graph = onnx.load_from_string(content)
            if refers_to_files(graph):
                raise ModelError(f"{card.name} needs to be one file; it refers to others")
            self.kernels = _choose_kernels(graph, device)
            self._threads = usable_cores() if device == "cpu" else 1
            file = _File(content, device, self.kernels, tuple(self._tensors.values()))
            # What these hold must not lead back here: a cycle would outlive the model, as the heap is frozen.
            open_lean = partial(file.open_for_logits, keeps_memory=self._keeps_memory)
            self._narrow = open_lean(threads=1)
            self._wide = WideSession(_wide_sessions, partial(open_lean, threads=self._threads), self._threads)
            self._open = WideSession(_wide_sessions, partial(file.open_for_layers, self._threads), self._threads)
            self._open.get()
            if self._threads > 1:
                self._wide.open_if_room()
            _check_interface(self._narrow, card)
            blank = np.zeros((1, card.input.height, card.input.width, card.input.channels), np.uint8)
            self._small_pixels = blank[..., 0].size * _SMALL_S / self._seconds(blank)
        except (ModelError, DeviceError):
            raise
        except Exception as error:  # onnx and the runtime each raise classes of their own for a broken file
            raise ModelError(f"{card.name} {card.version} could not be loaded: {first_line(error)}") from None
        self.concurrent_runs = 1
        if device == "cpu" and blank[..., 0].size <= self._small_pixels:
            self.concurrent_runs = min(_MOST_CONCURRENT, usable_cores())

    def logits(self, images: Images) -> Array:
        """Logits ``(N, classes)`` of images ``(N, H, W, C)``."""
        is_small = images[0, ..., 0].size <= self._small_pixels
        options = ort.RunOptions()
        if self._keeps_memory and self.device == "cpu" and images[..., 0].size > _PIXELS_WORTH_KEEPING_MEMORY_FOR:
            options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        with nullcontext() if is_small else _all_cores:
            session = self._narrow if is_small or self._threads == 1 else self._wide.get()
            (logits,) = session.run(["logits"], {"image": images}, options)
        return logits  # type: ignore[no-any-return]

    def _seconds(self, images: Images) -> float:
        """Seconds that a run takes on one thread, once it has found its memory."""
        times = []
        for _ in range(3):
            started = time.perf_counter()
            self._narrow.run(["logits"], {"image": images})
            times.append(time.perf_counter() - started)
        return min(times)

    def layers(self, images: Images, names: Sequence[str]) -> dict[str, Array]:
        """Logits under the name ``logits``, and the maps ``(N, K, H', W')`` of the layers named."""
        wanted = ["logits", *(self._tensors[name] for name in names)]
        with _all_cores:
            values = self._open.get().run(wanted, {"image": images})
        return dict(zip(["logits", *names], values, strict=True))

    def gradients(self, images: Images, name: str, direction: Array) -> Gradients:
        """Gradients of the logits times ``direction`` by a layer's maps, on the CPU wherever the model runs."""
        return run_gradients(lambda: self._content, self._card, name, images, direction)


@dataclass(frozen=True, eq=False)
class _File:
    """A model file that sessions are opened from.

    Args:
        content: an ONNX file.
        device: where they run.
        kernels: which kernels run its sharpened cosine similarity, if it has any.
        tensors: those of its layers.
    """

    content: bytes
    device: Device
    kernels: native.Kernels | None
    tensors: tuple[str, ...]

    def open_for_logits(self, threads: int, keeps_memory: bool) -> ort.InferenceSession:
        graph = _without_unused(onnx.load_from_string(self.content))
        return self._open(graph, threads, keeps_memory)

    def open_for_layers(self, threads: int) -> ort.InferenceSession:
        graph = _with_outputs(onnx.load_from_string(self.content), self.tensors)
        return self._open(graph, threads, keeps_memory=False)

    def _open(self, graph: onnx.ModelProto, threads: int, keeps_memory: bool) -> ort.InferenceSession:
        is_native = self.kernels == "native"
        prepared = (native.joined(graph) if is_native else graph).SerializeToString()
        return open_session(prepared, self.device, threads=threads, keeps_memory=keeps_memory, is_native=is_native)


def _choose_kernels(graph: onnx.ModelProto, device: Device) -> native.Kernels | None:
    if not native.calls_op(graph):
        return None
    return "native" if device == "cpu" and native.available() else "portable"


def _without_unused(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model without nodes that no output needs, such as the layers of a bank: the runtime would run them."""
    needed = needed_nodes(model.graph)
    if len(needed) == len(model.graph.node):
        return model
    lean = onnx.ModelProto()
    lean.CopyFrom(model)
    keep_only(lean.graph, needed)
    return lean


def _with_outputs(graph: onnx.ModelProto, tensors: Sequence[str]) -> onnx.ModelProto:
    made = {name for node in graph.graph.node for name in node.output}
    for tensor in tensors:
        if tensor not in made:
            raise ModelError(f"the card names a layer's tensor '{tensor}' that the graph does not have")
        graph.graph.output.append(onnx.ValueInfoProto(name=tensor))
    return graph


def _check_interface(session: ort.InferenceSession, card: ModelCard) -> None:
    takes = [(i.name, i.type, i.shape[-1]) for i in session.get_inputs()]
    needed = [("image", "tensor(uint8)", card.input.channels)]
    if takes != needed:
        raise ModelError(f"{card.name} {card.version} needs the input {needed[0]}; it has {takes}")
    gives = [(o.name, o.shape[-1]) for o in session.get_outputs()]
    if gives != [("logits", len(card.labels))]:
        raise ModelError(
            f"{card.name} {card.version} needs the output logits of {len(card.labels)} classes; it has {gives}"
        )
