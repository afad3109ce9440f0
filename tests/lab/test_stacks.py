"""A stack of kernels is the product of its polynomials, and a kernel comes apart at its roots."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from lab.stacks import compose_kernels, factor_kernel
from scs.errors import OptionError, ShapeError

taps = st.floats(-10, 10).map(lambda x: round(x, 2))
signals = arrays(float, st.integers(1, 9), elements=taps)
images = arrays(float, array_shapes(min_dims=2, max_dims=2, max_side=5), elements=taps)


def drawn(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


@given(st.lists(signals, min_size=1, max_size=4))
def test_a_stack_of_kernels_is_the_product_of_their_polynomials(kernels):
    product = np.polynomial.Polynomial([1.0])
    for kernel in kernels:
        product = product * np.polynomial.Polynomial(kernel)
    size = sum(map(len, kernels)) - len(kernels) + 1
    expected = np.pad(product.coef, (0, size - len(product.coef)))
    np.testing.assert_allclose(compose_kernels(kernels), expected, atol=1e-6)


@given(images, images)
def test_of_images_it_is_the_product_of_polynomials_in_two_unknowns(first, second):
    x, y = np.random.default_rng(0).uniform(-1, 1, (2, 30))
    of_first, of_second, of_both = (
        np.polynomial.polynomial.polyval2d(x, y, each) for each in (first, second, compose_kernels([first, second]))
    )
    np.testing.assert_allclose(of_both, of_first * of_second, atol=1e-9)


@given(signals, signals, st.integers(3, 12))
def test_circular_layers_are_the_same_product_wrapped_round(first, second, period):
    matrices = [
        sum(tap * np.roll(np.eye(period), i, axis=0) for i, tap in enumerate(kernel)) for kernel in (first, second)
    ]
    signal = drawn(period)
    spectrum = np.fft.fft(compose_kernels([first, second], period=period))
    answer = np.fft.ifft(spectrum * np.fft.fft(signal)).real
    np.testing.assert_allclose(answer, matrices[1] @ matrices[0] @ signal, atol=1e-6)


def test_strides_spread_what_comes_after_them():
    signal, kernels, strides = drawn(60), [drawn(3), drawn(2), drawn(4)], [2, 3, 1]
    answer = signal
    for kernel, stride in zip(kernels, strides, strict=True):
        answer = np.correlate(answer, kernel)[::stride]
    whole = compose_kernels(kernels, strides=strides)
    assert len(whole) == 1 + 2 + 1 * 2 + 3 * 6
    np.testing.assert_allclose(np.correlate(signal, whole)[::6], answer)


@given(arrays(float, st.integers(1, 15), elements=taps))
def test_the_factors_of_a_kernel_make_it_up(kernel):
    assume(kernel.any())
    factors = factor_kernel(kernel)
    assert sorted(map(len, factors), reverse=True)[: len(kernel) // 2] == [3] * ((len(kernel) - 1) // 2) + [2] * (
        len(kernel) % 2 == 0
    )
    largest = np.abs(kernel).max()
    np.testing.assert_allclose(compose_kernels(factors), kernel, atol=1e-7 * largest)
    period = len(kernel) + 3
    np.testing.assert_allclose(compose_kernels(factors, period=period), np.pad(kernel, (0, 3)), atol=1e-7 * largest)


def test_a_pair_of_complex_roots_is_one_real_kernel():
    square, cross = [2.0, -2.0, 1.0], [5.0, 2.0, 1.0]  # roots 1 ± i and -1 ± 2i
    factors = [factor / factor[-1] for factor in factor_kernel(np.convolve(square, cross))]
    np.testing.assert_allclose(sorted(map(list, factors)), sorted([square, cross]))


def test_a_gaussian_of_5x5_is_two_of_3x3_and_a_sobel_too_comes_apart():
    line = np.array([1.0, 2.0, 1.0])
    blur = compose_kernels([np.outer(line, line)] * 2)
    factors = factor_kernel(blur)
    assert [factor.shape for factor in factors] == [(3, 3), (3, 3)]
    np.testing.assert_allclose(compose_kernels(factors), blur, atol=1e-6)
    sobel = np.outer([1.0, 2.0, 1.0], [-1.0, 0.0, 1.0])
    (same,) = factor_kernel(sobel)
    np.testing.assert_allclose(same, sobel, atol=1e-9)


@given(images)
def test_an_image_comes_apart_where_it_is_separable_and_is_refused_where_it_is_not(kernel):
    assume(kernel.any())
    strengths = np.linalg.svd(kernel, compute_uv=False)
    if len(strengths) > 1 and strengths[1] > 1e-6 * strengths[0]:
        with pytest.raises(
            OptionError, match="of two dimensions, only a kernel of rank 1 comes apart; one of a higher rank came"
        ):
            factor_kernel(kernel)
    else:
        np.testing.assert_allclose(compose_kernels(factor_kernel(kernel)), kernel, atol=1e-6 * np.abs(kernel).max())


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda: factor_kernel([0.0, 0.0]), OptionError, "a tap other than 0 is needed; all are 0"),
        (lambda: factor_kernel(np.ones((2, 2, 2))), ShapeError, r"\(L,\) or \(H, W\) is needed; .* \(2, 2, 2\) came"),
        (lambda: compose_kernels([]), ShapeError, "none and 0 came"),
        (lambda: compose_kernels([[1.0], [[1.0]]]), ShapeError, r"\(1,\), \(1, 1\) and 2 came"),
        (lambda: compose_kernels([[1.0]], strides=[1, 2]), ShapeError, r"\(1,\) and 2 came"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_came(call, error, message):
    with pytest.raises(error, match=message):
        call()
