"""An ONNX file is self-contained, runs anywhere, keeps the op and tells nothing of where it was made."""

import re

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from torch import nn

from models.cards.catalogue import bundled_repository, find
from models.export.onnx_file import export_onnx
from models.export.parity import decided
from models.networks import FAMILIES, Network
from models.style import Style
from scs.errors import ExportError
from scs.nn.layers import SharpenedCosineSimilarity2d

SCS_LAYERS = 3  # the stem, and one in each of the two blocks of the networks in `runs`


SIZES = [(1, 4, 4), (6, 16, 16), (8, 40, 23)]


# What a CUDA session is expected to run; a node that computes sizes would be left to the CPU.
CUDA_OPS = (
    {
        "Cast",
        "Transpose",
        "Mul",
        "Add",
        "Slice",
        "Concat",
        "Conv",
        "BatchNormalization",
        "Relu",
        "MaxPool",
        "ReduceMean",
    }
    | {"BatchNormalization", "Relu", "Neg", "GreaterOrEqual", "Where"}
    | {"ReduceSum", "AveragePool", "Sqrt", "Div", "Abs", "Log", "Exp", "Reciprocal"}
)


@pytest.fixture(params=FAMILIES)
def family(request):
    return request.param


@pytest.fixture
def content(family, repository):
    """The ONNX file of a family."""
    return find(repository, f"shapes-{family}").verified_bytes()


def draw(size, channels=3):
    return np.random.default_rng(0).integers(0, 256, (*size, channels), np.uint8)


def untrained(stem=None):
    torch.manual_seed(0)
    network = Network("scs", 3, 3, (8, 8), (1,), 3, [0.5] * 3, [0.25] * 3).eval()
    network.stem = stem or network.stem
    return network


def test_the_file_runs_in_plain_onnx_runtime_at_any_number_and_size_of_images(content):
    session = ort.InferenceSession(content, providers=["CPUExecutionProvider"])
    (image,), (logits,) = session.get_inputs(), session.get_outputs()
    assert (image.name, image.type, image.shape) == ("image", "tensor(uint8)", ["N", "H", "W", 3])
    assert (logits.name, logits.type, logits.shape) == ("logits", "tensor(float)", ["N", 3])
    assert [session.run(None, {"image": draw(size)})[0].shape for size in SIZES] == [(1, 3), (6, 3), (8, 3)]


def test_the_op_is_still_there_at_the_end_and_every_call_has_its_function(repository):
    model = onnx.load_from_string(find(repository, "shapes-scs").verified_bytes())
    calls = [node for node in model.graph.node if node.domain == "ai.scs"]
    assert [node.op_type for node in calls] == ["SharpenedCosineSimilarity"] * SCS_LAYERS
    carried = {(f.domain, f.name, f.overload) for f in model.functions}
    called = [node for owner in (model.graph, *model.functions) for node in owner.node if node.domain]
    assert {(node.domain, node.op_type, node.overload) for node in called} <= carried
    assert ("ai.scs", 1) in {(opset.domain, opset.version) for opset in model.opset_import}
    assert [node.op_type for node in model.graph.node].count("Conv") == 3, "the depthwise filters and the head"


