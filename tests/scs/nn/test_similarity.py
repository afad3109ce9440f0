"""Sharpened cosine similarity does what its formula says, at every stride, padding, dilation, grouping and type."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from scs.errors import OptionError, ShapeError
from scs.nn.similarity import sharpened_cosine_similarity


def oracle(x, w, p, q, stride=(1, 1), pads=((0, 0), (0, 0)), mode="constant", dilation=(1, 1), groups=1):
    """The definition, patch by patch, in float64: x (N, C, H, W), w (K, C / groups, kH, kW)."""
    x, w = np.asarray(x, np.float64), np.asarray(w, np.float64)
    p = np.broadcast_to(np.asarray(p, np.float64), len(w))
    x = np.pad(x, ((0, 0), (0, 0), *pads), mode=mode)
    reach = [d * (k - 1) + 1 for k, d in zip(w.shape[2:], dilation, strict=True)]
    rows, columns = ((x.shape[2 + i] - reach[i]) // stride[i] + 1 for i in range(2))
    y = np.zeros((len(x), len(w), rows, columns))
    channels = w.shape[1]
    for n, k, r, c in itertools.product(range(len(x)), range(len(w)), range(rows), range(columns)):
        first = k // (len(w) // groups) * channels
        top, left = r * stride[0], c * stride[1]
        patch = x[n, first : first + channels, top : top + reach[0] : dilation[0], left : left + reach[1] : dilation[1]]
        dot = (patch * w[k]).sum()
        norms = (np.sqrt((patch**2).sum()) + q) * (np.sqrt((w[k] ** 2).sum()) + q)
        y[n, k, r, c] = np.sign(dot) * (abs(dot) / norms) ** p[k] if norms else 0
    return y


def draw(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def test_the_docstrings_example_is_a_match_of_minus_one_sixteenth():
    x = torch.tensor([[[[0.0, 3.0], [0.0, 4.0]]]])
    assert sharpened_cosine_similarity(-x, x, p=2.0, q=5.0).item() == pytest.approx(-1 / 16, abs=1e-6)


@pytest.mark.parametrize("stride", [1, 2, (2, 1)])
@pytest.mark.parametrize("dilation", [1, (1, 2)])
@pytest.mark.parametrize("groups", [1, 2, 4])
def test_it_agrees_with_the_definition(stride, dilation, groups):
    x, w = draw(2, 4, 9, 8), draw(8, 4 // groups, 3, 2, seed=1)
    p = torch.linspace(1, 3, 8, dtype=torch.float64)
    y = sharpened_cosine_similarity(x, w, p, 0.3, stride=stride, dilation=dilation, groups=groups, padding=(1, 2))
    pairs = [(v, v) if isinstance(v, int) else v for v in (stride, dilation)]
    expected = oracle(x, w, p, 0.3, pairs[0], ((1, 1), (2, 2)), dilation=pairs[1], groups=groups)
    np.testing.assert_allclose(y, expected, atol=1e-5)


@pytest.mark.parametrize(
    "mode, numpys", [("zeros", "constant"), ("circular", "wrap"), ("reflect", "reflect"), ("replicate", "edge")]
)
@pytest.mark.parametrize(
    "padding, pads",
    [("valid", ((0, 0), (0, 0))), ("same", ((1, 1), (0, 1))), ("full", ((2, 2), (1, 1))), (1, ((1, 1), (1, 1)))],
)
def test_paddings_by_name_and_number(padding, pads, mode, numpys):
    x, w = draw(1, 2, 6, 5), draw(3, 2, 3, 2, seed=1)
    y = sharpened_cosine_similarity(x, w, 1.5, 0.1, padding=padding, padding_mode=mode)
    np.testing.assert_allclose(y, oracle(x, w, 1.5, 0.1, pads=pads, mode=numpys), atol=1e-5)


@pytest.mark.parametrize("padding", ["valid", "same", "full", 2])
def test_a_signal_is_an_image_one_pixel_high(padding):
    x, w = draw(2, 3, 20), draw(4, 3, 5, seed=1)
    y = sharpened_cosine_similarity(x, w, 2.0, 0.1, padding=padding, stride=2)
    pads = {"valid": (0, 0), "same": (2, 2), "full": (4, 4), 2: (2, 2)}[padding]
    expected = oracle(x[:, :, None], w[:, :, None], 2.0, 0.1, (1, 2), ((0, 0), pads))
    np.testing.assert_allclose(y, expected[:, :, 0], atol=1e-5)


def test_a_circular_comparison_commutes_with_rolling_the_image():
    x, w = draw(1, 2, 7, 7), draw(3, 2, 3, 3, seed=1)
    compare = lambda x: sharpened_cosine_similarity(x, w, padding="same", padding_mode="circular")  # noqa: E731
    torch.testing.assert_close(compare(x.roll((2, 3), (2, 3))), compare(x).roll((2, 3), (2, 3)))


@given(st.floats(0.05, 20), st.floats(1, 4), st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_without_a_noise_floor_brightness_does_not_matter_and_sign_does(scale, p, seed):
    x, w = draw(1, 2, 5, 5, seed=seed), draw(2, 2, 3, 3, seed=seed + 1)
    y = sharpened_cosine_similarity(x, w, p, 0.0)
    torch.testing.assert_close(sharpened_cosine_similarity(scale * x, w, p, 0.0), y, atol=1e-9, rtol=1e-9)
    torch.testing.assert_close(sharpened_cosine_similarity(-x, w, p, 0.0), -y)
    assert y.abs().max() <= 1 + 1e-9


def test_a_faint_match_outshouts_a_bright_mismatch():
    kernel = torch.tensor([[[[1.0, -1.0], [-1.0, 1.0]]]])
    faint_match = 0.05 * kernel + 0.001
    bright_mismatch = torch.tensor([[[[10.0, 9.0], [10.0, 10.0]]]])
    match, mismatch = (sharpened_cosine_similarity(s, kernel, 2.0, 1e-3).item() for s in (faint_match, bright_mismatch))
    dots = [(s * kernel).sum().item() for s in (faint_match, bright_mismatch)]
    assert match > 0.9 and abs(mismatch) < 0.1
    assert dots[0] < dots[1], "convolution prefers the bright mismatch, or the test shows nothing"


@pytest.mark.parametrize("p", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("q", [0.0, 0.1])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_blank_patches_and_kernels_give_zero_and_finite_gradients(p, q, dtype):
    x = torch.zeros(1, 1, 6, 6, dtype=dtype)
    x[..., 3:] = 1
    w = torch.stack([torch.zeros(1, 3, 3, dtype=dtype), torch.ones(1, 3, 3, dtype=dtype)])
    x.requires_grad_(), w.requires_grad_()
    y = sharpened_cosine_similarity(x, w, p, q)
    y.float().sum().backward()
    assert y[0, :, :, 0].abs().max() == 0 and y[0, 0].abs().max() == 0
    assert y.isfinite().all() and x.grad.isfinite().all() and w.grad.isfinite().all()


def test_gradients_are_those_of_the_formula():
    x, w = draw(2, 4, 5, 5).requires_grad_(), draw(4, 2, 3, 3, seed=1).requires_grad_()
    p = torch.tensor([1.0, 1.5, 2.0, 3.0], dtype=torch.float64, requires_grad=True)
    q = torch.tensor(0.2, dtype=torch.float64, requires_grad=True)
    compare = lambda x, w, p, q: sharpened_cosine_similarity(x, w, p, q, padding=1, stride=2, groups=2)  # noqa: E731
    assert torch.autograd.gradcheck(compare, (x, w, p, q))


@pytest.mark.parametrize("dtype, tolerance", [(torch.float16, 5e-3), (torch.bfloat16, 3e-2)])
def test_half_precision_keeps_its_type_and_stays_close(dtype, tolerance):
    x, w = draw(2, 8, 12, 12, dtype=torch.float32), draw(4, 8, 3, 3, seed=1, dtype=torch.float32)
    y = sharpened_cosine_similarity(x.to(dtype), w.to(dtype))
    assert y.dtype == dtype
    torch.testing.assert_close(y.float(), sharpened_cosine_similarity(x, w), atol=tolerance, rtol=0)


def test_half_precision_takes_the_norm_of_patches_whose_energy_it_could_not_hold():
    x = torch.full((1, 1, 3, 3), 200.0, dtype=torch.float16)  # 9 * 200 ** 2 is beyond float16
    assert sharpened_cosine_similarity(x, torch.ones(1, 1, 3, 3, dtype=torch.float16), q=0.0).item() == pytest.approx(
        1, abs=2e-3
    )


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("scale", [1e18, 1e19, 1e20, 1e23])
@pytest.mark.parametrize("window", [{}, {"groups": 3}, {"dilation": 2, "padding": "same"}], ids=str)
def test_values_whose_squares_float32_cannot_hold_have_their_cosine(window, scale, layout):
    x, w = draw(1, 3, 6, 6), draw(3, 3 // window.get("groups", 1), 3, 3, seed=1)
    huge = (scale * x).float().to(memory_format=layout).requires_grad_()
    y = sharpened_cosine_similarity(huge, w.float(), **window)
    torch.testing.assert_close(y.double(), sharpened_cosine_similarity(scale * x, w, **window), atol=2e-6, rtol=0)
    of_huge_kernels = sharpened_cosine_similarity(x.float(), (scale * w).float(), **window)
    expected = sharpened_cosine_similarity(x, scale * w, **window)
    torch.testing.assert_close(of_huge_kernels.double(), expected, atol=2e-6, rtol=0)
    if scale > 1e20:
        return
    y.sum().backward()
    reference = (scale * x).requires_grad_()
    sharpened_cosine_similarity(reference, w, **window).sum().backward()
    torch.testing.assert_close(scale * huge.grad.double(), scale * reference.grad, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("scale", [0, 1e-30, 1e18, 1e19, 3e37])
def test_however_large_or_small_values_are_similarities_stay_within_one_and_have_a_slope(scale, layout):
    x = (scale * draw(1, 3, 6, 6, dtype=torch.float32)).to(memory_format=layout).requires_grad_()
    y = sharpened_cosine_similarity(x, draw(4, 3, 3, 3, seed=1, dtype=torch.float32))
    y.sum().backward()
    assert y.abs().max() <= 1 and x.grad.isfinite().all()


def test_the_published_keras_layer_can_be_expressed():
    """R. Pisoni's layer: 3x3, "same", exponents softmax(p) over the kernels, noise floor q² / 10 on both norms."""
    x, w = draw(2, 3, 8, 8), draw(5, 3, 3, 3, seed=1)
    raw_p, raw_q = draw(5, seed=2), 0.7
    powers = np.exp(raw_p.numpy()) / np.exp(raw_p.numpy()).sum()
    floor = raw_q**2 / 10
    padded = np.pad(x.numpy(), ((0, 0), (0, 0), (1, 1), (1, 1)))
    patches = np.stack([padded[:, :, i : i + 8, j : j + 8] for i in range(3) for j in range(3)], 2).reshape(2, 27, 8, 8)
    flat = w.numpy().reshape(5, 27)
    patch_norm = np.sqrt(np.maximum((patches**2).sum(1), 1e-12)) + floor
    kernel_norm = np.sqrt(np.maximum((flat**2).sum(1), 1e-12)) + floor
    cosine = np.einsum("ncij,kc->nkij", patches, flat) / patch_norm[:, None] / kernel_norm[None, :, None, None]
    expected = np.sign(cosine) * (np.abs(cosine) + 1e-12) ** powers[None, :, None, None]

    y = sharpened_cosine_similarity(x, w, torch.softmax(raw_p, 0), floor, padding="same", eps=1e-12)
    np.testing.assert_allclose(y, expected, atol=1e-5)


