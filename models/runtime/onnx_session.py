"""Run a model on ONNX Runtime."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence, Set
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial

import numpy as np
import onnx
import onnxruntime as ort

from models.cards.card import ModelCard
from models.onnx import native
from models.onnx.external_data import refers_to_files
from models.onnx.graph import ends_in_sigmoid, keep_only, needed_nodes
from models.runtime.device import Device, first_line, left_to_cpu, open_session, usable_cores
from models.runtime.gradients import run_gradients
from models.runtime.kernel_inputs import run_kernel_input
from models.runtime.session import Array, Gradients, Images, to_float32
from models.runtime.wide_sessions import WideSession, WideSessionCache
from scs.errors import DeviceError, ModelError

_log = logging.getLogger(__name__)

# The runtime keeps the memory of its largest run. For dense maps of a photograph that is most of a gigabyte a model, so
# it is handed back after pictures above this size; below it, keeping it is faster.
_PIXELS_WORTH_KEEPING_MEMORY_FOR = 2**18
_SMALL_S = 0.002  # a picture that takes longer on one thread gets all of them
# Two runs that each want every core take turns on them, and the memory of both: one after the other is as fast.
_all_cores = threading.Lock()
_wide_sessions = WideSessionCache()
_FLOATS = {"tensor(float)", "tensor(float16)", "tensor(double)"}
# A run reads all weights: of a larger file that takes longer than `_SMALL_S`, whatever the picture.
_LARGE_BYTES = 2**25
_MOST_CONCURRENT = 3  # more runs of small pictures at once than one event loop can feed


class OnnxModel:
    """An ONNX model: sessions for logits, fused as far as the runtime can, and one that keeps every layer.

    On the CPU there are two for logits: one thread is best for a small picture, because waking others takes longer than
    the run, and leaves the other cores to other requests; for a large one all cores are. Those of all cores are opened
    when they are first needed, and closed while other models use theirs. Each session holds the weights. So a large
    file has none of one thread, and its content is read again, where that can be done, in place of being kept.

    Args:
        content: an ONNX file.
        card: its card.
        device: where it runs.
        read_again: returns the content once more.
        is_tried: whether it was loaded before, elsewhere; a large file then waits for the first run.
    """

    def __init__(
        self,
        content: bytes,
        card: ModelCard,
        device: Device,
        read_again: Callable[[], bytes] | None = None,
        *,
        is_tried: bool = False,
    ) -> None:
        self.device = device
        self.kernels: native.Kernels | None = None
        self._tensors = {layer.name: layer.tensor for layer in card.layers}
        # What a bank's sums in float64 take is handed back after every picture, however small.
        self._keeps_memory = card.bank is None
        self._is_large = len(content) > _LARGE_BYTES
        read = read_again if self._is_large and read_again is not None else partial(_itself, content)
        self._read, self._card = read, card  # for gradients and kernels
        self._threads = usable_cores() if device == "cpu" else 1
        try:
            graph = onnx.load_from_string(content)
            del content
            if refers_to_files(graph):
                raise ModelError(f"{card.name} needs to be one file; it refers to others")
            self.kernels = _choose_kernels(graph, device)
            given = {output.name for output in graph.graph.output}
            made = {name for node in graph.graph.node for name in node.output}
            if ends_in_sigmoid(graph.graph, "logits"):
                raise ModelError(
                    f"{card.name} {card.version} needs logits, and its graph ends in a sigmoid: leave that out"
                )
            self._fixed_batch = _fixed_batch(graph)
            is_lean = len(needed_nodes(graph.graph)) == len(graph.graph.node)
            more = _more_outputs(name for name in dict.fromkeys(self._tensors.values()) if name not in given)
            file = _File(read, device, self.kernels, is_lean, more)  # two layers may show one tensor
            del graph  # and its weights
            self._open_sessions(file, card, is_tried)
            _check_tensors(made, self._tensors.values())
        except (ModelError, DeviceError):
            raise
        except Exception as error:  # onnx and the runtime each raise classes of their own for a broken file
            raise ModelError(f"{card.name} {card.version} could not be loaded: {first_line(error)}") from None
        self.concurrent_runs = 1
        if device == "cpu" and card.input.width * card.input.height <= self._small_pixels:
            self.concurrent_runs = min(_MOST_CONCURRENT, usable_cores())

    def _open_sessions(self, file: _File, card: ModelCard, is_tried: bool) -> None:
        # What these hold must not lead back here: a cycle would outlive the model, as the heap is frozen.
        open_lean = partial(file.open_for_logits, keeps_memory=self._keeps_memory)
        self._wide = WideSession(_wide_sessions, partial(open_lean, threads=self._threads), self._threads)
        self._open = WideSession(_wide_sessions, partial(file.open_for_layers, self._threads), self._threads)
        self._narrow: ort.InferenceSession | None = None
        self._small_pixels = 0.0
        self.left_to_cpu: str | None = None
        if self._is_large and self.device == "cpu":
            if not is_tried:
                _check_interface(self._wide.get(), card)
            return
        self._narrow = open_lean(threads=1)
        if self._threads > 1:
            self._wide.open_if_room()
        _check_interface(self._narrow, card)
        if self.device == "cuda" and (left := left_to_cpu(self._narrow)):
            self.left_to_cpu = left
            _log.warning("%s %s: %s", card.name, card.version, left)
        blank = np.zeros((1, card.input.height, card.input.width, card.input.channels), np.uint8)
        self._small_pixels = blank[..., 0].size * _SMALL_S / self._seconds(self._narrow, blank)

    def logits(self, images: Images) -> Array:
        """Logits ``(N, classes)`` of images ``(N, H, W, C)``."""
        is_small = images[0, ..., 0].size <= self._small_pixels
        options = ort.RunOptions()
        if self._keeps_memory and self.device == "cpu" and images[..., 0].size > _PIXELS_WORTH_KEEPING_MEMORY_FOR:
            options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        with nullcontext() if is_small else _all_cores:
            one_thread = is_small or self._threads == 1
            session = self._narrow if self._narrow is not None and one_thread else self._wide.get()
            (logits,) = self._run(session, ["logits"], images, options)
        return to_float32(logits)

    def _seconds(self, session: ort.InferenceSession, images: Images) -> float:
        """Seconds that a run takes, once it has found its memory."""
        times = []
        for _ in range(3):
            started = time.perf_counter()
            self._run(session, ["logits"], images)
            times.append(time.perf_counter() - started)
        return min(times)

    def layers(self, images: Images, names: Sequence[str]) -> dict[str, Array]:
        """Logits under the name ``logits``, and the maps ``(N, K, H', W')`` of the layers named."""
        wanted = ["logits", *(self._tensors[name] for name in names)]
        with _all_cores:
            values = self._run(self._open.get(), wanted, images)
        return {name: to_float32(value) for name, value in zip(["logits", *names], values, strict=True)}

    def _run(
        self, session: ort.InferenceSession, names: list[str], images: Images, options: ort.RunOptions | None = None
    ) -> list[Array]:
        """Run images at once, or, on a graph of a fixed batch, in parts of that size, the last filled up.

        A graph of one image at a time is handed one at a time, by those who make batches.
        """
        size = self._fixed_batch
        if size in (None, 1, len(images)):
            return session.run(names, {"image": images}, options)  # type: ignore[no-any-return]
        parts = []
        for start in range(0, len(images), size):
            part = images[start : start + size]
            filled = np.concatenate([part, np.zeros((size - len(part), *part.shape[1:]), np.uint8)])
            parts.append([values[: len(part)] for values in session.run(names, {"image": filled}, options)])
        return [np.concatenate(values) for values in zip(*parts, strict=True)]

    def gradients(self, images: Images, name: str, direction: Array) -> Gradients:
        """Gradients of the logits times ``direction`` by a layer's maps, on the CPU wherever the model runs."""
        return run_gradients(self._read, self._card, name, images, direction)

    def kernel_input(self, images: Images, name: str) -> Array:
        """What the kernels of a layer are laid over, computed on the CPU wherever the model runs."""
        return run_kernel_input(self._read, self._card, name, images)


