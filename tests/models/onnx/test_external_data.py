"""A file that refers to another is found out, wherever in it the reference hides."""

import onnx
import pytest
from onnx import TensorProto, helper

from models.onnx.external_data import refers_to_files


def outside():
    """A tensor whose values lie in a file."""
    tensor = TensorProto(name="weights", data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="../../secret")
    return tensor


def inside():
    return helper.make_tensor("weights", TensorProto.FLOAT, [1], [1.0])


def model(nodes, initializer=(), **more):
    return helper.make_model(helper.make_graph(nodes, "graph", [], [], initializer=initializer), **more)


def constant(tensor):
    return helper.make_node("Constant", [], ["y"], value=tensor)


def branches(tensor):
    graph = helper.make_graph([constant(tensor)], "then", [], [])
    return helper.make_node("If", ["x"], ["y"], then_branch=graph, else_branch=graph)


def function(tensor):
    opset = [helper.make_opsetid("", 20)]
    return helper.make_function("domain", "Made", [], ["y"], [constant(tensor)], opset)


PLACES = {
    "an initializer": lambda tensor: model([], [tensor]),
    "a constant": lambda tensor: model([constant(tensor)]),
    "a branch": lambda tensor: model([branches(tensor)]),
    "a branch of a branch": lambda tensor: model(
        [helper.make_node("Loop", [], [], body=helper.make_graph([branches(tensor)], "body", [], []))]
    ),
    "a function": lambda tensor: model([], functions=[function(tensor)]),
    "a sparse tensor": lambda tensor: onnx.ModelProto(
        graph=onnx.GraphProto(sparse_initializer=[onnx.SparseTensorProto(values=tensor)])
    ),
}


@pytest.mark.parametrize("make", PLACES.values(), ids=PLACES)
def test_a_reference_is_found_wherever_it_is(make):
    assert refers_to_files(make(outside()))
    assert not refers_to_files(make(inside()))


def test_a_reference_without_a_place_counts_as_one():
    assert refers_to_files(model([], [TensorProto(name="weights", data_location=TensorProto.EXTERNAL)]))
