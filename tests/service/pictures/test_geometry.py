"""A picture comes to a network's size as torchvision and Ultralytics would bring it there, byte for byte."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError
from skimage import data

from models.cards.card import GeometryCard
from scs.errors import TooLargeError
from service.pictures.geometry import fit
from service.pictures.picture import Picture, Region

MEGAPIXEL = 1_000_000
FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
SIZES = [(451, 300), (300, 451), (255, 256), (640, 33), (20, 30), (224, 224), (257, 999), (1, 1)]
sides = st.integers(1, 70)


def card(mode, interpolation="bilinear", antialias=True, **others):
    return GeometryCard(mode=mode, interpolation=interpolation, antialias=antialias, **others)


def noise(width, height, channels=3):
    return np.random.default_rng(width * height).integers(0, 256, (height, width, channels)).astype(np.uint8)


def picture(pixels):
    return Picture(pixels, pixels.shape[1], pixels.shape[0])


def fitted(pixels, target, geometry, most=MEGAPIXEL):
    return fit(picture(pixels), target, geometry, most)


def torchvision_crop(pixels, shorter_side, size, interpolation):
    """Resize(shorter_side, antialias) and CenterCrop(size) of a Pillow picture, by their published rules."""
    image = Image.fromarray(pixels)
    short, long = sorted(image.size)
    sides = (shorter_side, int(shorter_side * long / short))
    image = image.resize(sides if image.width <= image.height else sides[::-1], FILTERS[interpolation])
    width, height = size
    across, down = max(0, width - image.width), max(0, height - image.height)
    padded = Image.new("RGB", (image.width + across, image.height + down))
    padded.paste(image, (across // 2, down // 2))
    top, left = int(round((padded.height - height) / 2.0)), int(round((padded.width - width) / 2.0))
    return np.asarray(padded.crop((left, top, left + width, top + height)))


def ultralytics_letterbox(pixels, size):
    """LetterBox of Ultralytics, by its published rule, grey 114."""
    (height, width), (across, down) = pixels.shape[:2], size
    ratio = min(down / height, across / width)
    unpadded = round(width * ratio), round(height * ratio)
    dw, dh = (across - unpadded[0]) / 2, (down - unpadded[1]) / 2
    if (width, height) != unpadded:
        pixels = cv2.resize(pixels, unpadded, interpolation=cv2.INTER_LINEAR)
    borders = round(dh - 0.1), round(dh + 0.1), round(dw - 0.1), round(dw + 0.1)
    return cv2.copyMakeBorder(pixels, *borders, cv2.BORDER_CONSTANT, value=(114, 114, 114))


@pytest.mark.parametrize("interpolation", FILTERS)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_a_crop_is_that_of_torchvision(size, interpolation):
    pixels = noise(*size)
    geometry = card("crop", interpolation, shorter_side=64)
    for target in [(56, 56), (64, 64), (40, 63), (90, 33)]:
        came = fitted(pixels, target, geometry).pixels
        np.testing.assert_array_equal(came, torchvision_crop(pixels, 64, target, interpolation))


@given(sides, sides, st.integers(1, 40), st.tuples(sides, sides))
def test_a_crop_of_any_size_is_that_of_torchvision(width, height, shorter_side, target):
    pixels = noise(width, height)
    came = fitted(pixels, target, card("crop", "bicubic", shorter_side=shorter_side)).pixels
    np.testing.assert_array_equal(came, torchvision_crop(pixels, shorter_side, target, "bicubic"))


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("target", [(64, 64), (96, 41), (33, 90)], ids=str)
def test_a_letterbox_is_that_of_ultralytics(size, target):
    if min(round(side * min(target[0] / size[0], target[1] / size[1])) for side in size) < 1:
        pytest.skip("Ultralytics leaves nothing of it")
    pixels = noise(*size)
    came = fitted(pixels, target, card("letterbox", antialias=False, fill=114)).pixels
    np.testing.assert_array_equal(came, ultralytics_letterbox(pixels, target))


@pytest.mark.parametrize("interpolation", FILTERS)
def test_a_stretch_is_that_of_pillow(interpolation):
    came = fitted(data.chelsea(), (50, 70), card("stretch", interpolation))
    np.testing.assert_array_equal(came.pixels, Image.fromarray(data.chelsea()).resize((50, 70), FILTERS[interpolation]))
    assert came.part is None and came.region == Region(0, 0, 451, 300)


@pytest.mark.parametrize("interpolation", FILTERS)
def test_without_antialiasing_stripes_are_not_averaged(interpolation):
    stripes = np.zeros((120, 120, 3), np.uint8)
    stripes[:, ::3] = 255
    smooth, sharp = (fitted(stripes, (40, 40), card("stretch", interpolation, antialias=on)) for on in (True, False))
    assert sharp.pixels.std() == 0, "every third column was met, or missed"
    assert set(np.unique(sharp.pixels)) <= {0, 255}
    if interpolation != "nearest":
        assert 60 < smooth.pixels[5:-5, 5:-5].mean() < 110


def test_a_number_scales_the_longer_side_and_cuts_nothing():
    came = fitted(data.chelsea(), 100, card("crop", "lanczos", shorter_side=64))
    np.testing.assert_array_equal(
        came.pixels, Image.fromarray(data.chelsea()).resize((100, 67), Image.Resampling.LANCZOS)
    )
    assert came.part is None


@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize("mode", ["stretch", "letterbox", "crop"])
def test_a_grey_picture_is_fitted_as_each_channel_of_a_coloured_one(mode, antialias):
    geometry = card(mode, antialias=antialias, shorter_side=40 if mode == "crop" else None)
    grey = noise(90, 61, 1)
    coloured = fitted(np.repeat(grey, 3, 2), (32, 48), geometry).pixels
    came = fitted(grey, (32, 48), geometry).pixels
    assert came.shape == (48, 32, 1)
    np.testing.assert_array_equal(np.repeat(came, 3, 2), coloured)


@pytest.mark.parametrize("mode", ["crop", "letterbox"])
@pytest.mark.parametrize(("width", "height"), [(250, 120), (120, 250), (31, 20), (20, 31)])
def test_the_part_says_where_in_the_picture_each_pixel_came_from(width, height, mode):
    across, down = np.meshgrid(np.arange(width), np.arange(height))
    pixels = np.stack([across, down, across], -1).astype(np.uint8)
    came = fitted(pixels, (64, 48), card(mode, shorter_side=70 if mode == "crop" else None))
    x, y = (
        start + (np.arange(cells) + 0.5) * length / cells - 0.5
        for start, length, cells in zip(came.region[:2], came.region[2:], (64, 48), strict=True)
    )
    columns, rows = (x > 5) & (x < width - 6), (y > 5) & (y < height - 6)  # borders and padding are no measure
    seen = came.pixels[rows][:, columns]
    assert seen.size
    np.testing.assert_allclose(seen[..., 0].mean(0), x[columns], atol=0.6)
    np.testing.assert_allclose(seen[..., 1].mean(1), y[rows], atol=0.6)


def test_all_of_the_picture_is_kept_only_where_it_is_asked_for():
    pixels, geometry = noise(90, 61), card("crop", shorter_side=40)
    assert fitted(pixels, (32, 32), geometry).whole is None
    np.testing.assert_array_equal(fit(picture(pixels), (32, 32), geometry, MEGAPIXEL, keeps_whole=True).whole, pixels)


def test_a_crop_out_of_too_many_pixels_is_refused_before_it_is_scaled():
    with pytest.raises(TooLargeError, match=r"256x2560000, .* at most 1000000"):
        fitted(noise(1, 10_000), (224, 224), card("crop", shorter_side=256))


@pytest.mark.parametrize(
    ("mode", "shorter_side", "message"),
    [("crop", None, "needs a shorter_side"), ("stretch", 256, "'stretch' with shorter_side 256 came")],
)
def test_a_shorter_side_belongs_to_a_crop(mode, shorter_side, message):
    with pytest.raises(ValidationError, match=message):
        card(mode, shorter_side=shorter_side)