@dataclass(frozen=True, eq=False)
class _File:
    """A model file that sessions are opened from.

    Args:
        read: returns the file's content.
        device: where they run.
        kernels: which kernels run its sharpened cosine similarity, if it has any.
        is_lean: whether its logits need all of its nodes.
        more_outputs: bytes that make outputs of its layers when they follow the file's.
    """

    read: Callable[[], bytes]
    device: Device
    kernels: native.Kernels | None
    is_lean: bool
    more_outputs: bytes

    def open_for_logits(self, threads: int, keeps_memory: bool) -> ort.InferenceSession:
        content = self.read() if self.is_lean else _without_unused(self.read())
        return self._open(self._joined(content), threads, keeps_memory)

    def open_for_layers(self, threads: int) -> ort.InferenceSession:
        return self._open(self._joined(self.read() + self.more_outputs), threads, keeps_memory=False)

    def _joined(self, content: bytes) -> bytes:
        if self.kernels != "native":
            return content
        joined: bytes = native.joined(onnx.load_from_string(content)).SerializeToString()
        return joined

    def _open(self, prepared: bytes, threads: int, keeps_memory: bool) -> ort.InferenceSession:
        is_native = self.kernels == "native"
        return open_session(prepared, self.device, threads=threads, keeps_memory=keeps_memory, is_native=is_native)


