"""A matrix that commutes with a shift is a circular convolution, and a descent on nothing else finds one."""

from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lab.circulants import (
    circulant,
    circulant_distance,
    in_fourier_basis,
    nearest_circulant,
    off_diagonal_energy,
    shift_error,
    towards_equivariance,
)
from scs.errors import ShapeError

numbers = st.floats(-10, 10).map(lambda x: round(x, 3))
sizes = st.integers(2, 12)
kernels = sizes.flatmap(lambda n: arrays(float, n, elements=numbers))
pairs = sizes.flatmap(lambda n: st.tuples(*[arrays(float, n, elements=numbers)] * 2))
matrices = sizes.flatmap(lambda n: arrays(float, (n, n), elements=numbers)).filter(np.any)


def shift_matrix(n):
    """What moves a signal of n samples on by one place, around its ends."""
    return np.roll(np.eye(n), 1, axis=0)


def drawn(n, seed=0):
    return np.random.default_rng(seed).normal(size=(n, n))


def reached(start, tolerance=1e-3, momentum=None):
    """The matrix at which the descent is near enough, and after how many steps."""
    for taken, matrix in enumerate(islice(towards_equivariance(start, momentum), 20_000)):
        if circulant_distance(matrix) < tolerance:
            return matrix, taken
    raise AssertionError("the descent does not get there")


def circular_convolution(a, b):
    return np.array([sum(a[j] * b[(i - j) % len(b)] for j in range(len(a))) for i in range(len(a))])


@given(kernels)
def test_each_column_of_a_circulant_is_the_kernel_moved_on_by_one(kernel):
    columns = [np.roll(kernel, j) for j in range(len(kernel))]
    np.testing.assert_array_equal(circulant(kernel), np.array(columns).T)


@given(pairs)
def test_a_circulant_times_a_signal_is_their_circular_convolution(pair):
    kernel, signal = pair
    np.testing.assert_allclose(circulant(kernel) @ signal, circular_convolution(kernel, signal), atol=1e-9)


@given(pairs)
def test_circulants_commute_and_their_product_is_the_circulant_of_the_convolution(pair):
    a, b = map(circulant, pair)
    np.testing.assert_allclose(a @ b, b @ a, atol=1e-9)
    np.testing.assert_allclose(a @ b, circulant(circular_convolution(*pair)), atol=1e-9)


@given(kernels.filter(np.any))
def test_a_circulant_commutes_with_the_shift_and_is_its_own_nearest(kernel):
    matrix, shift = circulant(kernel), shift_matrix(len(kernel))
    np.testing.assert_array_equal(matrix @ shift, shift @ matrix)
    assert shift_error(matrix) == 0
    np.testing.assert_allclose(nearest_circulant(matrix), kernel, atol=1e-12)


@given(kernels)
def test_the_fourier_basis_makes_a_circulant_diagonal_with_the_transform_of_its_kernel(kernel):
    np.testing.assert_allclose(in_fourier_basis(circulant(kernel)), np.diag(np.fft.fft(kernel)), atol=1e-9)


@given(matrices)
def test_the_shift_error_is_what_its_formula_says(matrix):
    shift = shift_matrix(len(matrix))
    by_formula = np.linalg.norm(matrix @ shift - shift @ matrix) / np.linalg.norm(matrix)
    assert shift_error(matrix) == pytest.approx(by_formula, abs=1e-12)


@given(matrices, st.data())
def test_no_circulant_is_nearer_than_the_nearest(matrix, data):
    nearest = circulant(nearest_circulant(matrix))
    other = circulant(data.draw(arrays(float, len(matrix), elements=numbers)))
    assert np.sum((matrix - nearest) * other) == pytest.approx(0, abs=1e-7), "what is left is orthogonal to all"
    assert np.linalg.norm(matrix - nearest) <= np.linalg.norm(matrix - other) + 1e-9


@given(matrices)
def test_to_keep_the_diagonal_in_the_fourier_basis_is_to_project(matrix):
    kept = np.diag(in_fourier_basis(matrix))
    np.testing.assert_allclose(np.fft.ifft(kept), nearest_circulant(matrix), atol=1e-9)
    assert off_diagonal_energy(matrix) == pytest.approx(circulant_distance(matrix) ** 2, abs=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_a_random_matrix_of_100_becomes_circulant_in_at_most_300_steps(seed):
    matrix, taken = reached(drawn(100, seed))
    assert taken <= 300
    assert circulant_distance(matrix) < 1e-3 and off_diagonal_energy(matrix) < 1e-6
    assert shift_error(matrix) < 1e-3 < 1 < shift_error(drawn(100, seed))


@pytest.mark.parametrize("momentum", [None, 0.0], ids=["with momentum", "plain"])
def test_the_descent_ends_in_the_nearest_circulant_of_its_start_scaled_to_the_norm_of_the_start(momentum):
    start = drawn(24)
    end, _ = reached(start, 1e-9, momentum)
    nearest = circulant(nearest_circulant(start))
    np.testing.assert_allclose(end, nearest * np.linalg.norm(start) / np.linalg.norm(nearest), atol=1e-7)


def test_the_nearest_circulant_keeps_its_direction_at_every_step():
    first, *others = (nearest_circulant(matrix) for matrix in islice(towards_equivariance(drawn(24)), 50))
    for kernel in others:
        assert kernel @ first == pytest.approx(np.linalg.norm(kernel) * np.linalg.norm(first))


def test_plain_descent_on_the_numerator_alone_ends_in_the_nearest_circulant_itself():
    matrix, shift = drawn(12), shift_matrix(12)
    nearest = nearest_circulant(matrix)
    for _ in range(600):
        left = matrix @ shift - shift @ matrix
        matrix = matrix - 0.25 * (left @ shift.T - shift.T @ left)
    np.testing.assert_allclose(matrix, circulant(nearest), atol=1e-9)


def test_scaling_each_entry_by_itself_as_adam_does_ends_in_another_circulant():
    torch = pytest.importorskip("torch", reason="needs torch, from the extra `train`")
    start, shift = drawn(12), torch.from_numpy(shift_matrix(12))
    matrix = torch.from_numpy(start.copy()).requires_grad_()
    adam = torch.optim.Adam([matrix], lr=0.01)
    for _ in range(2000):
        adam.zero_grad()
        ((matrix @ shift - shift @ matrix).square().sum() / matrix.square().sum()).backward()
        adam.step()
    end, nearest = matrix.detach().numpy(), nearest_circulant(start)
    assert circulant_distance(end) < 1e-3
    kernel = nearest_circulant(end)
    assert kernel @ nearest < 0.99 * np.linalg.norm(kernel) * np.linalg.norm(nearest)


def test_momentum_takes_less_than_a_tenth_of_the_steps():
    start = drawn(64)
    assert 10 * reached(start)[1] < reached(start, momentum=0.0)[1]


@pytest.mark.parametrize("measure", [nearest_circulant, circulant_distance, shift_error, off_diagonal_energy])
def test_a_matrix_that_is_not_square_is_refused(measure):
    with pytest.raises(ShapeError, match=r"a square matrix \(n, n\) is needed; one of shape \(2, 3\) came"):
        measure(np.ones((2, 3)))


def test_a_kernel_of_two_dimensions_is_refused():
    with pytest.raises(ShapeError, match=r"a circulant is made of a kernel \(n,\); one of shape \(2, 3\) came"):
        circulant(np.ones((2, 3)))
