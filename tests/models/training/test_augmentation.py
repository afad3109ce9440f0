"""Every image of a batch is moved and mirrored by its own luck, and the generator decides it."""

import numpy as np
import pytest
import torch

from models.training.augmentation import mirror, photograph, shift

MOST = 2


def draw(count=400):
    """Images without zeros and unlike each other, so that a move can be told from its result."""
    return torch.from_numpy(np.random.default_rng(0).integers(1, 256, (count, 4, 5, 2), np.uint8))


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def moved(image, down, right):
    """Pixel by pixel: what was at (r, c) comes to (r + down, c + right)."""
    out = torch.zeros_like(image)
    for r, c in np.ndindex(*image.shape[:2]):
        if 0 <= r + down < image.shape[0] and 0 <= c + right < image.shape[1]:
            out[r + down, c + right] = image[r, c]
    return out


def test_shift_moves_each_image_by_its_own_amount_within_the_range_and_zeros_come_in():
    images = draw()
    moves = [(down, right) for down in range(-MOST, MOST + 1) for right in range(-MOST, MOST + 1)]
    found = [
        [move for move in moves if torch.equal(came, moved(image, *move))]
        for image, came in zip(images, shift(images, MOST, seeded()), strict=True)
    ]
    assert {len(fitting) for fitting in found} == {1}
    assert {fitting[0] for fitting in found} == set(moves), "every amount along either axis comes up"


def test_a_shift_by_nothing_changes_nothing():
    assert torch.equal(shift(draw(), 0, seeded()), draw())


def test_mirror_turns_about_half_of_the_images_and_leaves_the_others():
    images = draw()
    came = mirror(images, seeded())
    kept = (came == images).all((1, 2, 3))
    turned = (came == torch.from_numpy(images.numpy()[:, :, ::-1].copy())).all((1, 2, 3))
    assert (kept ^ turned).all()
    assert 150 < turned.sum() < 250, "five standard deviations about 200"


@pytest.mark.parametrize("change", [lambda x, g: shift(x, MOST, g), mirror], ids=["shift", "mirror"])
def test_the_generator_decides_and_bytes_stay_bytes(change):
    images = draw()
    first = change(images, seeded())
    assert torch.equal(change(images, seeded()), first)
    assert not torch.equal(change(images, seeded(1)), first)
    assert first.dtype == torch.uint8


def gradient(count=64, height=32, width=48):
    """Pictures whose red says how far right a pixel is and whose green how far down; blue is even."""
    rows, columns = np.mgrid[:height, :width]
    image = np.stack([255 * columns / (width - 1), 255 * rows / (height - 1), np.full(rows.shape, 128.0)], 2)
    return torch.from_numpy(np.repeat(image[None].astype(np.uint8), count, 0))


def test_a_photograph_is_cut_turned_and_relit_within_what_is_said():
    came = photograph(gradient(), (16, 24), seeded())
    assert came.shape == (64, 16, 24, 3) and came.dtype == torch.float32
    assert came.min() >= 0 and came.max() <= 255
    across = (came[:, :, -1, 0] - came[:, :, 0, 0]).mean(1) / 255
    down = (came[:, -1, :, 1] - came[:, 0, :, 1]).mean(1) / 255
    assert across.min() > 0.25 and across.max() < 1.6, "shares of the side, as light may change them"
    assert across.std() > 0.05 and down.std() > 0.05
    slope = (came[:, -1, :, 0] - came[:, 0, :, 0]).mean(1)
    assert (slope > 5).any() and (slope < -5).any(), "turned both ways"
    light = came.mean((1, 2, 3)) / gradient(1).float().mean()
    assert light.min() < 0.9 and light.max() > 1.1


def test_a_grey_photograph_stays_grey_and_the_generator_decides():
    images = gradient()[..., :1]
    first = photograph(images, (20, 20), seeded())
    assert first.shape == (64, 20, 20, 1)
    assert torch.equal(photograph(images, (20, 20), seeded()), first)
    assert not torch.equal(photograph(images, (20, 20), seeded(1)), first)


def test_a_photograph_turned_keeps_its_angles():
    """A square stays one where width and height differ: its corners are right angles in pixels."""
    images = torch.zeros(200, 40, 80, 1, dtype=torch.uint8)
    images[:, 10:30, 30:50] = 255
    seen = photograph(images, (40, 80), seeded())[..., 0] > 100
    for mask in seen:
        rows, columns = np.nonzero(mask.numpy())
        if len(rows) < 50 or rows.min() == 0 or rows.max() == 39 or columns.min() == 0 or columns.max() == 79:
            continue
        ratio = (np.ptp(columns) + 1) / (np.ptp(rows) + 1)
        assert 0.5 < ratio < 2, "no more than it is stretched and turned"