def _itself(content: bytes) -> bytes:
    return content


def _choose_kernels(graph: onnx.ModelProto, device: Device) -> native.Kernels | None:
    if not native.calls_op(graph):
        return None
    return "native" if device == "cpu" and native.available() else "portable"


def _without_unused(content: bytes) -> bytes:
    """The file without nodes that no output needs, such as the layers of a bank: the runtime would run them."""
    model = onnx.load_from_string(content)
    keep_only(model.graph, needed_nodes(model.graph))
    lean: bytes = model.SerializeToString()
    return lean


def _more_outputs(tensors: Iterable[str]) -> bytes:
    """What makes outputs of tensors when it follows a file: two messages in a row are one, as protobuf has it.

    So a file of gigabytes is not taken apart, and put together again, for a few names.
    """
    outputs = [onnx.ValueInfoProto(name=tensor) for tensor in tensors]
    more: bytes = onnx.ModelProto(graph=onnx.GraphProto(output=outputs)).SerializeToString()
    return more


def _check_tensors(made: Set[str], tensors: Iterable[str]) -> None:
    for tensor in tensors:
        if tensor not in made:
            raise ModelError(
                f"the card names a layer's tensor '{tensor[:100]}' that the graph does not have as a node's output"
            )


def _fixed_batch(graph: onnx.ModelProto) -> int | None:
    """The number of images that a graph takes, where it takes no other."""
    shapes = [each.type.tensor_type.shape.dim for each in graph.graph.input if each.name == "image"]
    return (shapes[0][0].dim_value or None) if shapes and shapes[0] else None


def _check_interface(session: ort.InferenceSession, card: ModelCard) -> None:
    """Check names, types and fixed dimensions of inputs and outputs; what is left open shows in the first run."""
    name, size, classes = f"{card.name} {card.version}", card.input, len(card.labels)
    taken = [(i.name, i.type, i.shape) for i in session.get_inputs()]
    needed = [None, size.height, size.width, size.channels]
    if [(*each[:2],) for each in taken] != [("image", "tensor(uint8)")] or not _fits(taken[0][2], needed):
        raise ModelError(
            f"{name} needs the input image, tensor(uint8), that takes {(1, *needed[1:])}, the (N, H, W, C) of its "
            f"card; it has {_listed(taken)}"
        )
    given = [(o.name, o.type, o.shape) for o in session.get_outputs()]
    fits = len(given) == 1 and given[0][0] == "logits" and _fits(given[0][2], [None, classes])
    if not fits or given[0][1] not in _FLOATS:
        raise ModelError(
            f"{name} needs the output logits of {classes} classes, floating point; it has {_listed(given)}"
        )


def _fits(shape: list[int | str | None], needed: list[int | None]) -> bool:
    """Return whether a declared shape has the dimensions needed; names and None stand for any size."""
    return len(shape) == len(needed) and all(
        size is None or not isinstance(dimension, int) or dimension == size
        for dimension, size in zip(shape, needed, strict=True)
    )


def _listed(values: list[tuple[str, str, list[int | str | None]]]) -> str:
    listed = [f"{name[:60]}, {kind}, {shape}" for name, kind, shape in values[:5]]
    return ("; ".join(listed) or "none")[:400]
