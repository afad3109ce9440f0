"""Sharpening has the values and the gradient of its formula, by loops, by torch and compiled."""

import numpy as np
import pytest
import torch

from scs.nn.channels_last import loops_serve
from scs.nn.sharpening import sharpen_cosines

EPS = 1e-6


def draw(kernels=5, groups=1, dtype=torch.float64, axes=2):
    random = torch.Generator().manual_seed(0)
    size = (3, kernels, 11, 6)[: 2 + axes]
    dot = torch.randn(size, generator=random, dtype=dtype)
    reciprocal = torch.rand((3, groups, *size[2:]), generator=random, dtype=dtype) + 0.1
    exponent = torch.rand(kernels, generator=random, dtype=dtype) * 2
    return dot, reciprocal, exponent


def channels_last(x):
    return x.contiguous(memory_format=torch.channels_last)


def formula(dot, reciprocal, exponent, eps):
    cosine = dot * reciprocal
    return cosine * (cosine.abs() + eps) ** (exponent.view(-1, *[1] * (dot.ndim - 2)) if exponent.ndim else exponent)


def values_and_gradients(function, inputs, weights):
    inputs = [x.detach().clone().requires_grad_() for x in inputs]
    y = function(*inputs, EPS)
    (y * weights).sum().backward()
    return [y.detach(), *(x.grad for x in inputs)]


@pytest.mark.parametrize("exponents", ["one", "one a kernel"])
@pytest.mark.parametrize("groups, axes", [(1, 2), (5, 2), (1, 1)])
def test_values_and_gradients_are_those_of_the_formula(groups, axes, exponents):
    dot, reciprocal, exponent = draw(groups=groups, axes=axes)
    exponent = exponent if exponents == "one a kernel" else exponent[0]
    weights = torch.randn(dot.shape, dtype=dot.dtype, generator=torch.Generator().manual_seed(1))
    expected = values_and_gradients(formula, (dot, reciprocal, exponent), weights)
    for came, wanted in zip(
        values_and_gradients(sharpen_cosines, (dot, reciprocal, exponent), weights), expected, strict=True
    ):
        torch.testing.assert_close(came, wanted)


@pytest.mark.parametrize("exponents", ["one", "one a kernel"])
def test_the_loops_agree_with_the_formula_in_float64(exponents):
    inputs = draw(kernels=37)
    inputs = (channels_last(inputs[0]), inputs[1], inputs[2] if exponents == "one a kernel" else inputs[2][0])
    weights = torch.randn(inputs[0].shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    singles = [x.float() for x in inputs]
    assert loops_serve(*singles[:2])
    expected = values_and_gradients(formula, inputs, weights)
    for came, wanted in zip(values_and_gradients(sharpen_cosines, singles, weights.float()), expected, strict=True):
        torch.testing.assert_close(came.double(), wanted, rtol=2e-6, atol=2e-6 * wanted.abs().max().item())


def test_the_gradient_is_the_slope():
    inputs = [x.requires_grad_() for x in draw()]
    assert torch.autograd.gradcheck(lambda *x: sharpen_cosines(*x, EPS), inputs)


@pytest.mark.parametrize("layout", [channels_last, torch.Tensor.contiguous], ids=["loops", "torch"])
def test_nothing_is_lost_of_what_is_not_finite_and_zero_stays_zero(layout):
    dot = layout(torch.tensor([0.0, -0.0, torch.nan, torch.inf, 1e-20, -0.5]).view(1, 6, 1, 1).repeat(1, 1, 2, 2))
    one = torch.ones(1, 1, 2, 2)
    y = sharpen_cosines(dot, one, torch.ones(6), EPS)[0, :, 0, 0]
    assert y[:2].tolist() == [0, 0]
    assert y[2].isnan()
    assert not y[3].isfinite()
    np.testing.assert_allclose(y[4:], [1e-26, -0.25], rtol=1e-5)


@pytest.mark.parametrize("layout", [channels_last, torch.Tensor.contiguous], ids=["loops", "torch"])
def test_the_slope_at_zero_is_finite(layout):
    dot = layout(torch.zeros(2, 3, 4, 4)).requires_grad_()
    sharpen_cosines(dot, torch.ones(2, 1, 4, 4), torch.tensor([0.0, 0.5, 3.0]), EPS).sum().backward()
    np.testing.assert_allclose(dot.grad[0, :, 0, 0], [1, EPS**0.5, EPS**3], rtol=1e-5)


def test_it_compiles_to_what_it_is_and_whole():
    dot, reciprocal, exponent = (x.float() for x in draw())
    compiled = torch.compile(lambda *x: sharpen_cosines(*x, EPS), fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(dot, reciprocal, exponent), sharpen_cosines(dot, reciprocal, exponent, EPS))


@pytest.mark.parametrize("groups, axes", [(1, 2), (5, 2), (1, 1)])
def test_second_derivatives_are_those_of_the_formula(groups, axes):
    inputs = [x[:1, ..., :2].requires_grad_() if x.ndim > 1 else x.requires_grad_() for x in draw(5, groups, axes=axes)]
    assert torch.autograd.gradgradcheck(lambda *x: sharpen_cosines(*x, EPS), inputs)
