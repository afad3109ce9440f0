import numpy as np
import pytest
import skimage.data

from lab.kernels.discs import disc_weights
from lab.kernels.fractal import fractal
from lab.kernels.harmonic import circular_harmonics
from lab.kernels.pyramid import scaled_copy
from scs.errors import OptionError


@pytest.fixture(scope="module")
def kernel():
    return skimage.data.camera()[80:144, 200:264]


def ring_of(kernel, **options):
    """The ring of copies in a fractal kernel of depth 1, with norm 1."""
    ground, whole = fractal(kernel, depth=0), fractal(kernel, depth=1, **options)
    # Of F = a (K + R), with K, R and F of norm 1.
    likeness = 2 * np.vdot(whole, ground) ** 2 - 1
    return whole * np.sqrt(2 + 2 * likeness) - ground


def cosine(a, b):
    a, b = a - a.mean(), b - b.mean()
    return np.vdot(a, b) / (np.linalg.norm(a) * np.linalg.norm(b))


def test_depth_nought_is_the_disc_of_the_kernel(kernel):
    ground = fractal(kernel, depth=0)
    assert ground.shape == (64, 64, 1)
    inside = disc_weights(64, 64) == 1
    assert cosine(ground[inside, 0], kernel[inside].astype(float)) == pytest.approx(1)
    assert not ground[disc_weights(64, 64) == 0].any()


@pytest.mark.parametrize("options", [{}, {"depth": 3, "twist": 20}, {"copies": 1, "ratio": 0.2}, {"ratio": 1.0}])
def test_the_norm_is_one_and_each_channel_has_no_mean(options):
    colour = fractal(skimage.data.chelsea()[50:91, 100:161], **options)
    assert colour.shape == (41, 61, 3)
    assert np.linalg.norm(colour) == pytest.approx(1)
    np.testing.assert_allclose(colour.sum((0, 1)), 0, atol=1e-9)


def test_a_copy_is_the_kernel_shrunk_and_touches_the_rim(kernel):
    copy = ring_of(kernel, copies=1, ratio=0.25)[:16, 24:40]
    expected = scaled_copy(fractal(kernel, depth=0), 0.25)
    inside = disc_weights(16, 16) == 1
    assert cosine(copy[inside], expected[inside]) > 0.98


def test_a_copy_turns_with_its_place(kernel):
    ring = ring_of(kernel, copies=4, ratio=0.25)
    upper, left = ring[:16, 24:40], ring[24:40, :16]
    assert cosine(np.rot90(upper), left) > 0.99


def test_a_twist_turns_the_ring(kernel):
    straight, twisted = ring_of(kernel, copies=1, ratio=0.5), ring_of(kernel, copies=1, ratio=0.5, twist=90)
    assert cosine(np.rot90(straight), twisted) > 0.99


def test_twists_add_up_with_depth(kernel):
    """The copy inside the copy is half as large as that and has been turned twice."""
    deep = fractal(kernel, depth=2, copies=1, ratio=0.5, twist=90)
    copy = deep - np.vdot(deep, fractal(kernel, depth=0)) * fractal(kernel, depth=0)
    lying = np.rot90(scaled_copy(fractal(kernel, depth=1, copies=1, ratio=0.5, twist=90), 0.5))
    assert cosine(copy[16:48, :32], lying) > 0.9


@pytest.mark.parametrize("copies", [3, 5])
def test_a_ring_holds_only_orders_that_the_number_of_copies_divides(kernel, copies):
    harmonics = circular_harmonics(ring_of(kernel, copies=copies, ratio=0.5), range(12))
    energies = np.square(np.abs(harmonics)).sum((1, 2, 3))
    others = [order for order in range(12) if order % copies]
    assert energies[others].sum() < 0.02 * energies.sum()


def test_deeper_rings_change_less_and_less(kernel):
    kernels = [fractal(kernel, depth=depth) for depth in range(6)]
    changes = [np.linalg.norm(after - before) for before, after in zip(kernels, kernels[1:], strict=False)]
    assert changes == sorted(changes, reverse=True)
    assert changes[-1] < 0.2 * changes[0]


def test_a_flat_kernel_stays_flat():
    assert not fractal(np.full((20, 20), 200, np.uint8)).any()
    assert not fractal(np.zeros((20, 20))).any()


def test_options_that_make_no_sense_are_refused(kernel):
    for options in ({"depth": -1}, {"copies": 0}, {"ratio": 0}, {"ratio": 1.1}):
        with pytest.raises(OptionError, match="depth >= 0, copies >= 1 and a ratio above 0"):
            fractal(kernel, **options)
