"""Gradients through the heads of the networks that people have, as both of torch's exporters write them."""

import io
import logging
import warnings

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from torch import nn

from models.onnx.gradient.graph import with_gradient
from scs.errors import GradientError


class Residual(nn.Module):
    """As ResNet ends: a sum of a block and a projection, halved, then the mean and a linear layer."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(3, 2, 1))
        self.block = nn.Sequential(nn.Conv2d(8, 12, 3, 2, 1), nn.BatchNorm2d(12), nn.ReLU(), nn.Conv2d(12, 12, 3, 1, 1))
        self.project = nn.Conv2d(8, 12, 1, 2)
        self.head = nn.Linear(12, 5)

    def features(self, image):
        return self.stem(image)

    def classify(self, maps):
        return self.head(torch.relu(self.block(maps) + self.project(maps)).mean((2, 3)))


class Mobile(nn.Module):
    """As MobileNetV3 ends: depthwise, squeeze and excite, hard swish, two linear layers."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.Hardswish())
        self.depthwise = nn.Sequential(nn.Conv2d(8, 8, 5, 2, 2, groups=8), nn.BatchNorm2d(8), nn.ReLU6())
        self.squeeze = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(8, 4, 1), nn.ReLU(), nn.Conv2d(4, 8, 1), nn.Hardsigmoid()
        )
        self.expand = nn.Sequential(nn.Conv2d(8, 16, 1), nn.Hardswish(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Sequential(nn.Linear(16, 12), nn.Hardswish(), nn.Dropout(), nn.Linear(12, 5))

    def features(self, image):
        return self.stem(image)

    def classify(self, maps):
        maps = self.depthwise(maps)
        return self.head(self.expand(maps * self.squeeze(maps)))


class Dense(nn.Module):
    """As VGG ends: pooled, flattened, dense."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.AvgPool2d(3, 2, 1, False, False))
        self.head = nn.Sequential(
            nn.MaxPool2d(2), nn.ConstantPad2d((0, 1, 2, 0), 0.5), nn.Flatten(), nn.Linear(6 * 10 * 9, 7), nn.ELU(),
            nn.Linear(7, 5),
        )  # fmt: skip

    def features(self, image):
        return self.stem(image)

    def classify(self, maps):
        return self.head(maps)


class Fire(nn.Module):
    """As SqueezeNet and DenseNet end: branches joined, a convolution for each class, the mean; GELU and SiLU."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, 2)
        self.left, self.right = (
            nn.Sequential(nn.Conv2d(6, 4, 1), nn.GELU()),
            nn.Sequential(nn.Conv2d(6, 4, 3, padding=1), nn.SiLU()),
        )
        self.norm = nn.GroupNorm(2, 8)
        self.last = nn.Conv2d(14, 5, 1)

    def features(self, image):
        return torch.relu(self.stem(image))

    def classify(self, maps):
        joined = self.norm(torch.cat([self.left(maps), self.right(maps)], 1))
        return self.last(torch.cat([maps, joined], 1)).mean((2, 3)).log_softmax(1)


class Vision(nn.Module):
    """A small vision transformer: patches, a class token, a block of attention, layer normalisation."""

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 8, 8)
        self.token, self.places = nn.Parameter(torch.randn(1, 1, 16)), nn.Parameter(torch.randn(1, 17, 16))
        self.norms = nn.ModuleList(nn.LayerNorm(16) for _ in range(3))
        self.qkv, self.out = nn.Linear(16, 48), nn.Linear(16, 16)
        self.mlp = nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 16))
        self.head = nn.Linear(16, 5)

    def features(self, image):
        return self.patches(image)

    def classify(self, maps):
        tokens = torch.cat([self.token.expand(len(maps), -1, -1), maps.flatten(2).transpose(1, 2)], 1) + self.places
        q, k, v = self.qkv(self.norms[0](tokens)).reshape(-1, 17, 3, 4, 4).permute(2, 0, 3, 1, 4)
        seen = nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(-1, 17, 16)
        tokens = tokens + self.out(seen)
        tokens = tokens + self.mlp(self.norms[1](tokens))
        return self.head(self.norms[2](tokens)[:, 0])


class Both(nn.Module):
    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, image):
        maps = self.network.features(image)
        return self.network.classify(maps), maps


def export(network, image, dynamo):
    """The file with the outputs ``logits`` and ``maps``, its batch free; opset 20, or 17 by the older exporter."""
    buffer = io.BytesIO()
    names = {"input_names": ["image"], "output_names": ["logits", "maps"]}
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if dynamo:
            free = {"dynamic_shapes": ({0: torch.export.Dim.DYNAMIC},)}
            torch.onnx.export(Both(network).eval(), (image,), buffer, dynamo=True, opset_version=20, **free, **names)
        else:
            axes = {name: {0: "n"} for name in ("image", "logits", "maps")}
            torch.onnx.export(
                Both(network).eval(), (image,), buffer, dynamo=False, opset_version=17, dynamic_axes=axes, **names
            )
    return onnx.load_from_string(buffer.getvalue())


def run(model, wanted, feeds):
    options = ort.SessionOptions()
    options.log_severity_level = 3
    return ort.InferenceSession(model.SerializeToString(), options).run(wanted, feeds)


