import struct
import zlib

import numpy as np
import pytest

from scs.errors import ImageError, UnsupportedImageError
from service.pictures.decode import decode_cutout, decode_image
from tests.service.pictures.png_files import GREY, PALETTE, RGB, RGBA, chunk, write_png

MEGAPIXEL = 1_000_000


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 256, (300, 40, 4), np.uint8)


def decode(data):
    return decode_image(data, channels=3, max_pixels=MEGAPIXEL).pixels


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("colour_type", [GREY, RGB, RGBA])
def test_a_png_with_some_of_its_rows_is_refused(pixels, colour_type, interlaced):
    kept = pixels[..., : {GREY: 1, RGB: 3, RGBA: 4}[colour_type]] // 2
    assert decode(write_png(kept, colour_type, 8, interlaced=interlaced)).shape == (300, 40, 3)
    with pytest.raises(ImageError, match="truncated"):
        decode(write_png(kept, colour_type, 8, interlaced=interlaced, rows=10))


@pytest.mark.parametrize("name", [b"tEXt", b"pHYs", b"gAMA", b"iCCP", b"zTXt", b"eXIf"])
def test_a_wrong_checksum_of_what_does_not_matter_is_no_trouble(pixels, name):
    data = write_png(pixels[..., :3], RGB, 8, chunk(name, b"Comment\0\0whatever", checksum=7))
    assert np.array_equal(decode(data), pixels[..., :3])


@pytest.mark.parametrize("name", [b"IDAT", b"PLTE", b"IHDR"])
def test_a_wrong_checksum_of_what_does_matter_is_refused(pixels, name):
    palette = chunk(b"PLTE", bytes(range(256)) * 3)
    data = bytearray(write_png(pixels[..., :1], PALETTE, 8, palette))
    at = data.index(name)
    data[at + 4 + int.from_bytes(data[at - 4 : at])] ^= 1
    with pytest.raises(ImageError):
        decode(bytes(data))


def test_a_png_without_its_end_marker_is_whole(pixels):
    assert np.array_equal(decode(write_png(pixels[..., :3], RGB, 8)[:-12]), pixels[..., :3])


def test_pixels_in_many_chunks_are_one_picture(pixels):
    data = write_png(pixels[..., :3], RGB, 8)
    at = data.index(b"IDAT")
    length = int.from_bytes(data[at - 4 : at])
    body = data[at + 4 : at + 4 + length]
    parts = b"".join(chunk(b"IDAT", body[i : i + 1000]) for i in range(0, length, 1000))
    assert np.array_equal(decode(data[: at - 4] + parts + chunk(b"IEND", b"")), pixels[..., :3])


@pytest.mark.parametrize("depth", [2, 4, 8, 16])
def test_a_transparent_grey_is_the_mask_of_a_template(depth):
    numbers = np.random.default_rng(1).integers(0, 2**depth, (20, 30, 1))
    data = write_png(numbers, GREY, depth, chunk(b"tRNS", struct.pack(">H", int(numbers[3, 4, 0]))))
    picture, opacity = decode_cutout(data, channels=1, max_pixels=MEGAPIXEL)
    assert np.array_equal(opacity == 0, numbers[..., 0] == numbers[3, 4, 0])
    assert np.abs(picture.pixels[..., 0] - numbers[..., 0] * (255 / (2**depth - 1))).max() <= 1


def test_the_variant_of_apple_is_named():
    data = (
        b"\x89PNG\r\n\x1a\n" + chunk(b"CgBI", bytes(4)) + chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 4, 8, 6, 0, 0, 0))
    )
    with pytest.raises(UnsupportedImageError, match="Apple"):
        decode(data + chunk(b"IDAT", zlib.compress(bytes(68))) + chunk(b"IEND", b""))
