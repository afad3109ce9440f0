import numpy as np
import onnx
import pytest

from models.onnx.signs import never_negative

CONSTANTS = {"zero": 0.0, "six": 6.0, "below": -1.0, "kernels": np.ones((2, 2, 1, 1))}


def graph(body):
    model = onnx.parser.parse_model(
        f'<ir_version: 8, opset_import: ["": 18]> g (float[n,2,4,4] x) => (float[n,2,4,4] y) {{ {body} }}'
    )
    for name, values in CONSTANTS.items():
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(values, np.float32), name))
    return model.graph


@pytest.mark.parametrize(
    ("body", "never"),
    [
        ("y = Relu (x)", True),
        ("y = Clip (x, zero, six)", True),
        ("y = Clip (x, below, six)", False),
        ("least = Constant <value = float {0.0}> () y = Clip (x, least, six)", True),
        ("y = Clip (x)", False),
        ("a = Relu (x) y = MaxPool <kernel_shape = [2, 2]> (a)", True),
        ("y = MaxPool <kernel_shape = [2, 2]> (x)", False),
        ("a = Relu (x) b = Sigmoid (x) y = Mul (a, b)", True),
        ("a = Relu (x) y = Add (a, x)", False),
        ("a = Relu (x) y = Add (a, six)", True),
        ("a = Relu (x) y = Add (a, below)", False),
        ("a = Relu (x) y = Conv (a, kernels)", False),
        ("y = HardSwish (x)", False),
    ],
)
def test_what_is_never_negative_is_told_by_its_operators(body, never):
    assert never_negative(graph(body), "y") is never


def test_a_picture_may_be_negative():
    assert not never_negative(graph("y = Identity (x)"), "x")
