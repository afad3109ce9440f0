"""The op, run by plain ONNX Runtime, says what its definition and the torch function say."""

import itertools

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
import torch.nn.functional as F
from onnx import TensorProto, helper

from models.onnx import op as onnx_op
from scs.nn.similarity import sharpened_cosine_similarity

# name: channels, kernels, group, kernel size, pads (top, left, bottom, right), strides, dilations
CASES = {
    "dense": (3, 5, 1, (3, 3), (1, 1, 1, 1), (1, 1), (1, 1)),
    "depthwise": (4, 4, 4, (3, 3), (1, 1, 1, 1), (1, 1), (1, 1)),
    "pointwise": (6, 4, 1, (1, 1), (0, 0, 0, 0), (1, 1), (1, 1)),
    "strided": (2, 3, 1, (3, 2), (1, 0, 1, 0), (2, 2), (1, 1)),
    "unequal strides, depthwise": (3, 3, 3, (2, 3), (0, 1, 0, 1), (2, 1), (1, 1)),
    "padded on some sides only": (2, 3, 1, (3, 3), (0, 1, 2, 0), (1, 1), (1, 1)),
    "dilated": (2, 3, 1, (3, 3), (2, 1, 2, 1), (1, 1), (2, 1)),
    "dilated depthwise": (2, 2, 2, (3, 2), (1, 1, 1, 1), (1, 2), (1, 3)),
    "one channel, one kernel": (1, 1, 1, (3, 3), (1, 1, 1, 1), (1, 1), (1, 1)),
}


def make(channels, kernels, group, kernel_shape, pads, strides, dilations):
    """A model of one call, whose four inputs are its own."""
    w_shape = (kernels, channels // group, *kernel_shape)
    shapes = {"x": ("N", channels, "H", "W"), "w": w_shape, "p": (kernels,), "q": ()}
    call = helper.make_node(
        onnx_op.SIMILARITY,
        list(shapes),
        ["y"],
        domain=onnx_op.DOMAIN,
        kernel_shape=kernel_shape,
        pads=pads,
        strides=strides,
        dilations=dilations,
        group=group,
    )
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()]
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, ("N", kernels, None, None))
    graph = helper.make_graph([call], "one_call", inputs, [output])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", onnx_op.ONNX_OPSET)], ir_version=8)
    onnx_op.attach(model)
    return model


def run(case, x, w, p, q):
    session = ort.InferenceSession(make(*case).SerializeToString(), providers=["CPUExecutionProvider"])
    feeds = {"x": x, "w": w, "p": p, "q": np.float32(q)}
    (y,) = session.run(None, {name: np.asarray(value, np.float32) for name, value in feeds.items()})
    return y


def draw(case, images=2):
    channels, kernels, group, kernel_shape, *_ = case
    random = np.random.default_rng(0)
    x = random.normal(size=(images, channels, 9, 8)).astype(np.float32)
    w = random.normal(size=(kernels, channels // group, *kernel_shape)).astype(np.float32)
    return x, w, np.linspace(1, 3, kernels, dtype=np.float32), 0.3


def oracle(case, x, w, p, q):
    """The definition, patch by patch, in float64."""
    _, kernels, group, (tall, wide), (top, left, bottom, right), (down, across), (sparse, spread) = case
    x = np.pad(x.astype(np.float64), ((0, 0), (0, 0), (top, bottom), (left, right)))
    w, per_group = w.astype(np.float64), w.shape[1]
    rows = range(0, x.shape[2] - sparse * (tall - 1), down)
    columns = range(0, x.shape[3] - spread * (wide - 1), across)
    y = np.zeros((len(x), kernels, len(rows), len(columns)))
    for n, k, (i, r), (j, c) in itertools.product(range(len(x)), range(kernels), enumerate(rows), enumerate(columns)):
        first = k * group // kernels * per_group
        taps = np.s_[r : r + sparse * (tall - 1) + 1 : sparse], np.s_[c : c + spread * (wide - 1) + 1 : spread]
        patch = x[(n, np.s_[first : first + per_group], *taps)]
        dot, norms = (patch * w[k]).sum(), (np.linalg.norm(patch) + q) * (np.linalg.norm(w[k]) + q)
        y[n, k, i, j] = np.sign(dot) * (abs(dot) / norms) ** p[k]
    return y


@pytest.mark.parametrize("scale", [1e19, 1e23])
@pytest.mark.parametrize("name", ["dense", "depthwise", "dilated"])
def test_values_whose_squares_float32_cannot_hold_have_their_cosine(name, scale):
    x, w, p, q = draw(CASES[name])
    huge = x * np.float32(scale)
    np.testing.assert_allclose(run(CASES[name], huge, w, p, q), oracle(CASES[name], huge, w, p, q), rtol=0, atol=3e-6)
    huge = w * np.float32(scale)
    np.testing.assert_allclose(run(CASES[name], x, huge, p, q), oracle(CASES[name], x, huge, p, q), rtol=0, atol=3e-6)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_op_agrees_with_the_definition_and_with_torch(case):
    x, w, p, q = draw(case)
    y = run(case, x, w, p, q)
    np.testing.assert_allclose(y, oracle(case, x, w, p, q), rtol=0, atol=3e-6)
    _, _, group, _, (top, left, bottom, right), strides, dilations = case
    padded = F.pad(torch.from_numpy(x), (left, right, top, bottom))
    options = {"stride": strides, "dilation": dilations, "groups": group}
    of_torch = sharpened_cosine_similarity(padded, torch.from_numpy(w), torch.from_numpy(p), q, **options)
    np.testing.assert_allclose(y, of_torch, rtol=0, atol=2e-6)


@pytest.mark.parametrize("case", ["dense", "depthwise", "dilated"])
@pytest.mark.parametrize("q", [0.0, 0.3])
def test_a_blank_image_matches_nothing_and_gives_no_nan(case, q):
    x, w, p, _ = draw(CASES[case])
    assert (run(CASES[case], np.zeros_like(x), w, p, q) == 0).all()


@pytest.mark.parametrize("case", ["dense", "depthwise"])
def test_a_blank_kernel_matches_nothing_and_gives_no_nan(case):
    x, w, p, _ = draw(CASES[case])
    assert (run(CASES[case], x, np.zeros_like(w), p, 0.0) == 0).all()


@pytest.mark.parametrize("case", ["dense", "depthwise"])
def test_no_images_give_no_maps(case):
    x, w, p, q = draw(CASES[case], images=0)
    assert run(CASES[case], x, w, p, q).shape == (0, len(w), 9, 8)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_checker_accepts_a_model_with_the_op_and_finds_the_shape_of_its_output(case):
    onnx.checker.check_model(make(*case), full_check=True)


def test_each_function_is_attached_once_with_what_it_needs():
    model = make(*CASES["depthwise"])
    names = [(function.name, function.overload) for function in model.functions]
    assert sorted(names) == [
        ("Sharpen", ""),
        ("SharpenedCosineSimilarity", ""),
        ("SharpenedCosineSimilarity", "depthwise"),
        ("WindowSquare", ""),
        ("WindowSumSquare", ""),
    ]
    assert {opset.domain: opset.version for opset in model.opset_import} == {"": 20, "ai.scs": 1}
    assert model.ir_version == 10


def test_a_model_that_does_not_call_the_op_is_left_as_it_is():
    model = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["": 20]> graph (float[N] x) => (float[N] y) { y = Exp (x) }'
    )
    before = model.SerializeToString()
    onnx_op.attach(model)
    assert model.SerializeToString() == before