def test_the_published_pytorch_layer_can_be_expressed():
    """B. Rohrer's layer: unit kernels, the noise floor on the patch only, so (1 + q) ** p is given back."""
    x, w = draw(2, 3, 8, 8), draw(5, 3, 5, 5, seed=1)
    p, q = torch.tensor(1.7, dtype=torch.float64), 0.2
    unit = w / w.square().sum((1, 2, 3), keepdim=True).sqrt()
    windows = np.lib.stride_tricks.sliding_window_view(x.numpy(), (5, 5), axis=(2, 3))  # (N, C, 4, 4, 5, 5)
    dots = np.einsum("ncijab,kcab->nkij", windows, unit.numpy())
    norms = np.sqrt((windows**2).sum((1, 4, 5)) + 1e-6) + q
    cosine = dots / norms[:, None]
    expected = np.sign(cosine) * (np.abs(cosine) + 1e-6) ** 1.7

    y = (1 + q) ** p * sharpened_cosine_similarity(x, unit, p, q)
    np.testing.assert_allclose(y, expected, atol=1e-5)


@pytest.mark.parametrize(
    "x, w, p, groups, said",
    [
        ((2, 5), (3, 2, 3, 3), 2.0, 1, r"x is \(2, 5\), w is \(3, 2, 3, 3\)"),
        ((1, 2, 5, 5), (3, 4, 3, 3), 2.0, 1, r"x is \(1, 2, 5, 5\), w is \(3, 4, 3, 3\)"),
        ((1, 4, 5, 5), (3, 2, 3, 3), 2.0, 2, "whole groups"),
        ((1, 2, 5, 5), (3, 2, 3, 3), torch.ones(2), 1, r"p is \(2,\)"),
        ((1, 2, 5, 5), (3, 2, 6, 3), 2.0, 1, r"they reach over \(6, 3\) and it has \(5, 5\)"),
        ((1, 2, 5, 5), (0, 2, 3, 3), 2.0, 1, "one kernel or more"),
    ],
)
def test_shapes_that_do_not_fit_are_named(x, w, p, groups, said):
    with pytest.raises(ShapeError, match=said):
        sharpened_cosine_similarity(torch.zeros(x), torch.zeros(w), p, groups=groups)


def test_options_that_name_nothing_are_refused():
    x = torch.zeros(1, 1, 4, 4)
    with pytest.raises(OptionError, match="'sane' came"):
        sharpened_cosine_similarity(x, x, padding="sane")
    with pytest.raises(OptionError, match="'mirror' came"):
        sharpened_cosine_similarity(x, x, padding=1, padding_mode="mirror")
    with pytest.raises(OptionError, match="p is above 0; 0 came"):
        sharpened_cosine_similarity(x, x, 0)
    with pytest.raises(OptionError, match="q is 0 or more; -1 came"):
        sharpened_cosine_similarity(x, x, q=-1)
    with pytest.raises(ShapeError, match="3 came"):
        sharpened_cosine_similarity(x, x, stride=(1, 2, 3))
    with pytest.raises(ShapeError, match="at most once"):
        sharpened_cosine_similarity(x, x, padding=5, padding_mode="circular")
