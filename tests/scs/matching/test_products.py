"""A product in small pieces is the product, and no piece is large enough for a BLAS to start threads."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scs.matching import products
from scs.matching.products import LARGEST, product

SHAPES = [(60, 113, 2005), (500, 54, 54), (1, 900, 77), (3, 20_000, 5), (400, 2000, 40)]


def matrices(rows, inner, columns):
    random = np.random.default_rng(0)
    return random.normal(size=(rows, inner)).astype(np.float32), random.normal(size=(inner, columns)).astype(np.float32)


def assert_product(left, right):
    expected = left.astype(np.float64) @ right
    np.testing.assert_allclose(product(left, right), expected, rtol=0, atol=1e-6 * max(1, left.shape[1]))


@pytest.mark.parametrize("shape", SHAPES)
def test_pieces_make_the_product(shape):
    assert_product(*matrices(*shape))


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 300))
def test_any_number_of_columns_will_do(rows, inner, columns):
    assert_product(*matrices(rows, inner, columns))


@pytest.mark.parametrize("shape", SHAPES)
def test_no_piece_is_large_enough_for_a_second_thread(shape, monkeypatch):
    multiply, sizes = np.matmul, []

    def counted(left, right, out):
        sizes.append(left.shape[-2] * left.shape[-1] * right.shape[-1])
        return multiply(left, right, out=out)

    monkeypatch.setattr(products.np, "matmul", counted)
    product(*matrices(*shape))
    assert 0 < max(sizes) <= max(LARGEST, 16 * shape[1])


def test_what_goes_without_the_blas_is_what_it_would_be():
    rng = np.random.default_rng(3)
    one, other = rng.normal(size=(2, 20_000))
    np.testing.assert_allclose(products.dot(one, other), one @ other)
