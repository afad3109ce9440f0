"""Every image of a batch is moved and mirrored by its own luck, and the generator decides it."""

import numpy as np
import pytest
import torch

from models.training.augmentation import mirror, shift

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
