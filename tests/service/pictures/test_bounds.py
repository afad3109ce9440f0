"""Files of a few kilobytes that would cost seconds or gigabytes: each is refused by its tags, before Pillow sees it."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from scs.errors import ImageError, TooLargeError
from service.pictures.bounds import MOST_CHUNKS, MOST_RLE_BYTES, MOST_SCANS, MOST_SEGMENTS, check_bounds
from service.pictures.decode import decode_image

MEGAPIXEL = 1_000_000
SIDE = 48
SHORT, LONG, LONG8, UNDEFINED = 3, 4, 16, 7
PIXELS = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), np.uint8)


def encode(kind, **options):
    stream = io.BytesIO()
    Image.fromarray(PIXELS).save(stream, kind, **options)
    return stream.getvalue()


def tiff(*tags, order="<", big=False, tile=(64, 64), side=SIDE, bits=8, samples=1, compression=8):
    """A grey TIFF of one tile, compressed by deflate, with further tags ``(number, type, count, value)``."""
    content = zlib.compress(bytes(256 * 256))
    width, head = ("Q", 16) if big else ("I", 8)
    entries = [
        (256, LONG, 1, side), (257, LONG, 1, side), (258, SHORT, 1, bits), (259, SHORT, 1, compression),
        (262, SHORT, 1, 1), (277, SHORT, 1, samples), (322, LONG, 1, tile[0]), (323, LONG, 1, tile[1]),
        (324, LONG, 1, head), (325, LONG, 1, len(content)), *tags,
    ]  # fmt: skip
    packed = b""
    for number, kind, count, value in sorted(entries):
        inline = struct.pack(order + {SHORT: "H", LONG: "I", LONG8: "Q"}.get(kind, width), value)
        packed += struct.pack(f"{order}HH{width}", number, kind, count) + inline.ljust(8 if big else 4, b"\0")
    directory = struct.pack(order + ("Q" if big else "H"), len(entries)) + packed + bytes(8)
    first = head + len(content)
    beginning = struct.pack(order + "HHHQ", 43, 8, 0, first) if big else struct.pack(order + "HI", 42, first)
    return (b"II" if order == "<" else b"MM") + beginning + content + directory


def overlapping(count, order="<"):
    """A directory of tags whose values are all the same bytes, as often as there are tags."""
    held = 200 * count
    tags = b"".join(struct.pack(order + "HHII", 40_000 + i, UNDEFINED, held, 8) for i in range(count))
    beginning = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 8)
    return beginning + struct.pack(order + "H", count) + tags + bytes(held)


def segment(marker, body):
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def jpeg(*segments, repeated=0, **options):
    """A JPEG with segments before its others, and its last scan once more so many times."""
    data = encode("JPEG", **options)
    last = data.rindex(b"\xff\xda")
    return data[:2] + b"".join(segments) + data[2:last] + data[last:-2] * (1 + repeated) + data[-2:]


def chunk(name, body):
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(*chunks):
    data = encode("PNG")
    return data[:33] + b"".join(chunks) + data[33:]


def gif(extensions=b"", frame=(SIDE, SIDE)):
    data = encode("GIF")
    start = data.index(b",\0\0\0\0" + struct.pack("<HH", SIDE, SIDE))
    return data[:start] + extensions + data[start : start + 5] + struct.pack("<HH", *frame) + data[start + 9 :]


def webp(kind, body):
    return (
        b"RIFF" + struct.pack("<I", 12 + len(body)) + b"WEBP" + kind + struct.pack("<I", len(body)) + body + bytes(64)
    )


def bmp(compression=1, side=SIDE, length=1000):
    head = struct.pack("<IHHI", 54 + 1024 + length, 0, 0, 54 + 1024)
    about = struct.pack("<IiiHHIIiiII", 40, side, side, 1, 8, compression, length, 0, 0, 256, 0)
    return b"BM" + head + about + bytes(1024) + b"\1\0" * (length // 2)


FRAME = struct.pack(">BHHB", 8, 60_000, 60_000, 1) + b"\1\x11\0"
THUMBNAIL = segment(0xE1, b"Exif\0\0" + b"II*\0\x08\0\0\0\0\0" + encode("JPEG", progressive=True)[:60_000])

SOUND = {
    "TIFF whose tile is larger than it": tiff(tile=(256, 256)),
    "TIFF, big endian": tiff(order=">"),
    "BigTIFF": tiff(big=True),
    "TIFF of Pillow": encode("TIFF", compression="tiff_lzw"),
    "progressive JPEG": jpeg(progressive=True),
    "JPEG with some scans more": jpeg(progressive=True, repeated=20),
    "JPEG with a thumbnail": jpeg(THUMBNAIL),
    "JPEG and a film behind it": jpeg() + b"\xff\xda\0\x02" * 500,
    "PNG with a few chunks": png(*[chunk(b"tEXt", b"a\0b")] * 100),
    "GIF with a comment": gif(b"!\xfe" + b"\x04abc," * 100 + b"\0"),
    "GIF whose comment has commas": gif(b"!\xfe" + b"," + b"x" * 44 + b"\0"),
    "WebP": encode("WEBP"),
    "WebP without loss": encode("WEBP", lossless=True),
    "WebP with EXIF": encode("WEBP", exif=b"Exif\0\0II*\0\x08\0\0\0\0\0"),
    "BMP": encode("BMP"),
}


@pytest.mark.parametrize("name", SOUND)
def test_a_file_that_costs_what_its_pixels_are_worth_is_decoded(name):
    picture = decode_image(SOUND[name], channels=3, max_pixels=MEGAPIXEL)
    assert (picture.width, picture.height) == (SIDE, SIDE)


TOO_LARGE = {
    "TIFF of a huge tile": (tiff(tile=(112_000, 120_000)), "a tile of the image is 112000x120000"),
    "TIFF of a huge tile, big endian": (tiff(tile=(112_000, 120_000), order=">"), "a tile of the image is 112000x"),
    "BigTIFF of a huge tile": (tiff(tile=(112_000, 120_000), big=True), "a tile of the image is 112000x120000"),
    "TIFF of a tile that is there twice": (tiff((322, LONG, 1, 2**20), (323, LONG, 1, 2**20)), "a tile of the image"),
    "TIFF whose width is there twice": (tiff((256, LONG, 1, 2**20)), "the image is 1048576x48"),
    "TIFF of many samples": (tiff(samples=60_000), "245760000 bytes of pixels; at most 8000000"),
    "TIFF of long samples": (tiff(bits=60_000), "30720000 bytes of pixels"),
    "JPEG of many scans": (jpeg(progressive=True, repeated=1000), f"{MOST_SCANS + 1} scans or more"),
    "JPEG of another frame": (jpeg(segment(0xC2, FRAME)), "60000x60000"),
    "PNG": (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 2**31 - 1, 9, 8, 2, 0, 0, 0)),
        "2147483647x9",
    ),
    "GIF whose frame is larger than it": (gif(frame=(65_535, 65_535)), "65535x65535"),
    "WebP of a huge canvas": (webp(b"VP8X", bytes(4) + b"\xff\xff\xff" * 2), "16777216x16777216"),
    "WebP without loss": (webp(b"VP8L", b"\x2f\xff\xff\xff\x0f"), "16384x16384"),
    "WebP with loss": (webp(b"VP8 ", bytes(3) + b"\x9d\x01\x2a\xff\x3f\xff\x3f"), "16383x16383"),
    "BMP of long runs": (bmp(length=MOST_RLE_BYTES), f"may have {MOST_RLE_BYTES} bytes"),
}
DAMAGED = {
    "TIFF of overlapping tags": (overlapping(200), "tags that its bytes cannot hold"),
    "TIFF of overlapping tags, big endian": (overlapping(200, ">"), "tags that its bytes cannot hold"),
    "TIFF of many tags": (tiff(*[(50_000, SHORT, 1, 1)] * 5000), "tags that its bytes cannot hold"),
    "TIFF by LZMA": (tiff(compression=34925), "LZMA"),
    "JPEG with overlapping EXIF": (jpeg(segment(0xE1, b"Exif\0\0" + overlapping(200))), "tags that its bytes cannot"),
    "JPEG with EXIF in two parts": (
        jpeg(*(segment(0xE1, b"Exif\0\0" + part) for part in (overlapping(200)[:50], overlapping(200)[50:]))),
        "tags that its bytes cannot hold",
    ),
    "JPEG with an overlapping index": (jpeg(segment(0xE2, b"MPF\0" + overlapping(200))), "tags that its bytes cannot"),
    "JPEG of many segments": (jpeg(*[segment(0xFE, b"")] * MOST_SEGMENTS), f"may have {MOST_SEGMENTS} segments"),
    "PNG of many chunks": (png(*[chunk(b"tEXt", b"")] * MOST_CHUNKS), f"may have {MOST_CHUNKS} chunks"),
    "GIF of many blocks": (gif(b"!\xfe" + b"\x01a" * MOST_SEGMENTS + b"\0"), f"may have {MOST_SEGMENTS} blocks"),
    "GIF of many extensions": (gif(b"!\xfe\0" * MOST_SEGMENTS), f"may have {MOST_SEGMENTS} blocks"),
}


@pytest.mark.parametrize("name", [*TOO_LARGE, *DAMAGED])
def test_a_file_that_costs_more_is_refused_before_it_is_opened(monkeypatch, name):
    monkeypatch.setattr(Image, "open", None)  # would raise
    kind, (data, words) = (TooLargeError, TOO_LARGE[name]) if name in TOO_LARGE else (ImageError, DAMAGED[name])
    with pytest.raises(kind, match=words):
        decode_image(data, channels=3, max_pixels=MEGAPIXEL)


def test_scans_are_counted_in_pixels_too():
    data = jpeg(progressive=True, repeated=30)
    check_bounds(data, MEGAPIXEL)
    with pytest.raises(TooLargeError, match=f"no more than {16 * SIDE * SIDE} pixels in all of them"):
        check_bounds(data, SIDE * SIDE)


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_exif_that_costs_more_than_its_bytes_is_not_read(kind, monkeypatch):
    data = encode(kind, exif=b"Exif\0\0" + overlapping(200))
    monkeypatch.setattr(Image.Image, "getexif", None)  # would raise
    assert decode_image(data, channels=3, max_pixels=MEGAPIXEL).width == SIDE


def test_exif_as_text_is_held_to_the_same(monkeypatch):
    text = "\nexif\n1\n" + (b"Exif\0\0" + overlapping(200)).hex()
    data = png(chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(text.encode())))
    monkeypatch.setattr(Image.Image, "getexif", None)
    assert decode_image(data, channels=3, max_pixels=MEGAPIXEL).width == SIDE


@pytest.mark.parametrize(
    "data", [b"\xff\xd8\xff", b"GIF89a", b"BM", b"II*\0", b"MM\0+", b"RIFF\0\0\0\0WEBP", b"II*\0\xff\xff\xff\xff"]
)
def test_a_header_that_is_cut_off_is_no_trouble(data):
    check_bounds(data, MEGAPIXEL)
    with pytest.raises(ImageError):
        decode_image(data, channels=3, max_pixels=MEGAPIXEL)
