"""Correlation and convolution: every method against the definition, SciPy as the oracle, and their algebra."""

import numpy as np
import pytest
import scipy.linalg
import scipy.ndimage
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.polynomial.polynomial import polyval

from lab.convolution import BORDERS, METHODS, MODES, block_length, convolve, correlate, correlation_matrix, output_size
from scs.errors import OptionError, ShapeError

NUMBERS = st.floats(-10, 10, allow_subnormal=False)
SCIPY = {"zero": "constant", "circular": "wrap", "reflecting": "reflect"}


def signals(least=1, most=12):
    return st.integers(least, most).flatmap(lambda length: arrays(float, length, elements=NUMBERS))


def pictures(least=1, most=7):
    sides = st.integers(least, most)
    return st.tuples(sides, sides).flatmap(lambda shape: arrays(float, shape, elements=NUMBERS))


@st.composite
def cases(draw):
    """A signal or a picture and a kernel or kernels with channels that need not be smaller than it."""
    axes = draw(st.integers(1, 2))
    size, taps = (tuple(draw(st.integers(1, 9)) for _ in range(axes)) for _ in range(2))
    channels, kernels = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    if draw(st.booleans()):
        return random.normal(size=(channels, *size)), random.normal(size=(kernels, channels, *taps))
    return random.normal(size=size), random.normal(size=taps)


