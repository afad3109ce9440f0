import io
import random
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from scs.errors import ScsError
from service.pictures.decode import decode_image
from service.pictures.png import decode_plain_png


def png(pixels, **options):
    buffer = io.BytesIO()
    Image.fromarray(pixels.squeeze()).save(buffer, "PNG", **options)
    return buffer.getvalue()


def with_chunk(data, name, body):
    """The file with a chunk more, behind its header."""
    checksum = struct.pack(">I", zlib.crc32(name + body))
    return data[:33] + struct.pack(">I", len(body)) + name + body + checksum + data[33:]


def by_pillow(data, channels):
    image = Image.open(io.BytesIO(data)).convert({1: "L", 3: "RGB"}[channels])
    return np.asarray(image).reshape(image.height, image.width, channels)


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 256, (13, 17, 3), np.uint8)


@pytest.mark.parametrize(("kept", "channels"), [(3, 3), (1, 1), (1, 3)])
@pytest.mark.parametrize("compress_level", [0, 6])
def test_a_plain_png_is_what_pillow_makes_of_it(pixels, kept, channels, compress_level):
    data = png(pixels[..., :kept], compress_level=compress_level)
    decoded = decode_plain_png(data, channels)
    assert decoded.shape == (13, 17, channels) and decoded.dtype == np.uint8
    np.testing.assert_array_equal(decoded, by_pillow(data, channels))


def test_chunks_that_change_nothing_are_passed_over(pixels):
    data = with_chunk(png(pixels, dpi=(72, 72)), b"tEXt", b"Author\0me")
    np.testing.assert_array_equal(decode_plain_png(data, 3), pixels)


@pytest.mark.parametrize(
    "make",
    [
        lambda pixels: with_chunk(png(pixels), b"tRNS", bytes(6)),
        lambda pixels: with_chunk(png(pixels), b"eXIf", b"MM\0*\0\0\0\x08\0\0\0\0"),
        lambda pixels: with_chunk(png(pixels), b"acTL", bytes(8)),
        lambda pixels: with_chunk(png(pixels), b"gAMA", b""),
        lambda pixels: with_chunk(png(pixels), b"zTXt", b"Comment\0\0" + zlib.compress(bytes(10**6))),
        lambda pixels: png(np.dstack([pixels, pixels[..., :1]])),
        lambda pixels: png(pixels[..., 0].astype(np.uint16) * 257),
        lambda pixels: Image.fromarray(pixels).quantize(8) and b"\x89PNG\r\n\x1a\nP",
        lambda pixels: b"\xff\xd8\xff",
    ],
)
def test_any_other_picture_is_left_to_pillow(pixels, make):
    assert decode_plain_png(make(pixels), 3) is None


def test_colours_are_not_made_grey(pixels):
    assert decode_plain_png(png(pixels), 1) is None


def test_whatever_happens_to_a_file_it_is_refused_or_read_as_pillow_reads_it(pixels):
    """A thousand damaged files, some of them with checksums that are right."""
    chance = random.Random(0)
    whole = png(pixels)
    read = 0
    for _ in range(1000):
        data = bytearray(whole)
        start = data.index(b"IDAT")
        length = struct.unpack(">I", data[start - 4 : start])[0]
        for _ in range(chance.choice([1, 1, 4])):
            data[chance.randrange(8, len(data))] ^= 1 << chance.randrange(8)
        if chance.random() < 0.5:
            end = start + 4 + length
            data[end : end + 4] = struct.pack(">I", zlib.crc32(data[start:end]))
        if chance.random() < 0.3:
            del data[chance.randrange(8, len(data)) :]
        decoded = decode_plain_png(bytes(data), 3)
        if decoded is None:
            continue
        read += 1
        try:
            np.testing.assert_array_equal(decoded, by_pillow(bytes(data), 3))
        except (OSError, SyntaxError, ScsError) as error:
            raise AssertionError("read what Pillow refuses") from error
    assert read < 1000


def test_a_large_header_is_refused_before_anything_is_decoded(pixels):
    data = bytearray(png(pixels))
    data[16:24] = struct.pack(">II", 50_000, 50_000)
    with pytest.raises(ScsError, match="50000x50000"):
        decode_image(bytes(data), channels=3, max_pixels=10**6)
