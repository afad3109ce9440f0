import io

import numpy as np
import pytest
from PIL import Image, ImageCms

from service.pictures.colour_profile import to_srgb
from service.pictures.decode import decode_cutout, decode_image
from tests.service.pictures import icc_profiles
from tests.service.pictures.icc_profiles import ADOBE_RGB, DISPLAY_P3, PROPHOTO, SRGB, converted, write_profile

MEGAPIXEL = 1_000_000
SPACES = {"AdobeRGB": ADOBE_RGB, "Display P3": DISPLAY_P3, "ProPhoto": PROPHOTO}
LOSSLESS = [("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True})]


def saved(image, kind, **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def decode(data, channels=3, **options):
    return decode_image(data, channels=channels, max_pixels=MEGAPIXEL, **options).pixels.astype(int)


@pytest.fixture(scope="module")
def colours():
    """Colours that no space is without: far from its edges."""
    levels = np.linspace(70, 180, 12)
    return np.stack(np.meshgrid(levels, levels, levels), -1).reshape(36, 48, 3).astype(np.uint8)


@pytest.mark.parametrize(("kind", "options"), LOSSLESS)
@pytest.mark.parametrize("name", SPACES)
def test_colours_of_another_space_are_converted_to_srgb(colours, name, kind, options):
    data = saved(Image.fromarray(colours), kind, icc_profile=write_profile(SPACES[name]), **options)
    pixels = decode(data)
    assert np.abs(pixels - converted(colours, SPACES[name])).max() <= 3
    assert np.abs(pixels - colours).max() > 5


def test_a_jpeg_is_converted_at_any_size_and_in_grey(photograph):
    image = Image.fromarray(photograph).resize((800, 600))
    data = saved(image, "JPEG", quality=95, icc_profile=write_profile(ADOBE_RGB))
    whole, small, grey = decode(data), decode(data, scale_to=(32, 24)), decode(data, channels=1)
    plain = decode(saved(image, "JPEG", quality=95))
    assert np.abs(whole - converted(plain, ADOBE_RGB).clip(0, 255)).mean() < 1.5
    expected = np.asarray(Image.fromarray(whole.astype(np.uint8)).resize((32, 24), Image.Resampling.BILINEAR))
    assert np.abs(small - expected).mean() < 1
    assert np.abs(grey[..., 0] - whole @ [0.299, 0.587, 0.114]).max() < 1.5


def test_the_profile_of_srgb_changes_nothing(colours):
    for profile in (write_profile(SRGB), ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()):
        assert np.array_equal(decode(saved(Image.fromarray(colours), "PNG", icc_profile=profile)), colours)


@pytest.mark.parametrize(
    "profile", [b"nothing", b"", write_profile(ADOBE_RGB)[:200], write_profile(ADOBE_RGB, grey=True)]
)
def test_a_profile_that_is_of_no_use_is_ignored(colours, profile):
    assert np.array_equal(decode(saved(Image.fromarray(colours), "PNG", icc_profile=profile)), colours)


def test_grey_with_a_power_of_its_own_becomes_srgb_and_stays_grey():
    greys = np.arange(64, 224, dtype=np.uint8).reshape(10, 16)
    profile = write_profile((SRGB[0], icc_profiles.SRGB[1], 1.0), grey=True)
    pixels = decode(saved(Image.fromarray(greys), "PNG", icc_profile=profile), channels=1)[..., 0]
    linear = greys / 255
    expected = 255 * (1.055 * linear ** (1 / 2.4) - 0.055)
    assert np.abs(pixels - expected).max() <= 2


def test_opacity_is_kept_beside_converted_colours(colours):
    alpha = np.arange(36 * 48, dtype=np.uint16).reshape(36, 48).astype(np.uint8)
    data = saved(Image.fromarray(np.dstack([colours, alpha])), "PNG", icc_profile=write_profile(DISPLAY_P3))
    picture, opacity = decode_cutout(data, channels=3, max_pixels=MEGAPIXEL)
    assert np.array_equal(opacity, alpha)
    assert np.abs(picture.pixels - converted(colours, DISPLAY_P3)).max() <= 3


def test_lab_becomes_srgb():
    grey = Image.fromarray(np.full((4, 4, 3), (128, 128, 128), np.uint8)).convert("RGB")
    lab = ImageCms.profileToProfile(
        grey, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
    )
    assert np.abs(np.asarray(to_srgb(lab, None)).astype(int) - 128).max() <= 2
    assert np.abs(decode(saved(lab, "TIFF")) - 128).max() <= 2