def at_place(x, w, place, border):
    """The sum of the definition at one place, with the kernel's middle on it."""
    total = 0.0
    for tap in np.ndindex(w.shape):
        at = [n + m - taps // 2 for n, m, taps in zip(place, tap, w.shape, strict=True)]
        if border == "circular":
            at = [n % size for n, size in zip(at, x.shape, strict=True)]
        if border == "reflecting":
            at = [n % (2 * size) for n, size in zip(at, x.shape, strict=True)]
            at = [n if n < size else 2 * size - 1 - n for n, size in zip(at, x.shape, strict=True)]
        if all(0 <= n < size for n, size in zip(at, x.shape, strict=True)):
            total += x[tuple(at)] * w[tap]
    return total


def test_the_numbers_of_a_hand_worked_example():
    x = [[1, 2, 3, 0], [0, 1, 2, 3], [3, 0, 1, 2], [2, 3, 0, 1]]
    w = [[2, 0, 1], [0, 1, 2], [1, 0, 2]]
    for method in METHODS:
        assert correlate(x, w, "valid", method=method) == pytest.approx(np.array([[15, 16], [6, 15]]))
    same = [[7, 12, 10, 2], [4, 15, 16, 10], [10, 6, 15, 6], [8, 10, 4, 3]]
    assert correlate(x, w, "same") == pytest.approx(np.array(same))


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("shapes", [((7,), (3,)), ((6,), (4,)), ((3,), (7,)), ((4, 5), (3, 2)), ((2, 3), (4, 5))])
def test_every_place_is_the_sum_of_the_definition(border, shapes):
    random = np.random.default_rng(0)
    x, w = (random.integers(-9, 10, shape).astype(float) for shape in shapes)
    expected = np.array([at_place(x, w, place, border) for place in np.ndindex(x.shape)]).reshape(x.shape)
    assert correlate(x, w, "same", border) == pytest.approx(expected)


@given(cases(), st.sampled_from(MODES), st.sampled_from(BORDERS))
@settings(deadline=None)
def test_every_method_gives_the_same_to_1e_minus_5(case, mode, border):
    x, w = case
    axes = x.ndim - (w.ndim > x.ndim)
    if mode == "valid" and any(np.array(w.shape[-axes:]) > x.shape[-axes:]):
        with pytest.raises(ShapeError, match="must fit inside"):
            correlate(x, w, mode, border)
        return
    for slide in (correlate, convolve):
        first, *others = (slide(x, w, mode, border, method) for method in METHODS)
        assert first.shape[-axes:] == output_size(x.shape[-axes:], w.shape[-axes:], mode)
        for other in others:
            assert np.abs(other - first).max() < 1e-5


@pytest.mark.parametrize("mode", MODES)
def test_zeros_beyond_the_border_agree_with_scipy_signal(mode):
    random = np.random.default_rng(1)
    for shapes in [((9,), (4,)), ((8,), (5,)), ((6, 9), (3, 4))]:
        x, w = (random.normal(size=shape) for shape in shapes)
        assert correlate(x, w, mode) == pytest.approx(scipy.signal.correlate(x, w, mode))
    x, w = random.normal(size=(6, 9)), random.normal(size=(3, 5))
    assert convolve(x, w, mode) == pytest.approx(scipy.signal.convolve(x, w, mode))


@pytest.mark.parametrize("border", BORDERS)
def test_every_border_agrees_with_scipy_ndimage(border):
    random = np.random.default_rng(2)
    x, w = random.normal(size=(7, 6)), random.normal(size=(4, 3))
    assert correlate(x, w, "same", border) == pytest.approx(scipy.ndimage.correlate(x, w, mode=SCIPY[border]))


def test_channels_are_summed_and_every_kernel_has_its_map():
    random = np.random.default_rng(3)
    x, w = random.normal(size=(3, 6, 7)), random.normal(size=(4, 3, 3, 2))
    expected = [sum(correlate(x[c], w[k, c], "valid") for c in range(3)) for k in range(4)]
    assert correlate(x, w, "valid") == pytest.approx(np.array(expected))


@given(signals(), signals(), st.floats(-1, 1))
def test_full_convolution_commutes_and_is_the_product_of_polynomials(x, w, at):
    product = convolve(x, w, "full")
    assert np.allclose(product, convolve(w, x, "full"))
    assert np.isclose(polyval(at, product), polyval(at, x) * polyval(at, w), atol=1e-6)


@given(pictures(), pictures())
@settings(deadline=None)
def test_full_convolution_of_pictures_commutes(x, w):
    assert np.allclose(convolve(x, w, "full"), convolve(w, x, "full"))


@given(pictures(most=5), pictures(most=4), pictures(most=4))
@settings(deadline=None)
def test_full_convolution_is_associative(x, v, w):
    one = convolve(convolve(x, v, "full"), w, "full")
    assert np.allclose(one, convolve(x, convolve(v, w, "full"), "full"))


@given(
    arrays(float, (2, 3, 4), elements=NUMBERS),
    arrays(float, (2, 2, 3), elements=NUMBERS),
    NUMBERS,
    st.sampled_from(MODES),
    st.sampled_from(BORDERS),
)
@settings(deadline=None)
def test_it_is_linear_in_the_signal_and_in_the_kernel(x, w, factor, mode, border):
    def slide(x, w):
        return convolve(x, w, mode, border)

    assert np.allclose(slide(x[0] + factor * x[1], w[0]), slide(x[0], w[0]) + factor * slide(x[1], w[0]))
    assert np.allclose(slide(x[0], w[0] + factor * w[1]), slide(x[0], w[0]) + factor * slide(x[0], w[1]))


@given(pictures(), pictures(most=3), st.tuples(st.integers(-5, 5), st.integers(-5, 5)))
@settings(deadline=None)
def test_a_circular_border_lets_it_commute_with_shifts(x, w, shift):
    shifted = correlate(np.roll(x, shift, (0, 1)), w, "same", "circular")
    assert np.allclose(shifted, np.roll(correlate(x, w, "same", "circular"), shift, (0, 1)))


def test_the_matrix_of_a_signal_is_toeplitz_and_with_a_circular_border_circulant():
    w = np.array([1.0, 2.0, 3.0])
    toeplitz = correlation_matrix(w, (6,)).toarray()
    assert np.array_equal(toeplitz, scipy.linalg.toeplitz([2, 1, 0, 0, 0, 0], [2, 3, 0, 0, 0, 0]))
    circulant = correlation_matrix(w, (6,), border="circular").toarray()
    assert np.array_equal(circulant, scipy.linalg.circulant([2, 1, 0, 0, 0, 3]))


def test_a_row_of_the_matrix_holds_the_kernel_and_nothing_else():
    w = np.random.default_rng(4).normal(size=(3, 3))
    matrix = correlation_matrix(w, (32, 32), "valid")
    assert matrix.shape == (900, 1024) and matrix.nnz == 900 * 9
    assert np.allclose(np.sort(matrix.data.reshape(900, 9)), np.sort(w.ravel()))


@pytest.mark.parametrize("shapes", [((70_000,), (9,)), ((3, 300, 280), (2, 3, 4, 5))])
def test_overlap_save_of_several_blocks_is_the_definition(shapes):
    x, w = (np.random.default_rng(5).normal(size=shape) for shape in shapes)
    axes = x.ndim - (w.ndim > x.ndim)
    assert any(block_length(w.shape[-1], length, axes) < length for length in x.shape[-axes:])
    for mode in MODES:
        assert np.abs(correlate(x, w, mode, method="overlap-save") - correlate(x, w, mode)).max() < 1e-9


@given(st.integers(1, 200), st.integers(1, 5000), st.integers(1, 2))
def test_a_block_of_overlap_save_holds_the_kernel_and_is_a_power_of_two(taps, places, axes):
    length = block_length(taps, places, axes)
    assert length >= taps and length & (length - 1) == 0


@pytest.mark.parametrize(
    "shapes", [((), ()), ((3,), (2, 2)), ((3, 3), (2,)), ((2, 3, 3), (1, 3, 2, 2)), ((1, 2, 3, 3), (1, 1, 2, 2))]
)
def test_shapes_that_do_not_fit_are_refused(shapes):
    x, w = (np.zeros(shape) for shape in shapes)
    for slide in (correlate, convolve):
        with pytest.raises(ShapeError, match="x and w are .* came"):
            slide(x, w)


def test_a_signal_of_nothing_and_names_of_nothing_are_refused():
    with pytest.raises(ShapeError, match="at least one sample"):
        correlate([], [1.0])
    with pytest.raises(ShapeError, match="kernels are"):
        correlation_matrix(np.zeros((2, 3)), (5,))
    for option in ("mode", "border", "method"):
        with pytest.raises(OptionError, match=f"no {option} 'best'; there are: "):
            correlate([1.0, 2.0], [1.0], **{option: "best"})
