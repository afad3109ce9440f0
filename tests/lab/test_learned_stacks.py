"""A stack of small circular kernels learns a large one from signals and answers."""

import numpy as np
import pytest

from lab.learned_stacks import apply_stack, learn_stack
from lab.stacks import compose_kernels
from scs.errors import ShapeError

TARGET = np.array([-1.0, 0, -2, 0, 1, 0, 1, 2, 3])


def drawn(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def test_the_layers_do_what_the_product_of_their_polynomials_does():
    kernels, signals = drawn(7, 3), drawn(5, 20)
    kernel = compose_kernels(list(kernels), period=20)
    expected = np.fft.ifft(np.fft.fft(np.roll(kernel, -7)) * np.fft.fft(signals)).real
    np.testing.assert_allclose(apply_stack(kernels, signals), expected, atol=1e-9)


def test_the_loss_is_the_mean_squared_error_of_the_answers_and_never_grows():
    start, signals, answers = drawn(3, 3), drawn(50, 16, seed=1), drawn(50, 16, seed=2)
    learned = learn_stack(start, signals, answers, most=20)
    left = np.mean((apply_stack(learned.kernels, signals) - answers) ** 2)
    assert learned.losses[-1] == pytest.approx(left)
    assert all(later <= earlier for earlier, later in zip(learned.losses, learned.losses[1:], strict=False))


@pytest.mark.parametrize("seed", range(3))
def test_seven_layers_of_three_taps_learn_a_kernel_of_nine(seed):
    signals = drawn(300, 32, seed=100)
    answers = apply_stack([TARGET], signals)
    learned = learn_stack(0.6 * drawn(7, 3, seed=seed), signals, answers)
    assert learned.kernels.shape == (7, 3)
    np.testing.assert_allclose(learned.kernel, np.pad(TARGET, 3), atol=1e-2)


@pytest.mark.parametrize("signals, answers", [((4, 14), (4, 14)), ((4, 20), (4, 21))])
def test_signals_too_short_and_answers_that_do_not_fit_are_refused(signals, answers):
    with pytest.raises(ShapeError, match=r"n at least what kernels \(7, 3\) span; "):
        learn_stack(drawn(7, 3), drawn(*signals), drawn(*answers))
