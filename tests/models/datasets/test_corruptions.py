"""Every corruption spoils a picture, the more the severer, and always in the same way."""

import re

import numpy as np
import pytest
import skimage.data

from models.datasets.corruptions import CORRUPTIONS, SEVERITIES, corrupt
from scs.errors import OptionError, ShapeError, UnknownNameError

every = pytest.mark.parametrize("name", CORRUPTIONS)


def crops(height=32, width=32, channels=3, count=40):
    """Pieces of a photograph, shrunk to a quarter so that they have edges."""
    photograph = skimage.data.astronaut()[::4, ::4, :channels]
    random = np.random.default_rng(0)
    corners = random.integers(0, [photograph.shape[0] - height + 1, photograph.shape[1] - width + 1], (count, 2))
    return np.stack([photograph[row : row + height, column : column + width] for row, column in corners])


def changes(images, name):
    """Mean squared difference that each severity makes."""
    return [np.square(corrupt(images, name, s).astype(float) - images).mean() for s in SEVERITIES]


@every
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(28, 28), (32, 32), (47, 33), (96, 96)])
def test_each_severity_changes_the_picture_more_than_the_one_before(name, size, channels):
    made = changes(crops(*size, channels), name)
    assert made[0] > 0 and all(less < more for less, more in zip(made[:-1], made[1:], strict=True)), made


@every
@pytest.mark.parametrize("shape", [(3, 28, 28, 1), (2, 32, 32, 3), (1, 15, 40, 3), (0, 32, 32, 3)])
def test_shape_and_bytes_are_kept_and_the_original_is_left_alone(name, shape):
    images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    before = images.copy()
    for severity in SEVERITIES:
        made = corrupt(images, name, severity)
        assert made.shape == shape and made.dtype == np.uint8 and not np.shares_memory(made, images)
    assert np.array_equal(images, before)


@every
def test_the_seed_and_an_images_number_decide_whatever_follows_it(name):
    images = crops()
    first = corrupt(images, name, 3)
    assert np.array_equal(corrupt(images, name, 3), first)
    assert np.array_equal(corrupt(images[:7], name, 3), first[:7])


@pytest.mark.parametrize("name", ["noise", "occlusion", "shift", "rotation"])
def test_luck_is_each_images_own_and_another_seeds_is_other(name):
    images = np.repeat(crops(count=1), 20, axis=0)
    made = corrupt(images, name, 5)
    assert len(np.unique(made, axis=0)) > 1
    assert not np.array_equal(corrupt(images, name, 5, seed=1), made)


def test_brighter_and_darker_add_and_take_grey_levels_and_stop_at_the_ends():
    images = np.array([0, 100, 200], np.uint8).reshape(1, 1, 3, 1)
    assert corrupt(images, "brighter", 4).ravel().tolist() == [80, 180, 255]
    assert corrupt(images, "darker", 4).ravel().tolist() == [0, 20, 120]


def test_dimmer_scales_the_light_and_contrast_the_distance_to_the_mean():
    images = np.array([0, 100, 200], np.uint8).reshape(1, 1, 3, 1)
    assert corrupt(images, "dimmer", 2).ravel().tolist() == [0, 60, 120]
    assert corrupt(images, "contrast", 2).ravel().tolist() == [40, 100, 160]


def test_contrast_leaves_the_mean_of_each_channel():
    images = crops()
    made = corrupt(images, "contrast", 5)
    assert np.abs(made.mean((1, 2)) - images.mean((1, 2))).max() < 0.5


def test_noise_has_the_standard_deviation_of_its_table():
    grey = np.full((200, 32, 32, 3), 128, np.uint8)
    for severity, deviation in zip(SEVERITIES, CORRUPTIONS["noise"].amounts, strict=True):
        assert corrupt(grey, "noise", severity).std() == pytest.approx(deviation, rel=0.01)


def test_jpeg_keeps_red_red():
    red = np.zeros((1, 32, 32, 3), np.uint8)
    red[..., 0] = 200
    assert np.abs(corrupt(red, "jpeg", 1).astype(int) - red).max() < 5


def test_occlusion_hides_a_square_of_its_side_and_nothing_else():
    black = np.zeros((50, 32, 40, 3), np.uint8)
    for severity, share in zip(SEVERITIES, CORRUPTIONS["occlusion"].amounts, strict=True):
        hidden = corrupt(black, "occlusion", severity).any(3)
        side = round(share * 32)
        for one in hidden:
            rows, columns = np.flatnonzero(one.any(1)), np.flatnonzero(one.any(0))
            assert (len(rows), len(columns), one.sum()) == (side, side, side * side)


def test_a_shift_moves_by_whole_pixels_along_a_row_a_column_or_a_diagonal():
    images = crops(count=60)
    made = corrupt(images, "shift", 2)
    inner = (slice(None), slice(8, 24), slice(8, 24))
    moves = {(down, right) for down in (-2, 0, 2) for right in (-2, 0, 2)} - {(0, 0)}
    seen = set()
    for before, after in zip(images, made, strict=True):
        fits = {m for m in moves if np.array_equal(np.roll(before, m, (0, 1))[inner[1:]], after[inner[1:]])}
        assert fits, "by no such move"
        seen |= fits
    assert seen == moves


def test_a_rotation_turns_by_its_degrees_either_way():
    bar = np.zeros((40, 33, 33, 1), np.uint8)
    bar[:, 15:18] = 255
    for severity, degrees in zip(SEVERITIES, CORRUPTIONS["rotation"].amounts, strict=True):
        found = []
        for image in corrupt(bar, "rotation", severity)[..., 0].astype(float):
            rows, columns = np.mgrid[-16:17, -16:17]
            weight = image * (rows**2 + columns**2 < 150)
            found.append(np.degrees(np.arctan2((weight * rows * columns).sum(), (weight * columns**2).sum())))
        assert np.abs(found) == pytest.approx(degrees, abs=2) and {-1.0, 1.0} == set(np.sign(found))


@pytest.mark.parametrize(
    "arguments, error, said",
    [
        (("fog", 1), UnknownNameError, "no corruption is called 'fog'; there are brighter, darker"),
        (("blur", 0), OptionError, "a severity is one of 1 to 5; 0 came"),
        (("blur", 6), OptionError, "6 came"),
    ],
)
def test_an_unknown_name_or_severity_is_told(arguments, error, said):
    with pytest.raises(error, match=re.escape(said)):
        corrupt(crops(count=1), *arguments)


@pytest.mark.parametrize("images", [np.zeros((2, 8, 8), np.uint8), np.zeros((2, 8, 8, 2), np.uint8), crops() / 255])
def test_what_is_no_such_images_is_told(images):
    with pytest.raises(ShapeError, match=r"images are \(N, H, W, 1 or 3\) uint8"):
        corrupt(images, "blur", 1)