def test_a_network_of_another_style_answers_as_its_file_does(family):
    torch.manual_seed(0)
    style = Style(pooling="mean", activation="prelu", lean=True)
    network = Network(family, 3, 3, (6, 6, 8, 10), (1, 1), 3, [0.5] * 3, [0.25] * 3, style, opening=1)
    network.train()(torch.from_numpy(draw((8, 16, 16))))  # running statistics other than those of the start
    network.eval()
    content, images = export_onnx(network), draw((5, 20, 17))
    with torch.no_grad():
        expected = network(torch.from_numpy(images))
    session = ort.InferenceSession(content, providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(session.run(None, {"image": images})[0], expected, rtol=1e-3, atol=1e-6)
    assert "PRelu" in {node.op_type for node in onnx.load_from_string(content).graph.node}


def test_a_depthwise_layer_calls_the_overload_for_such():
    layer = SharpenedCosineSimilarity2d(3, 3, 3, padding="same", groups=3)
    network = untrained(nn.Sequential(layer, nn.Conv2d(3, 8, 1)))
    model = onnx.load_from_string(export_onnx(network))
    calls = [node for node in model.graph.node if node.domain == "ai.scs"]
    assert [node.overload for node in calls] == ["depthwise", ""]
    images = draw((4, 9, 12))
    images = images[decided(network, images)]
    assert len(images) > 0
    with torch.no_grad():
        expected = network(torch.from_numpy(images))
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(session.run(None, {"image": images})[0], expected, rtol=1e-3, atol=1e-6)


def test_a_convolution_network_carries_no_functions(repository):
    model = onnx.load_from_string(find(repository, "shapes-conv").verified_bytes())
    assert not model.functions
    assert [opset.domain for opset in model.opset_import] == [""]


def test_nothing_lies_outside_the_file(content):
    initializers = onnx.load_from_string(content).graph.initializer
    assert initializers
    assert not [tensor.name for tensor in initializers if onnx.external_data_helper.uses_external_data(tensor)]


def test_the_layers_are_tensors_of_the_graph_under_their_own_names(family, content):
    made = {name for node in onnx.load_from_string(content).graph.node for name in node.output}
    assert {"stem", "block1", "block2", "class_map", "logits"} <= made


def test_an_onnx_file_tells_nothing_of_the_machine_it_was_made_on(content):
    model = onnx.load_from_string(content)
    for tensor in model.graph.initializer:
        tensor.ClearField("raw_data")  # bytes of weights, among which anything may come up
    assert not re.findall(rb"\.py\b|site-packages|/[\w.-]+/", model.SerializeToString())


@pytest.mark.parametrize(
    "layer, message",
    [
        (
            SharpenedCosineSimilarity2d(3, 8, 3, padding="same", padding_mode="circular"),
            "one group or depthwise layers, padded with zeros",
        ),
        (SharpenedCosineSimilarity2d(4, 8, 3, padding="same", groups=2), "one group or depthwise layers"),
        (SharpenedCosineSimilarity2d(4, 2, 3, padding="same", groups=2), "one group or depthwise layers"),
        (
            SharpenedCosineSimilarity2d(3, 8, 1, padding=1),
            r"padded by less than its kernel; \(1, 1\) came for \(1, 1\)",
        ),
    ],
    ids=["circular", "groups of both", "groups of channels", "wide padding"],
)
def test_a_layer_that_the_op_cannot_express_is_refused(layer, message):
    with pytest.raises(ExportError, match=message):
        export_onnx(untrained(layer))


def test_a_layer_padded_and_dilated_unequally_agrees_with_the_network():
    layer = SharpenedCosineSimilarity2d(3, 8, (4, 3), stride=(1, 2), padding="same", dilation=(1, 2))
    network, images = untrained(layer), draw((8, 15, 22))
    session = ort.InferenceSession(export_onnx(network), providers=["CPUExecutionProvider"])
    images = images[decided(network, images)]
    assert len(images) > 0
    with torch.no_grad():
        expected = network(torch.from_numpy(images))
    np.testing.assert_allclose(session.run(None, {"image": images})[0], expected, rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize(
    "name", ["shapes-scs", "shapes-conv", "mnist-scs", "mnist-conv", "cifar10-scs", "cifar10-conv"]
)
def test_no_node_is_left_that_a_cuda_session_would_give_to_the_cpu(name, repository, tmp_path):
    folder = repository if name.startswith("shapes") else bundled_repository()
    leaves_cuda_nothing_it_lacks(find(folder, name).verified_bytes(), tmp_path)


def test_nor_where_maps_are_blurred(blurred_repository, tmp_path):
    leaves_cuda_nothing_it_lacks(find(blurred_repository, "shapes-scs").verified_bytes(), tmp_path)


def leaves_cuda_nothing_it_lacks(content, tmp_path):
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    nodes = onnx.load(tmp_path / "optimised.onnx").graph.node
    assert {node.op_type for node in nodes} <= CUDA_OPS
    assert {node.domain for node in nodes} == {""}


@pytest.mark.parametrize("options", [{"mute_kernels": False, "q": 0.3, "bias": True}, {"p": 0.5, "q": 0.0}])
def test_what_else_a_layer_may_have_agrees_with_the_network(options):
    torch.manual_seed(0)
    layer = SharpenedCosineSimilarity2d(3, 8, 3, padding="same", gain=True, **options)
    if layer.bias is not None:
        torch.nn.init.normal_(layer.bias)
    network, images = untrained(layer), draw((8, 15, 22))
    session = ort.InferenceSession(export_onnx(network), providers=["CPUExecutionProvider"])
    images = images[decided(network, images)]
    assert len(images) > 0
    with torch.no_grad():
        expected = network(torch.from_numpy(images))
    np.testing.assert_allclose(session.run(None, {"image": images})[0], expected, rtol=1e-3, atol=1e-6)
