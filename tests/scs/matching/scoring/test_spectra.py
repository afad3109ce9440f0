import numpy as np
import pytest

from scs.matching.scoring.spectra import inverse, multiply, transform


@pytest.mark.parametrize("shape", [(1, 2), (1, 16), (2, 2), (8, 10), (64, 4)])
@pytest.mark.parametrize(("dtype", "error"), [(np.float32, 1e-5), (np.float64, 1e-13)])
def test_a_product_of_spectra_is_the_spectrum_of_the_circular_convolution(shape, dtype, error):
    rng = np.random.default_rng(0)
    first, second = (rng.normal(size=shape).astype(dtype) for _ in range(2))
    spectra = [transform(block, np.empty_like(block)) for block in (first, second)]
    product = multiply(*spectra, np.empty(shape, dtype))
    expected = sum(
        first[row, column] * np.roll(second, (row, column), (0, 1))
        for row in range(shape[0])
        for column in range(shape[1])
    )
    assert np.abs(inverse(product, product) - expected).max() < error * np.abs(expected).max()
    assert product.dtype == dtype
