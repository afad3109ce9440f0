"""The layers learn p and q within their range, pool by magnitude, and can be compiled."""

import shutil

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from scs.errors import OptionError
from scs.nn.layers import (
    MaxAbsPool1d,
    MaxAbsPool2d,
    SharpenedCosineSimilarity1d,
    SharpenedCosineSimilarity2d,
)
from scs.nn.similarity import sharpened_cosine_similarity


@pytest.mark.parametrize(
    "layer, shape", [(SharpenedCosineSimilarity1d, (2, 4, 12)), (SharpenedCosineSimilarity2d, (2, 4, 9, 8))]
)
@pytest.mark.parametrize("gain", [False, True])
def test_a_layer_is_a_thin_shell_round_the_function(layer, shape, gain):
    made = layer(4, 6, 3, stride=2, padding="same", groups=2, p=1.5, q=0.2, gain=gain)
    x = torch.randn(shape)
    expected = sharpened_cosine_similarity(x, made.weight, made.p, made.q, stride=2, padding="same", groups=2)
    torch.testing.assert_close(made(x), expected * (made.gain if gain else 1))


def test_p_and_q_start_where_they_are_told_and_stay_in_range_however_far_the_optimiser_goes():
    layer = SharpenedCosineSimilarity2d(1, 3, 3, p=1.5, q=0.2)
    torch.testing.assert_close(layer.p, torch.full((3,), 1.5))
    torch.testing.assert_close(layer.q, torch.tensor(0.2))
    with torch.no_grad():
        layer.raw_p.fill_(-30)
        layer.raw_q.fill_(-30)
    assert (layer.p >= 1).all() and layer.q > 0
    y = layer(torch.randn(1, 1, 6, 6))
    y.square().sum().backward()
    assert layer.raw_p.grad.isfinite().all() and layer.raw_q.grad.isfinite()


def test_nothing_is_clamped_so_p_and_q_always_have_a_gradient():
    layer = SharpenedCosineSimilarity2d(2, 3, 3)
    layer(torch.randn(4, 2, 6, 6)).square().sum().backward()
    assert (layer.raw_p.grad != 0).all() and layer.raw_q.grad != 0


def test_the_lowest_exponent_passes_through_zero_without_a_jump():
    layer = SharpenedCosineSimilarity1d(2, 1, 1, q=1e-4)
    with torch.no_grad():
        layer.raw_p.fill_(-30)
        layer.weight.copy_(torch.tensor([[[1.0], [0.0]]]))
    angle = torch.linspace(-1e-3, 1e-3, 201)
    y = layer(torch.stack([angle, torch.ones(201)]).unsqueeze(0)).flatten()
    assert y.diff().abs().max() < 1.1e-5, "each step is 1e-5 of angle"


def test_the_seed_of_torch_decides_the_kernels():
    made = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        made.append(SharpenedCosineSimilarity2d(3, 4, 3).weight)
    assert torch.equal(made[0], made[1]) and not torch.equal(made[0], made[2])


def test_with_a_gain_random_kernels_keep_the_scale_of_what_they_see():
    torch.manual_seed(0)
    layer = SharpenedCosineSimilarity2d(64, 64, 1, gain=True)
    y = layer(torch.randn(2, 64, 16, 16))
    assert 0.5 < y.square().mean().sqrt() < 2.5


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    "backend, mode",
    [
        ("aot_eager", "circular"),
        ("aot_eager", "zeros"),
        pytest.param("inductor", "zeros", marks=pytest.mark.slow),  # compiles C++ for 20 s
    ],
)
def test_a_compiled_layer_gives_the_same(backend, mode):
    if backend == "inductor" and not shutil.which("g++"):
        pytest.skip("torch's own compiler needs a C++ compiler, g++; there is none")
    torch.manual_seed(0)
    layer = torch.nn.Sequential(
        SharpenedCosineSimilarity2d(4, 8, 3, padding="same", padding_mode=mode, groups=4, gain=True), MaxAbsPool2d(2)
    )
    x = torch.randn(2, 4, 10, 10)
    compiled = torch.compile(layer, backend=backend, fullgraph=True)
    torch.testing.assert_close(compiled(x), layer(x))
    compiled(x).square().sum().backward()
    assert all(p.grad.isfinite().all() for p in layer.parameters())


@given(arrays(np.float32, (1, 2, 6, 6), elements=st.integers(-5, 5)))
@settings(max_examples=50, deadline=None)
def test_pooling_keeps_the_largest_magnitude_with_its_sign(x):
    pooled = MaxAbsPool2d(2)(torch.from_numpy(x)).numpy()
    windows = x.reshape(1, 2, 3, 2, 3, 2).transpose(0, 1, 2, 4, 3, 5).reshape(1, 2, 3, 3, 4)
    positive_first = -np.sort(-windows, -1)
    expected = np.take_along_axis(positive_first, np.abs(positive_first).argmax(-1)[..., None], -1)[..., 0]
    np.testing.assert_array_equal(pooled, expected)


def test_pooling_a_signal_with_stride_and_padding():
    x = torch.tensor([[[1.0, -3.0, 2.0, -2.0, 0.0]]])
    assert MaxAbsPool1d(2)(x).tolist() == [[[-3.0, 2.0]]]
    assert MaxAbsPool1d(3, stride=2, padding=1)(x).tolist() == [[[-3.0, -3.0, -2.0]]]


@pytest.mark.parametrize(
    "options, said",
    [
        ({"p": 0.0}, "p starts above 0; 0.0 came"),
        ({"p": [2.0, 2.0]}, "4 here; 2 came"),
        ({"q": -0.1}, "q starts at 0 or above"),
        ({"groups": 2}, "groups divides"),
        ({"groups": 0}, "1 or more"),
        ({"padding": "sane"}, "'sane' came"),
        ({"padding": -1}, "padding is a whole number, 0 or more"),
        ({"stride": 0}, "stride is a whole number, 1 or more"),
        ({"padding_mode": "mirror"}, "'mirror' came"),
    ],
)
def test_a_start_out_of_range_is_refused(options, said):
    with pytest.raises(OptionError, match=said):
        SharpenedCosineSimilarity2d(3, 4, 3, **options)
