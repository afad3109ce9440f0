"""What the similarities are to each other: every one is a dot product, of patches that something was done to."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scs.matching.scores import score_map


def compare(patch, kernel, method, p=1.0, q=0.0):
    return float(score_map(patch, kernel, method, p=p, q=q).scores[0, 0])


@st.composite
def pairs(draw):
    """A patch and a kernel of one size, neither of them flat."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    size = draw(st.tuples(st.integers(2, 9), st.integers(2, 9)))
    return random.normal(draw(st.floats(-3, 3)), draw(st.floats(0.1, 10)), (2, *size))


@given(pairs())
@settings(deadline=None)
def test_the_cosine_is_the_dot_product_by_both_norms(pair):
    patch, kernel = pair
    norms = np.linalg.norm(patch) * np.linalg.norm(kernel)
    assert compare(patch, kernel, "ccorr") == pytest.approx((patch * kernel).sum(), rel=1e-5, abs=1e-5 * norms)
    assert compare(patch, kernel, "ccorr_normed") == pytest.approx((patch * kernel).sum() / norms, abs=1e-5)


@given(pairs())
@settings(deadline=None)
def test_zncc_is_pearsons_r_is_the_cosine_of_centred_patches(pair):
    patch, kernel = pair
    zncc = compare(patch, kernel, "ccoeff_normed")
    assert zncc == pytest.approx(compare(patch - patch.mean(), kernel - kernel.mean(), "ccorr_normed"), abs=2e-5)
    assert zncc == pytest.approx(np.corrcoef(patch.ravel(), kernel.ravel())[0, 1], abs=2e-5)


@given(pairs(), st.floats(1, 8))
@settings(deadline=None)
def test_scs_is_the_cosine_to_a_power_with_its_sign_and_centred_it_is_pearsons_r(pair, p):
    for similarity, cosine in (("scs", "ccorr_normed"), ("scs_centred", "ccoeff_normed")):
        angle = compare(*pair, cosine)
        assert compare(*pair, similarity) == pytest.approx(angle, abs=2e-5)
        assert compare(*pair, similarity, p=p) == pytest.approx(np.sign(angle) * abs(angle) ** p, abs=1e-3)


@given(pairs())
@settings(deadline=None)
def test_a_squared_difference_is_two_norms_less_two_dot_products(pair):
    patch, kernel = pair
    energies = (patch**2).sum() + (kernel**2).sum()
    expected = energies - 2 * compare(patch, kernel, "ccorr")
    assert compare(patch, kernel, "sqdiff") == pytest.approx(expected, abs=1e-5 * energies)


@given(pairs())
@settings(deadline=None)
def test_a_large_noise_floor_leaves_the_dot_product(pair):
    q = 1e4 * max(np.linalg.norm(each) for each in pair)
    norms = np.linalg.norm(pair[0]) * np.linalg.norm(pair[1])
    expected = compare(*pair, "ccorr") / norms
    assert compare(*pair, "scs", q=q) * q**2 / norms == pytest.approx(expected, abs=1e-3)