@pytest.mark.parametrize("dynamo", [True, False], ids=["torch.export", "TorchScript"])
@pytest.mark.parametrize("kind", [Residual, Mobile, Dense, Fire, Vision])
def test_the_gradient_by_a_layer_is_that_of_torch(kind, dynamo):
    torch.manual_seed(0)
    network = kind().eval()
    image = torch.rand(3, 3, 32, 32)
    model = export(network, image, dynamo)
    direction = torch.randn(3, 5)
    feeds = {"image": image.numpy(), "direction": direction.numpy()}
    logits, maps, gradient = run(with_gradient(model, "maps"), ["logits", "maps", "gradient"], feeds)
    wanted = network.features(image).detach().requires_grad_()
    answer = network.classify(wanted)
    answer.backward(direction)
    assert logits == pytest.approx(answer.detach().numpy(), abs=1e-4)
    assert maps == pytest.approx(wanted.detach().numpy(), abs=1e-4)
    assert np.abs(gradient).max() > 0
    assert gradient == pytest.approx(wanted.grad.numpy(), abs=1e-4 * max(1.0, float(wanted.grad.abs().max())))


def parse(body, inputs="float[n, 2, h, w] image"):
    model = onnx.parser.parse_model(
        f'<ir_version: 10, opset_import: ["": 20, "other" : 1]> g ({inputs}) => (float[n, 2] logits) {{ {body} }}'
    )
    return model


def test_every_operator_without_a_rule_is_named_at_once():
    model = parse("a = Round (image) b = other.Secret (a) c = Relu (b) d = Floor (c) logits = ReduceMean (d)")
    with pytest.raises(GradientError, match=r"behind image; there is none for Floor, Round, other::Secret$"):
        with_gradient(model, "image")


def test_an_operator_in_front_of_the_layer_needs_no_rule():
    model = parse("a = Round (image) b = Relu (a) logits = ReduceMean <keepdims: int = 0> (b)")
    x = np.ones((1, 2, 2, 2), np.float32)
    gradient, logits = run(
        with_gradient(model, "a"), ["gradient", "logits"], {"image": x, "direction": np.array(1, np.float32)}
    )
    assert gradient == pytest.approx(np.full((1, 2, 2, 2), 1 / 8))
    assert logits == pytest.approx(1)


def test_a_rule_that_does_not_fit_says_what_it_lacks():
    with pytest.raises(GradientError, match="a rule for Pow with an exponent that depends on the picture"):
        with_gradient(parse("a = Pow (image, image) logits = ReduceMean (a)"), "image")


def test_kernels_may_be_made_of_constants():
    body = """
        rounded = Constant <value_ints: ints = [1, 1, 1, 1]> ()
        numbers = Constant <value_floats: floats = [3.0]> ()
        kernels = Reshape (numbers, rounded)
        maps = Conv <kernel_shape: ints = [1, 1]> (image, kernels)
        logits = ReduceSum <keepdims: int = 0> (maps)
    """
    x = np.ones((1, 1, 2, 2), np.float32)
    model = with_gradient(parse(body, "float[n, 1, h, w] image"), "image")
    (gradient,) = run(model, ["gradient"], {"image": x, "direction": np.array(1, np.float32)})
    assert np.array_equal(gradient, np.full(x.shape, 3))


def test_logits_that_do_not_depend_on_a_layer_are_told():
    model = parse("a = Neg (image) b = Shape (a) c = Cast <to: int = 1> (b) logits = ReduceMean (c)")
    for tensor in ("a", "nothing"):
        with pytest.raises(GradientError, match=f"by {tensor} needs an output that depends on it; logits does not"):
            with_gradient(model, tensor)


def test_the_gradient_of_tokens_laid_out_as_maps_is_laid_out_like_them():
    """Such a layer leads nowhere: the network goes on with the tokens."""
    body = """
        picked = Constant <value_ints: ints = [1, 2]> ()
        grid = Constant <value_ints: ints = [0, 0, 1, 2]> ()
        last = Constant <value_ints: ints = [1]> ()
        shown = Gather <axis: int = 1> (image, picked)
        turned = Transpose <perm: ints = [0, 2, 1]> (shown)
        maps = Reshape (turned, grid)
        squares = Mul (image, image)
        logits = ReduceSum <keepdims: int = 0> (squares, last)
    """
    x = np.arange(12, dtype=np.float32).reshape(2, 3, 2)
    model = with_gradient(parse(body, "float[n, 3, 2] image"), "maps")
    maps, gradient = run(model, ["maps", "gradient"], {"image": x, "direction": np.ones((2, 2), np.float32)})
    assert maps.shape == (2, 2, 1, 2)
    assert np.array_equal(gradient, 2 * maps)


def test_numbers_of_sixteen_bits_have_gradients_too():
    model = parse(
        "a = Cast <to: int = 10> (image) b = Sigmoid (a) c = Mul (b, b) d = ReduceMean <keepdims: int = 0> (c) "
        "logits = Cast <to: int = 1> (d)"
    )
    x = np.zeros((1, 2, 1, 1), np.float32)
    (gradient,) = run(with_gradient(model, "b"), ["gradient"], {"image": x, "direction": np.array(1, np.float32)})
    assert gradient.dtype == np.float32
    assert gradient == pytest.approx(np.full(x.shape, 0.5))


def test_a_graph_that_is_given_a_gradient_stays_as_it_was():
    model = parse("a = Gelu (image) logits = ReduceMean <keepdims: int = 0> (a)")
    before = model.SerializeToString()
    with_gradient(model, "image")
    assert model.SerializeToString() == before
