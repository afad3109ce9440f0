"""What is read, also from inside of a branch, is kept, and nothing else is."""

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from models.onnx.graph import count_uses, keep_only, needed_nodes


def constant(name):
    return numpy_helper.from_array(np.ones(1, np.float32), name)


def value(name):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, [1])


def branch(name, node):
    return helper.make_graph([node], name, [], [value(node.output[0])])


@pytest.fixture
def graph():
    """Only one of two branches reads `a`, which only `made` is made of; nobody reads `lost`."""
    return helper.make_graph(
        [
            helper.make_node("Add", ["x", "made_of"], ["a"]),
            helper.make_node("Add", ["x", "lost_of"], ["lost"]),
            helper.make_node(
                "If",
                ["condition"],
                ["y"],
                then_branch=branch("then", helper.make_node("Add", ["a", "a"], ["twice"])),
                else_branch=branch("else", helper.make_node("Identity", ["inside"], ["once"])),
            ),
        ],
        "graph",
        [value("x")],
        [value("y")],
        [constant("made_of"), constant("lost_of"), constant("inside")],
    )


def test_uses_are_counted_in_branches_and_outputs(graph):
    uses = count_uses(graph)
    assert (uses["a"], uses["inside"], uses["y"], uses["x"], uses["lost"]) == (2, 1, 1, 2, 0)


def test_what_only_a_branch_reads_is_needed(graph):
    assert [node.output[0] for node in needed_nodes(graph)] == ["a", "y"]


def test_constants_stay_as_long_as_somebody_reads_them(graph):
    keep_only(graph, needed_nodes(graph))
    assert [node.output[0] for node in graph.node] == ["a", "y"]
    assert [tensor.name for tensor in graph.initializer] == ["made_of", "inside"]
