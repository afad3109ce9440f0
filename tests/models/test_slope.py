"""The slope is torch's PReLU, value and gradients."""

import pytest
import torch
from torch import nn

from models.slope import Slope


def draw(*shape, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=dtype)


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
@pytest.mark.parametrize("slope", [0.25, 0.0, -0.5, 1.5])
def test_values_and_gradients_are_those_of_prelu(slope, layout):
    found = []
    for kind in (Slope, nn.PReLU):
        layer = kind(init=slope).double()
        x = draw(3, 4, 5, 6).to(memory_format=layout).requires_grad_()
        y = layer(x)
        y.backward(draw(3, 4, 5, 6) + 1)
        found.append((y, x.grad, layer.weight.grad))
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_zeros_have_the_slope_below_zero_as_those_of_prelu():
    gradients = []
    for kind in (Slope, nn.PReLU):
        x = torch.zeros(1, 1, 2, 2, requires_grad=True)
        kind()(x).sum().backward()
        gradients.append(x.grad)
    torch.testing.assert_close(*gradients)


def test_second_derivatives_are_right():
    x, slope = draw(1, 2, 3, 3).requires_grad_(), torch.tensor([0.3], dtype=torch.float64, requires_grad=True)
    layer = Slope().double()
    assert torch.autograd.gradgradcheck(
        lambda x, slope: torch.func.functional_call(layer, {"weight": slope}, x), (x, slope)
    )


def test_it_loads_what_prelu_saved_and_torch_can_transform_it():
    layer = Slope()
    layer.load_state_dict(nn.PReLU(init=0.7).state_dict())
    x = draw(2, 3, 4, 4, dtype=torch.float32)
    torch.testing.assert_close(torch.func.vmap(layer)(x), layer(x))
    torch.testing.assert_close(torch.jit.trace(layer, x)(-x), layer(-x))
