"""Layers are joined by the operators between them, and branches that come together again are an edge each."""

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from models.cards.catalogue import bundled_repository, entries
from models.onnx.layer_graph import Edge, layer_graph
from models.onnx.parameters import count_parameters
from models.onnx.shapes import infer_shapes
from models.runtime.load import load_model

# A residual sum, a gate, the stem's maps beside it, and a shape that is computed from the picture's size.
BRANCHED = """
<ir_version: 8, opset_import: ["": 18]> g (uint8[N,H,W,3] image) => (float[N,8] logits) {
    f = Cast <to = 1> (image)
    x = Transpose <perm = [0, 3, 1, 2]> (f)
    stem = Conv <pads = [1, 1, 1, 1]> (x, a)
    c = Conv <pads = [1, 1, 1, 1]> (stem, b)
    sum = Add (c, stem)
    block = Relu (sum)
    h = Sigmoid (block)
    gated = Mul (block, h)
    beside = Concat <axis = 1> (gated, stem)
    biased = Add (beside, half)
    dead = Neg (biased)
    size = Shape (biased)
    ends = Gather <axis = 0> (size, places)
    shape = Concat <axis = 0> (ends, rest)
    flat = Reshape (biased, shape)
    axes = Constant <value = int64[1] {2}> ()
    logits = ReduceMean <keepdims = 0> (flat, axes)
}
"""
WEIGHTS = {
    "a": np.ones((4, 3, 3, 3), np.float32),
    "b": np.ones((4, 4, 3, 3), np.float32),
    "half": np.full(1, 0.5, np.float32),
    "places": np.array([0, 1]),
    "rest": np.array([-1]),
}


@pytest.fixture
def branched():
    model = onnx.parser.parse_model(BRANCHED)
    model.graph.initializer.extend(numpy_helper.from_array(values, name) for name, values in WEIGHTS.items())
    return model


def test_a_branch_is_an_edge_and_so_is_a_skip_connection(branched):
    found = layer_graph(branched.graph, ["stem", "block", "logits"])
    assert found.tensors == ("image", "stem", "sum", "block", "beside", "logits")
    assert found.joins == {"sum": "Add", "beside": "Concat"}
    assert found.edges == (
        Edge("image", "stem", ("Cast", "Transpose", "Conv")),
        Edge("stem", "sum", ("Conv", "Add")),
        Edge("stem", "sum", ("Add",)),
        Edge("sum", "block", ("Relu",)),
        Edge("stem", "beside", ("Concat",)),
        Edge("block", "beside", ("Sigmoid", "Mul", "Concat")),
        Edge("beside", "logits", ("Add", "Reshape", "ReduceMean")),
    )


def test_layers_may_be_named_in_any_order_and_twice_and_what_is_not_there_is_left_out(branched):
    found = layer_graph(branched.graph, ["logits", "block", "stem", "block", "other"])
    assert found == layer_graph(branched.graph, ["stem", "block", "logits"])


def test_a_layer_that_is_a_sum_has_an_edge_for_each_branch(branched):
    found = layer_graph(branched.graph, ["sum"])
    assert found.joins == {}
    assert found.edges == (
        Edge("image", "sum", ("Cast", "Transpose", "Conv", "Conv", "Add")),
        Edge("image", "sum", ("Cast", "Transpose", "Conv", "Add")),
    )


def test_what_reads_two_layers_at_once_without_joining_branches_has_an_edge_from_each(branched):
    found = layer_graph(branched.graph, ["block", "h", "gated"])
    assert [edge for edge in found.edges if edge.target == "gated"] == [
        Edge("block", "gated", ("Mul",)),
        Edge("h", "gated", ("Mul",)),
    ]


def test_shapes_are_told_without_a_run_and_without_the_weights(branched):
    shapes = infer_shapes(branched, "image", (6, 5, 3))
    assert (shapes["sum"], shapes["beside"], shapes["flat"]) == ((4, 6, 5), (8, 6, 5), (8, 30))


@pytest.mark.parametrize("entry", list(entries(bundled_repository())), ids=lambda entry: entry.name)
def test_a_bundled_network_is_a_line_of_its_layers_with_the_shapes_of_a_run(entry):
    card, content = entry.card(), entry.verified_bytes()
    model = onnx.load_from_string(content)
    found = layer_graph(model.graph, [*(layer.tensor for layer in card.layers), "logits"])
    names = [layer.name for layer in card.layers]
    assert found.tensors == ("image", *names, "logits")
    assert [(edge.source, edge.target) for edge in found.edges] == list(
        zip(found.tensors, found.tensors[1:], strict=False)
    )
    size = card.input.height, card.input.width, card.input.channels
    maps = load_model(content, card, "cpu").layers(np.zeros((1, *size), np.uint8), names)
    held = sum(count_parameters(model.graph, found.tensors[1:]).values())
    # Some scales are folded into others, and there are numbers that nobody learned: a mean and a deviation, say.
    assert 0.9 * card.parameters < held < 1.01 * card.parameters
    shapes = infer_shapes(model, "image", size)
    assert {name: shapes[name] for name in maps} == {name: values.shape[1:] for name, values in maps.items()}
