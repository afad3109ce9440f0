"""What is found out of a network before anything is composed of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import inliner

from models.imports.chance import refuse_chance
from models.imports.class_maps import Head, find_head
from models.imports.graphs import FLOATS, Graph
from models.imports.interface import Source, find_output, find_source
from models.imports.layers import Chosen, LayerChooser
from models.imports.logits import Logits, find_logits
from models.imports.original import Original
from models.imports.preprocess import Preprocess, nothing_says_it, parse
from models.imports.receptive_fields import receptive_fields
from models.imports.sizes import Freed, free
from models.imports.trial import Measured, measure, run
from models.imports.wish import Wish
from models.onnx.op import DOMAIN
from scs.errors import ModelError

Array = NDArray[Any]


@dataclass(frozen=True)
class Found:
    """What was found out of the original."""

    original: Original
    freed: Freed
    preprocess: Preprocess
    graph: Graph
    measured: Measured
    labels: list[str]
    labels_from: str
    output: str
    is_ambiguous: bool
    logits: Logits | None
    layers: list[Chosen]
    head: Head | str

    @property
    def source(self) -> Source:
        """The input that takes the picture, as far as it could be freed."""
        return self.freed.source


def find_out(original: Original, wish: Wish) -> Found:
    """Find out all that an import goes by: input, preprocessing, classes, logits, layers and head.

    Raises:
        ModelError: the network cannot be imported.
        OptionError: something that was said cannot be, or nothing says how pictures are prepared.
        UnknownNameError: an output or layer that there is not.
    """
    original = replace(original, model=_inlined(original.model))
    prepared = parse(wish.preprocess, None) if wish.preprocess else original.preprocess
    usual = original.size or (prepared.size if prepared else None)
    source = find_source(original.model, wish.size, usual)
    preprocess = _preprocess_for(source, prepared, wish, original.name)
    labels, labels_from = (wish.labels, wish.labels_from) if wish.labels else (original.labels, original.labels_from)

    first = Graph(original.model, source.name)
    images = noise(source, source.batch or 2)
    shapes = measure(first, source.shaped(preprocess.apply(images))).shapes
    has_classes = bool(labels) and (bool(wish.labels) or _could_be_classes(original.model, shapes, len(labels or ())))
    output, is_ambiguous = find_output(original.model, shapes, labels if has_classes else None, wish.output)
    logits = _logits(first, source, preprocess, images, output, shapes) if has_classes else None
    refuse_chance(first, [logits.tensor] if logits else [value.name for value in original.model.graph.output])
    freed = free(original.model, source, logits.tensor if logits else _tensor_behind(first, output, shapes))

    graph = Graph(freed.model, source.name)
    measured = measure(graph, freed.source.shaped(preprocess.apply(noise(freed.source, freed.source.batch or 2))))
    roles = tuple(freed.source.layout.lower()) if freed.source.layout != "rows" else ("n", "c")
    views = receptive_fields(graph, measured, roles)
    ends = [logits.tensor] if logits else [value.name for value in original.model.graph.output]
    chooser = LayerChooser(graph, measured, views, ends)
    layers = chooser.named(wish.layers) if wish.layers else chooser.worth_showing()
    layers = [layer for layer in layers if graph.type_of(layer.tensor) in FLOATS]
    head: Head | str = "it has no classes" if logits is None else find_head(graph, measured, views, logits.tensor)
    if isinstance(head, Head) and logits is not None and logits.kind != "logits":
        head = head.of_two_classes() if logits.kind == "one_sided" else "the logits are logarithms of probabilities"
    if not layers and logits is None:
        raise ModelError(
            "a network without labels is served for its maps, and this one has none; name its classes by --labels"
        )
    return Found(
        original, freed, preprocess, graph, measured, list(labels or []) if has_classes else [], labels_from, output,
        is_ambiguous, logits, layers, head,
    )  # fmt: skip


def _inlined(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model without functions of its own but those of the SCS op, which the service knows."""
    own = [(function.domain, function.name) for function in model.functions if function.domain == DOMAIN]
    return model if len(own) == len(model.functions) else inliner.inline_selected_functions(model, own, exclude=True)


def _tensor_behind(graph: Graph, output: str, shapes: dict[str, tuple[int, ...]]) -> str:
    """Return an output, or the last tensor of floats before it where it is a sequence, a map or text."""
    name, node = output, graph.makers.get(output)
    while node is not None and (name not in shapes or graph.type_of(name) not in FLOATS):
        inputs = graph.valued_inputs(node)
        if not inputs:
            return output
        name = inputs[0]
        node = graph.makers.get(name)
    return name


def _preprocess_for(source: Source, prepared: Preprocess | None, wish: Wish, name: str) -> Preprocess:
    """Return the preprocessing, at the size that the network takes.

    Raises:
        OptionError: nothing says it.
    """
    if wish.preprocess:
        prepared = parse(wish.preprocess, max(source.width, source.height))  # of which a crop leaves all
    if source.dtype == np.uint8 and prepared is None:
        order = ("order of the channels",)
        return Preprocess("the file takes uint8, so it prepares pictures itself", said_nothing_of=order)
    if prepared is None:
        raise nothing_says_it(name)
    prepared.gain_and_bias(source.channels)
    return prepared


def _could_be_classes(model: onnx.ModelProto, shapes: dict[str, tuple[int, ...]], count: int) -> bool:
    """Return whether an output has as many numbers as there are labels that came with the file; a detector has not."""
    made = [shapes.get(value.name, ()) for value in model.graph.output]
    return any(len(shape) >= 2 and shape[1] == count and int(np.prod(shape[2:])) == 1 for shape in made)


def _logits(
    graph: Graph, source: Source, preprocess: Preprocess, images: Array, output: str, shapes: dict[str, tuple[int, ...]]
) -> Logits:
    values = None
    if output in shapes and graph.type_of(output) in FLOATS:
        values = run(graph.model, source.shaped(preprocess.apply(images)), [output])[0]
    return find_logits(graph, output, values)


def noise(source: Source, count: int) -> NDArray[np.uint8]:
    """Return pictures ``(count, H, W, C)`` of noise, the same each time."""
    return np.random.default_rng(0).integers(
        0, 256, (count, source.height, source.width, source.channels), dtype=np.uint8
    )
