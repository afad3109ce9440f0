"""Linear neighbours become one layer where that is exact and not larger, and stay as they are elsewhere."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from onnx import numpy_helper, parser

from models.export.onnx_file import export_onnx
from models.export.parity import decided
from models.networks import FAMILIES, Network
from models.onnx.as_torch import TorchGraph
from models.onnx.compose import composed


def drawn(*shape):
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


def graph(body, channels=4, **constants):
    """A model of images (N, channels, H, W) whose output is y."""
    model = parser.parse_model(
        f'<ir_version: 10, opset_import: ["": 20]> g (float[N,{channels},H,W] x) => (float[N,K,I,J] y) {{ {body} }}'
    )
    model.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
    return model.SerializeToString()


def operations(content):
    return [node.op_type for node in onnx.load_from_string(content).graph.node]


def numbers(content):
    return sum(numpy_helper.to_array(tensor).size for tensor in onnx.load_from_string(content).graph.initializer)


def answer(content, x):
    return ort.InferenceSession(content, providers=["CPUExecutionProvider"]).run(None, x)[0]


def normalisation(channels):
    gain, bias, mean, variance = drawn(4, channels)
    return {"gain": gain, "bias": bias, "mean": mean, "variance": variance**2 + 0.1}


NORMALISE = "BatchNormalization (x, gain, bias, mean, variance)"
MERGED = {
    "normalisation before a 1x1 head": graph(
        f"n = {NORMALISE} y = Conv (n, w)", w=drawn(3, 4, 1, 1), **normalisation(4)
    ),
    "normalisation before a kernel without border": graph(
        f"n = {NORMALISE} y = Conv (n, w, b)", w=drawn(3, 4, 3, 3), b=drawn(3), **normalisation(4)
    ),
    "factor before a border": graph(
        "n = Mul (x, a) y = Conv <pads: ints = [1, 1, 1, 1]> (n, w)", a=drawn(4, 1, 1), w=drawn(3, 4, 3, 3)
    ),
    "two kernels without a border": graph(
        "n = Conv <strides: ints = [2, 2]> (x, v, c) y = Conv <strides: ints = [1, 3]> (n, w)",
        v=drawn(12, 4, 2, 3), c=drawn(12), w=drawn(2, 12, 3, 2),
    ),
    "a border before the first of two": graph(
        "n = Conv <pads: ints = [1, 0, 2, 1]> (x, v) y = Conv (n, w)", v=drawn(9, 4, 3, 3), w=drawn(2, 9, 1, 1)
    ),
    "a mixture before a border": graph(
        "n = Conv (x, v) y = Conv <pads: ints = [1, 1, 1, 1]> (n, w)", v=drawn(9, 4, 1, 1), w=drawn(2, 9, 3, 3)
    ),
    "a summand and a factor": graph(
        "n = Add (x, a) m = Mul (n, b) y = Conv (m, w)", a=drawn(1, 4, 1, 1), b=np.float32(3), w=drawn(3, 4, 3, 3)
    ),
}  # fmt: skip
KEPT = {
    "a summand before a border": graph(
        "n = Add (x, a) y = Conv <pads: ints = [1, 1, 1, 1]> (n, w)", a=drawn(4, 1, 1), w=drawn(3, 4, 3, 3)
    ),
    "two kernels, the second with a border": graph(
        "n = Conv (x, v) y = Conv <pads: ints = [1, 1, 1, 1]> (n, w)", v=drawn(20, 4, 3, 3), w=drawn(3, 20, 3, 3)
    ),
    "a narrow waist, dear to widen": graph("n = Conv (x, v) y = Conv (n, w)", v=drawn(1, 4, 1, 1), w=drawn(9, 1, 3, 3)),
    "a filter for each channel": graph(
        "n = Conv <group: int = 4> (x, v) y = Conv (n, w)", v=drawn(4, 1, 3, 3), w=drawn(9, 4, 1, 1)
    ),
    "a factor for each row": graph("n = Mul (x, a) y = Conv (n, w)", a=drawn(9, 1), w=drawn(3, 4, 3, 3)),
    "what is not linear": graph("n = Relu (x) y = Conv (n, w)", w=drawn(3, 4, 3, 3)),
    "what something else needs": graph(
        "n = Mul (x, a) c = Conv <pads: ints = [1, 1, 1, 1]> (n, w) y = Add (c, n)",
        a=drawn(4, 1, 1),
        w=drawn(4, 4, 3, 3),
    ),
}


@pytest.mark.parametrize("content", MERGED.values(), ids=MERGED)
def test_linear_neighbours_become_one_convolution_that_answers_the_same(content):
    merged = composed(content, [])
    assert operations(merged) == ["Conv"] and numbers(merged) <= numbers(content)
    x = {"x": drawn(2, 4, 9, 11)}
    np.testing.assert_allclose(answer(merged, x), answer(content, x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("content", KEPT.values(), ids=KEPT)
def test_what_would_not_be_exact_or_would_grow_stays(content):
    assert composed(content, []) == content


def test_a_tensor_that_is_to_be_shown_stays():
    content = MERGED["factor before a border"]
    assert composed(content, ["n"]) == content


def test_before_a_border_a_factor_goes_through_the_summand_and_the_summand_stays():
    content = graph(
        "n = Mul (x, a) m = Add (n, b) y = Conv <pads: ints = [1, 1, 1, 1]> (m, w)",
        a=drawn(4, 1, 1), b=drawn(4, 1, 1) + 1, w=drawn(3, 4, 3, 3),
    )  # fmt: skip
    merged, x = composed(content, []), {"x": drawn(2, 4, 9, 11)}
    assert operations(merged) == ["Add", "Conv"]
    np.testing.assert_allclose(answer(merged, x), answer(content, x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_network_loses_a_node_and_bytes_and_keeps_its_logits_and_its_layers(family):
    torch.manual_seed(0)
    network = Network(family, 3, 4, (6, 8, 8), (1, 1), 3, [0.5] * 3, [0.25] * 3)
    images = np.random.default_rng(0).integers(0, 256, (8, 19, 22, 3), np.uint8)
    network.train()
    network(torch.from_numpy(images))  # so that normalisation has something to do
    network.eval()
    content = export_onnx(network)
    merged = composed(content, network.layer_names)
    gone = {"scs": "BatchNormalization", "conv": "Mul"}[family]
    assert operations(content).count(gone) == operations(merged).count(gone) + 1
    assert len(operations(merged)) == len(operations(content)) - 1 and len(merged) < len(content)
    images = images[decided(network, images)]
    assert len(images) > 0
    np.testing.assert_allclose(answer(merged, {"image": images}), answer(content, {"image": images}), atol=1e-4)
    np.testing.assert_allclose(
        TorchGraph(merged)(torch.from_numpy(images)), answer(merged, {"image": images}), atol=1e-4
    )
    made = {name for node in onnx.load_from_string(merged).graph.node for name in node.output}
    assert {*network.layer_names, "logits"} <= made
