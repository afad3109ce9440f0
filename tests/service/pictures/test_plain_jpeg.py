import io
import random

import numpy as np
import pytest
from PIL import Image

from scs.errors import ScsError, TooLargeError
from service.pictures.decode import decode_image
from service.pictures.plain_jpeg import decode_plain_jpeg
from tests.service.pictures.icc_profiles import DISPLAY_P3, write_profile

MEGAPIXEL = 1_000_000


def jpeg(pixels, **options):
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", **options)
    return stream.getvalue()


def by_pillow(data, channels):
    image = Image.open(io.BytesIO(data))
    image.draft({1: "L", 3: "RGB"}[channels], None)
    image = image.convert({1: "L", 3: "RGB"}[channels])
    return np.asarray(image).reshape(image.height, image.width, channels)


@pytest.fixture
def small(photograph):
    return np.asarray(Image.fromarray(photograph).resize((75, 50)))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("quality", [30, 75, 95])
def test_a_plain_jpeg_is_what_pillow_makes_of_it(small, channels, grey, subsampling, quality):
    pixels = small[..., 0] if grey else small
    for size in ((75, 50), (32, 32), (7, 3), (1, 1)):
        data = jpeg(np.asarray(Image.fromarray(pixels).resize(size)), subsampling=subsampling, quality=quality)
        np.testing.assert_array_equal(decode_plain_jpeg(data, channels, MEGAPIXEL), by_pillow(data, channels))


@pytest.mark.parametrize(
    "options",
    [
        {"progressive": True},
        {"icc_profile": write_profile(DISPLAY_P3)},
        {"exif": b"Exif\0\0II*\0\x08\0\0\0\0\0"},
        {"xmp": b"<x:xmpmeta/>"},
    ],
)
def test_any_other_jpeg_is_left_to_pillow(small, options):
    assert decode_plain_jpeg(jpeg(small, **options), 3, MEGAPIXEL) is None


def test_cmyk_and_what_lacks_its_end_are_left_to_pillow(small):
    assert decode_plain_jpeg(jpeg(np.asarray(small)[..., [0, 1, 2, 0]].copy()[..., :3])[:-2], 3, MEGAPIXEL) is None
    stream = io.BytesIO()
    Image.fromarray(small).convert("CMYK").save(stream, "JPEG")
    assert decode_plain_jpeg(stream.getvalue(), 3, MEGAPIXEL) is None


def test_a_header_of_more_pixels_is_refused_before_any_is_decoded(small):
    data = bytearray(jpeg(small))
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = b"\xea\x60\xea\x60"
    with pytest.raises(TooLargeError, match="60000x60000"):
        decode_image(bytes(data), channels=3, max_pixels=MEGAPIXEL)


def test_whatever_happens_to_a_file_it_is_refused_or_read_as_pillow_reads_it(small):
    chance = random.Random(0)
    whole = jpeg(small, quality=90)
    read = 0
    for _ in range(1000):
        data = bytearray(whole)
        for _ in range(chance.choice([1, 1, 4])):
            data[chance.randrange(4, len(data))] = chance.randrange(256)
        try:
            decoded = decode_plain_jpeg(bytes(data), 3, MEGAPIXEL)
        except ScsError:
            continue
        if decoded is None:
            continue
        read += 1
        try:
            np.testing.assert_array_equal(decoded, by_pillow(bytes(data), 3))
        except OSError as error:
            raise AssertionError("read what Pillow refuses") from error
    assert read > 100
