"""Every operation that torch runs gives what ONNX Runtime gives, its defaults and its odd cases included."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch

from models.onnx.torch_operations import OPERATIONS
from models.onnx.trainable import TrainableGraph
from scs.errors import ModelError

# Bodies of graphs from x (2, 4, 6, 5) to y; w is (4, 4, 3, 3), v and m are (4), s is a number; m and s are above 0.
CASES = {
    "Conv": "y = Conv (x, w)",
    "Conv padded alike": "y = Conv <pads = [1, 2, 1, 2], strides = [2, 1]> (x, w, v)",
    "Conv padded at the end": "y = Conv <pads = [0, 1, 1, 1]> (x, w)",
    "Conv same, upper": 'y = Conv <auto_pad = "SAME_UPPER", strides = [2, 2]> (x, w)',
    "Conv same, lower": 'y = Conv <auto_pad = "SAME_LOWER", strides = [2, 2]> (x, w)',
    "MaxPool": "y = MaxPool <kernel_shape = [3, 2]> (x)",
    "MaxPool ceil": "y = MaxPool <kernel_shape = [3, 3], strides = [2, 2], pads = [1, 0, 0, 1], ceil_mode = 1> (x)",
    "AveragePool": "y = AveragePool <kernel_shape = [3, 2], pads = [1, 0, 1, 1]> (x)",
    "AveragePool with pads": "y = AveragePool <kernel_shape = [2, 2], pads = [1, 1, 0, 0], count_include_pad = 1> (x)",
    "GlobalAveragePool": "y = GlobalAveragePool (x)",
    "GlobalMaxPool": "y = GlobalMaxPool (x)",
    "BatchNormalization": "y = BatchNormalization (x, v, v, m, m)",
    "LayerNormalization": "l = Slice (v, zero, three) t = Transpose <perm = [0, 2, 3, 1]> (x) "
    "y = LayerNormalization (t, v, v)",
    "Gemm": "f = Flatten (x) g = Transpose (f) y = Gemm <alpha = 0.5, transB = 1> (f, f)",
    "MatMul": "t = Transpose <perm = [0, 1, 3, 2]> (x) y = MatMul (x, t)",
    "Transpose": "y = Transpose (x)",
    "Slice": "y = Slice (x, one, three, two)",
    "Split": "y, b, c = Split <axis = 2, num_outputs = 3> (x)",
    "Concat": "y = Concat <axis = -1> (x, x)",
    "Gather": "y = Gather <axis = 1> (x, back)",
    "Gather one": "h = Shape (x) n = ReduceMax <keepdims = 0> (two) g = Gather (h, n) c = Cast <to = 1> (g) "
    "y = Mul (c, s)",
    "Reshape": "y = Reshape (x, shape)",
    "Flatten": "y = Flatten <axis = 2> (x)",
    "Squeeze": "p = GlobalMaxPool (x) y = Squeeze (p, three)",
    "Unsqueeze": "y = Unsqueeze (x, two)",
    "Expand": "h = Shape <start = 1> (x) u = Unsqueeze (v, one) e = Expand (u, v4) y = Identity (e)",
    "Pad": "y = Pad (x, pads)",
    "Pad by the edge": 'y = Pad <mode = "edge"> (x, pads)',
    "Pad mirrored": 'y = Pad <mode = "reflect"> (x, pads)',
    "Shape": "h = Shape (x) c = Cast <to = 1> (h) y = Mul (c, s)",
    "ReduceMean": "y = ReduceMean <keepdims = 0> (x, two)",
    "ReduceSum": "y = ReduceSum (x)",
    "ReduceMax": "y = ReduceMax (x, three)",
    "ReduceL2": "y = ReduceL2 (x, one)",
    "Where": "g = Greater (x, s) l = Less (x, s) e = Equal (g, l) y = Where (e, x, s)",
    "LeakyRelu": "y = LeakyRelu (x)",
    "PRelu": "u = Unsqueeze (v, one) k = Unsqueeze (u, two) y = PRelu (x, k)",
    "Elu": "y = Elu (x)",
    "Clip": "y = Clip (x, s)",
    "HardSigmoid": "y = HardSigmoid (x)",
    "HardSwish": "y = HardSwish (x)",
    "Sigmoid": "a = Sigmoid (x) b = Tanh (a) y = Softplus (b)",
    "Softmax": "y = Softmax <axis = 1> (x)",
    "Gelu": "y = Gelu (x)",
    "Gelu by tanh": 'y = Gelu <approximate = "tanh"> (x)',
    "Mish": "y = Mish (x)",
    "Erf": "a = Erf (x) b = Exp (a) c = Log (b) d = Abs (c) y = Sqrt (d)",
    "Arithmetic": "a = Sub (x, s) b = Div (a, s) c = Neg (b) d = Sign (c) e = Add (c, d) y = Max (e, x, s)",
    "Pow": "a = Abs (x) y = Pow (a, s)",
    "Reciprocal": "a = Reciprocal (x) y = Min (a, x)",
    "ConstantOfShape": "h = Shape (x) c = ConstantOfShape (h) y = Add (x, c)",
    "Dropout": "y = Dropout (x)",
}
NUMBERS = "zero = {0}, one = {1}, two = {2}, three = {3}, back = {2, 0, 3}, shape = {0, -1, 5}, v4 = {4, 6}"


def graph(body):
    numbers = ", ".join(
        f"int64[{len(values.split(','))}] {name.strip()} = {{{values}}}"
        for name, values in (part.split(" = {") for part in NUMBERS.removesuffix("}").split("}, "))
    )
    pads = "int64[8] pads = {0, 0, 1, 2, 0, 0, 2, 1}"
    model = onnx.parser.parse_model(
        f'<ir_version: 10, opset_import: ["": 20]> g (float[2, 4, 6, 5] image) => (float y) <{numbers}, {pads}> '
        f"{{ x = Identity (image) {body} }}"
    )
    random = np.random.default_rng(0)
    for name, shape in (("w", (4, 4, 3, 3)), ("v", (4,)), ("m", (4,)), ("s", ())):
        values = random.normal(size=shape).astype(np.float32)
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.abs(values) if name in "ms" else values, name))
    del model.graph.output[:]
    model.graph.output.append(onnx.ValueInfoProto(name="y"))
    return model.SerializeToString()


@pytest.mark.parametrize("body", CASES.values(), ids=CASES)
def test_an_operation_gives_what_the_runtime_gives(body):
    content = graph(body)
    x = np.random.default_rng(1).normal(size=(2, 4, 6, 5)).astype(np.float32)
    expected = ort.InferenceSession(content).run(["y"], {"image": x})[0]
    came = TrainableGraph(content, "y")(torch.from_numpy(x)).detach().numpy()
    assert came.shape == expected.shape
    assert came == pytest.approx(expected, rel=1e-5, abs=1e-5)


def test_every_operation_has_a_case():
    tried = {node.op_type for body in CASES.values() for node in onnx.load_from_string(graph(body)).graph.node}
    elsewhere = {"SharpenedCosineSimilarity", "Relu", "GreaterOrEqual"}  # of the networks that are bundled
    assert OPERATIONS.keys() - tried - elsewhere == set()


def test_an_operation_that_is_not_known_is_told():
    with pytest.raises(ModelError, match="this has Round"):
        TrainableGraph(graph("y = Round (x)"), "y")
    with pytest.raises(ModelError, match="a tensor 'z' was asked for that the graph does not have"):
        TrainableGraph(graph("y = Identity (x)"), "z")


def test_what_is_frozen_is_not_learnt():
    content = graph("a = Conv (x, w) y = BatchNormalization (a, v, v, m, m)")
    assert {*TrainableGraph(content, "y").learnt()} == {"w", "v"}
    assert {*TrainableGraph(content, "y", frozen="a").learnt()} == {"v"}
    assert {*TrainableGraph(content, "y", frozen="y").learnt()} == set()
