"""Attacks and feature visualization run on any ONNX model whose operators have rules, and name one that has none."""

import numpy as np
import onnx
import pytest
import torch

from lab.feature_visualization import visualize
from models.cards.catalogue import bundled_repository, find
from models.evaluation.attacks import check_gradients, fgsm
from models.onnx.as_torch import TorchGraph
from models.runtime.differentiable import RuntimeGraph, differentiable
from scs.errors import GradientError


@pytest.mark.parametrize("name", ["mnist-conv", "mnist-scs"])
@pytest.mark.parametrize("tensor", ["logits", "block2"])
def test_values_and_gradients_are_those_of_torch(name, tensor):
    content = find(bundled_repository(), name).verified_bytes()
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, 28, 28, 1))).float()
    found = []
    for graph in (TorchGraph(content), RuntimeGraph(content)):
        x = images.clone().requires_grad_()
        value = graph.tensor(tensor, x)
        value.square().sum().backward()
        found.append((value.detach(), x.grad))
    for wanted, ours in zip(*found, strict=True):
        torch.testing.assert_close(ours, wanted, rtol=1e-3, atol=1e-4 * wanted.abs().max().item())


def test_torch_runs_what_it_knows():
    assert isinstance(differentiable(find(bundled_repository(), "mnist-conv").verified_bytes()), TorchGraph)


@pytest.fixture(scope="module")
def swish() -> bytes:
    """A network with operators of networks that others have made: a batch of bytes, hard swish, a dense layer."""
    random = np.random.default_rng(0)
    model = onnx.parser.parse_model(
        """<ir_version: 10, opset_import: ["": 20]> g (uint8[n, 12, 12, 3] image) => (float[n, 4] logits) {
            floats = Cast <to: int = 1> (image)
            planes = Transpose <perm: ints = [0, 3, 1, 2]> (floats)
            scaled = Mul (planes, scale)
            maps = Conv <kernel_shape: ints = [3, 3], strides: ints = [2, 2]> (scaled, kernels)
            bent = HardSwish (maps)
            flat = Flatten (bent)
            logits = Gemm (flat, weights)
        }"""
    )
    constants = {
        "scale": 1 / 64,
        "kernels": random.normal(size=(6, 3, 3, 3)),
        "weights": random.normal(size=(150, 4)) / 64,
    }
    for name, values in constants.items():
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(values, np.float32), name))
    return model.SerializeToString()


def test_an_attack_raises_the_loss_of_a_network_that_torch_does_not_know(swish):
    graph = differentiable(swish)
    assert isinstance(graph, RuntimeGraph)
    images = np.random.default_rng(1).integers(0, 256, (16, 12, 12, 3), np.uint8)
    x = torch.from_numpy(images).float()
    labels = graph(x).argmax(1)
    (attacked,) = fgsm(graph, x, labels, [8.0])
    assert (attacked - x).abs().max() <= 8
    losses = [torch.nn.functional.cross_entropy(graph(each), labels).item() for each in (x, attacked)]
    assert losses[1] > 1.5 * losses[0]
    assert check_gradients(graph, images, labels.numpy()).blank == 0


def test_a_picture_is_drawn_that_raises_a_channel_of_it(swish):
    (wish,) = visualize(differentiable(swish), "bent", [2], size=12, channels=3, steps=20)
    assert wish.after > wish.before + 0.5


def test_an_operator_without_a_rule_is_named_where_it_is_in_the_way(swish):
    model = onnx.load_from_string(swish)
    model.graph.node[-1].input[0] = "rounded"
    model.graph.node.insert(6, onnx.helper.make_node("Round", ["flat"], ["rounded"]))
    with pytest.raises(GradientError, match="behind image; there is none for Round"):
        differentiable(model.SerializeToString())
    graph = differentiable(model.SerializeToString(), "bent")  # which is in front of it
    assert graph.tensor("bent", torch.zeros(1, 12, 12, 3)).shape == (1, 6, 5, 5)


def test_a_network_that_takes_one_picture_at_a_time_gets_them_one_by_one(swish):
    model = onnx.load_from_string(swish)
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    images = torch.from_numpy(np.random.default_rng(2).integers(0, 256, (3, 12, 12, 3))).float()
    found = []
    for graph in (differentiable(swish), differentiable(model.SerializeToString(), one_by_one=True)):
        x = images.clone().requires_grad_()
        graph(x).square().sum().backward()
        found.append(x.grad)
    torch.testing.assert_close(*found)


def test_second_derivatives_are_refused_by_the_runtime_and_right_by_torch(swish):
    x = torch.rand(1, 12, 12, 3, generator=torch.Generator().manual_seed(0)).requires_grad_()
    with pytest.raises(GradientError, match="first derivatives only"):
        torch.autograd.grad(RuntimeGraph(swish)(x).sum(), x, create_graph=True)
    graph = TorchGraph(find(bundled_repository(), "mnist-scs").verified_bytes())
    x = (255 * torch.rand(1, 8, 8, 1, generator=torch.Generator().manual_seed(0))).requires_grad_()
    (slope,) = torch.autograd.grad(graph(x)[0, 3], x, create_graph=True)
    (bend,) = torch.autograd.grad(slope.square().sum(), x)
    with torch.no_grad():
        step = 0.5 * slope / slope.norm()
    ends = []
    for end in (x + step, x - step):
        end = end.detach().requires_grad_()
        ends.append(torch.autograd.grad(graph(end)[0, 3], end)[0].square().sum())
    torch.testing.assert_close((bend * step).sum(), (ends[0] - ends[1]) / 2, rtol=0.05, atol=1e-6)
