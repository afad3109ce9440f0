"""Kernels with a name, separable ones, and the one that the product blurs by."""

import cv2
import numpy as np
import pytest
import scipy.ndimage
import skimage.data
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.convolution import BORDERS, MODES, correlate
from lab.named_kernels import correlate_separable, gaussian, laplacian, prewitt, separate, sobel
from scs.errors import OptionError, ShapeError
from scs.matching.posing.resolutions import blurred

PHOTOGRAPH = skimage.data.camera()[100:164, 200:280].astype(float)


@pytest.mark.parametrize("axis", [0, 1])
def test_slopes_are_those_of_scipy(axis):
    for ours, theirs in ((sobel, scipy.ndimage.sobel), (prewitt, scipy.ndimage.prewitt)):
        assert correlate(PHOTOGRAPH, ours(axis), "same", "reflecting") == pytest.approx(theirs(PHOTOGRAPH, axis))


def test_a_ramp_has_its_slope_and_no_other():
    ramp = np.arange(8.0) * np.ones((8, 1))
    assert (correlate(ramp, sobel(1), "valid") == 8).all() and (correlate(ramp, prewitt(1), "valid") == 6).all()
    for kernel in (sobel(0), prewitt(0), laplacian()):
        assert (correlate(ramp, kernel, "valid") == 0).all()


def test_the_laplacian_is_that_of_scipy():
    assert correlate(PHOTOGRAPH, laplacian(), "same", "reflecting") == pytest.approx(scipy.ndimage.laplace(PHOTOGRAPH))


@pytest.mark.parametrize("sigma", [0.5, 1.0, 2.3])
def test_the_gaussian_is_that_of_scipy(sigma):
    ours = correlate_separable(PHOTOGRAPH, gaussian(sigma), gaussian(sigma), "same", "reflecting")
    radius = gaussian(sigma).size // 2
    assert ours == pytest.approx(scipy.ndimage.gaussian_filter(PHOTOGRAPH, sigma, radius=radius))


@given(st.tuples(*[st.integers(1, 6)] * 2), st.integers(0, 2**32 - 1), st.sampled_from(MODES), st.sampled_from(BORDERS))
@settings(deadline=None)
def test_a_separable_kernel_is_its_column_and_its_row_one_after_the_other(size, seed, mode, border):
    random = np.random.default_rng(seed)
    kernel = np.outer(*(random.normal(size=side) for side in size))
    picture = random.normal(size=(7, 8))
    both = separate(kernel)
    assert both is not None and np.allclose(np.outer(*both), kernel)
    once = correlate(picture, kernel, mode, border)
    assert np.allclose(correlate_separable(picture, *both, mode, border), once)


def test_of_the_named_kernels_all_but_the_laplacian_are_separable():
    for kernel in (sobel(0), sobel(1), prewitt(0), prewitt(1), np.outer(gaussian(1), gaussian(1))):
        assert separate(kernel) is not None
    assert separate(laplacian()) is None


@pytest.mark.parametrize("sigma", [0.7, 1.4, 3.0])
def test_the_blur_of_the_matching_is_the_gaussian_by_column_and_row(sigma):
    """By OpenCV, which filters columns and rows; here its taps, and that the answer is that of the whole kernel."""
    ours, opencv = gaussian(sigma), cv2.getGaussianKernel(gaussian(sigma).size, sigma)[:, 0]
    assert ours == pytest.approx(opencv)
    inside = correlate(PHOTOGRAPH, np.outer(ours, ours), "valid")
    margin = ours.size // 2
    assert blurred(PHOTOGRAPH, sigma)[margin:-margin, margin:-margin] == pytest.approx(inside, abs=1e-3)


def test_options_out_of_range_are_refused():
    for sigma in (0, -1, np.nan, np.inf):
        with pytest.raises(OptionError, match="sigma is a number of samples above 0"):
            gaussian(sigma)
    with pytest.raises(OptionError, match="a radius is 0 or more"):
        gaussian(1, -1)
    with pytest.raises(OptionError, match="axis 0, down, or 1, across; 2 came"):
        sobel(2)
    with pytest.raises(ShapeError, match=r"\(h, w\); \(3,\) came"):
        separate(np.ones(3))
