"""The graph that is served: uint8 pictures, preprocessing, the original unchanged, and float32 logits at the end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from models.imports.class_maps import Head
from models.imports.graphs import FLOATS, rename
from models.imports.interface import Source
from models.imports.layers import Chosen
from models.imports.logits import Logits
from models.imports.preprocess import Preprocess

IMAGE, LOGITS = "image", "logits"
_OLDEST_IR = 8  # the first that needs no weight among the inputs and knows all types that are used here
_TINY = 1e-30  # below any probability that a float32 softmax gives


class Composer:
    """A copy of an original graph, to which nodes are added in front and at the end.

    Args:
        model: the original; not changed.
        source: its input.
        preprocess: of its pictures.
    """

    def __init__(self, model: onnx.ModelProto, source: Source, preprocess: Preprocess) -> None:
        self.model = onnx.ModelProto()
        self.model.CopyFrom(model)
        self._source = source
        self._taken = {IMAGE, LOGITS}
        self.names: dict[str, str] = {}  # of tensors that had to give way
        self._give_way()
        self._put_in_front(preprocess)

    def name_of(self, tensor: str) -> str:
        """Return what a tensor of the original is called here."""
        return self.names.get(tensor, tensor)

    def _give_way(self) -> None:
        """Rename tensors of the original that are called like what is added here."""
        graph = self.model.graph
        for name in self._taken:
            rename(graph, name, f"original/{name}")
            self.names[name] = f"original/{name}"
        del graph.input[:], graph.output[:], graph.value_info[:]
        self.model.ir_version = max(self.model.ir_version, _OLDEST_IR)

    def _put_in_front(self, preprocess: Preprocess) -> None:
        source, nodes = self._source, list(self.model.graph.node)
        del self.model.graph.node[:]
        last = IMAGE
        reads_pixels = source.dtype == np.uint8
        if source.layout == "NCHW":
            last = self.add("Transpose", last, perm=[0, 3, 1, 2])
        if preprocess.order == "bgr" and source.channels == 3:
            axis = 1 if source.layout == "NCHW" else 3
            last = self.add("Gather", last, self.constant(np.array([2, 1, 0])), axis=axis)
        if not reads_pixels:
            last = self.add("Cast", last, to=TensorProto.FLOAT)
            last = self._normalised(last, preprocess)
        if source.layout == "rows":
            last = self.add("Reshape", last, self.constant(np.array([0, -1])))
        kinds = {dtype: kind for kind, dtype in FLOATS.items()}
        if source.dtype in kinds and source.dtype != np.float32:
            last = self.add("Cast", last, to=kinds[source.dtype])
        self._node("Identity", [last], self.name_of(source.name))
        self.model.graph.node.extend(nodes)
        rows: list[int | str] = ["N" if source.batch is None else source.batch]
        sides: list[int | str] = [source.height, source.width] if source.fixed else ["H", "W"]
        shape = [*rows, *sides, source.channels]
        self.model.graph.input.append(helper.make_tensor_value_info(IMAGE, TensorProto.UINT8, shape))

    def _normalised(self, last: str, preprocess: Preprocess) -> str:
        gain, bias = preprocess.gain_and_bias(self._source.channels)
        shape = (-1, 1, 1) if self._source.layout == "NCHW" else (-1,)
        if (gain != 1).any():
            last = self.add("Mul", last, self.constant(gain.reshape(shape)))
        if bias.any():
            last = self.add("Add", last, self.constant(bias.reshape(shape)))
        return last

    def show(self, chosen: Chosen, shape: tuple[int, ...], kind: int) -> str:
        """Return the tensor of a layer as maps ``(N, C, H, W)`` in float32; nodes are added where it is something else.

        Args:
            chosen: the layer.
            shape: of its tensor.
            kind: of its tensor's numbers, as ONNX numbers types.
        """
        last, roles, grid = self.name_of(chosen.tensor), chosen.view.roles, chosen.view.grid
        if "t" in roles:
            assert grid is not None
            places = np.arange(grid.before, grid.before + grid.rows * grid.columns)
            return self._show_tokens(last, roles, places, (grid.rows, grid.columns), f"layer/{chosen.name}")
        order = [roles.index(role) for role in "nchw"]
        if order != [0, 1, 2, 3]:
            last = self.add("Transpose", last, name=f"layer/{chosen.name}", perm=order)
        if kind != TensorProto.FLOAT:
            last = self.add("Cast", last, name=f"layer/{chosen.name}/float", to=TensorProto.FLOAT)
        return last

    def show_class_token(self, chosen: Chosen) -> str:
        """Return the tokens before a grid's first as maps ``(N, C, 1, tokens)`` in float32."""
        assert chosen.view.grid is not None
        places = np.arange(chosen.view.grid.before)
        name = f"layer/{chosen.name}/class_token"
        return self._show_tokens(self.name_of(chosen.tensor), chosen.view.roles, places, (1, len(places)), name)

    def _show_tokens(
        self, last: str, roles: Sequence[str], places: NDArray[np.int64], size: tuple[int, int], name: str
    ) -> str:
        axis = roles.index("t")
        last = self.add("Gather", last, self.constant(places), axis=axis)
        if axis == 1:
            last = self.add("Transpose", last, perm=[0, 2, 1])
        last = self.add("Reshape", last, self.constant(np.array([0, 0, *size])))
        return self.add("Cast", last, name=name, to=TensorProto.FLOAT)

    def show_class_map(self, head: Head, maps: str) -> str:
        """Return the maps of the classes: what the head makes of the maps ``(N, C, H, W)``, place by place."""
        return self.add("Conv", maps, self._kernels(head), name="layer/class_map")

    def _kernels(self, head: Head) -> str:
        """Return the head's weights as kernels of one pixel: those of the file, where it has them, and else a copy."""
        shape = np.array([*head.weights.shape, 1, 1])
        tiny = 1e-5 * float(np.abs(head.weights).max())  # the head's were measured, so they are near those of the file
        for tensor in self.model.graph.initializer:
            dims = tuple(tensor.dims)
            if tensor.data_type != TensorProto.FLOAT or dims not in (head.weights.shape, head.weights.shape[::-1]):
                continue
            values = numpy_helper.to_array(tensor)
            for turned in (False, True):
                own_weights = values.T if turned else values
                if own_weights.shape == head.weights.shape and np.allclose(own_weights, head.weights, 1e-4, tiny):
                    own = self.add("Transpose", tensor.name, perm=[1, 0]) if turned else tensor.name
                    return self.add("Reshape", own, self.constant(shape))
        return self.constant(head.weights[:, :, None, None])

    def finish(self, logits: Logits | None, classes: int) -> onnx.ModelProto:
        """Add the output of the logits, none of them for a network without classes, and return the model."""
        if logits is None:
            # No numbers for each picture: what asks for them finds none, and nothing of the network is run for it.
            # Flatten takes uint8 from operator set 9 on.
            flat = self.add("Flatten", self.add("Cast", IMAGE, to=TensorProto.FLOAT), axis=1)
            none = self.add("Gather", flat, self.constant(np.array([], np.int64)), axis=1)
            self._node("Cast", [none], LOGITS, to=TensorProto.FLOAT)
        else:
            last = self.add("Cast", self.name_of(logits.tensor), to=TensorProto.FLOAT)
            last = self.add("Flatten", last, axis=1)
            if logits.kind == "probabilities":
                last = self.add("Max", last, self.constant(np.array([_TINY], np.float32)))
                last = self.add("Log", last)
            elif logits.kind == "one_sided":
                nothing = self.add("Mul", last, self.constant(np.zeros(1, np.float32)))
                last = self.add("Concat", nothing, last, axis=1)
            self._node("Identity", [last], LOGITS)
        rows: int | str = "N" if self._source.batch is None else self._source.batch
        self.model.graph.output.append(helper.make_tensor_value_info(LOGITS, TensorProto.FLOAT, [rows, classes]))
        self._tidy()
        return self.model

    def _tidy(self) -> None:
        """Remove what says where and how the original was made, and paths of that machine with it."""
        del self.model.metadata_props[:], self.model.graph.metadata_props[:]
        self.model.doc_string = self.model.graph.doc_string = ""
        for node in self.model.graph.node:
            del node.metadata_props[:]
            node.doc_string = ""

    def add(self, kind: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        """Add a node; the result is the name of its output."""
        name = name or f"import/{kind.lower()}_{len(self.model.graph.node)}"
        self._node(kind, list(inputs), name, **attributes)
        return name

    def _node(self, kind: str, inputs: Sequence[str], output: str, **attributes: Any) -> None:
        self.model.graph.node.append(helper.make_node(kind, list(inputs), [output], **attributes))

    def constant(self, values: NDArray[Any]) -> str:
        """Add a constant; the result is its name."""
        name = f"import/constant_{len(self.model.graph.initializer)}"
        self.model.graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name
