import base64
import io

import numpy as np
import pytest
from PIL import Image

from scs.errors import ImageError, TooLargeError, UnsupportedImageError
from service.pictures.decode import decode_image
from service.pictures.formats import FORMATS, format_of, is_light

MEGAPIXEL = 1_000_000

# 48x32: white on the left, red above blue on the right. Written by pillow-heif, as no library here writes HEIC.
HEIC = base64.b64decode(
    "AAAAHGZ0eXBoZWl4AAAAAG1pZjFoZWl4bWlhZgAAAX5tZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAAAAAAAAAAACJpbG9jAA"
    "AAAERAAAEAAQAAAAABogABAAAAAAAAAKIAAAAjaWluZgAAAAAAAQAAABVpbmZlAgAAAAABAABodmMxAAAAAA5waXRtAAAAAAABAAAA/mlwcnAA"
    "AADeaXBjbwAAAHdodmNDAQQIAAAAnjgAAAAAHvAA/P/4+AAADwNgAAEAF0ABDAH//wQIAAADAJ44AAADAAAeugJAYQABACpCAQEECAAAAwCeOA"
    "AAAwAAHpAEECCy3VyU1zcBDQYEAAADAGQAAAMABCBiAAEACEQBwXMYMAiQAAAAE2NvbHJuY2x4AAEADQAGgAAAABRpc3BlAAAAAAAAAEAAAABA"
    "AAAAKGNsYXAAAAAwAAAAAQAAACAAAAAB////8AAAAAL////gAAAAAgAAABBwaXhpAAAAAAMICAgAAAAYaXBtYQAAAAAAAAABAAEFgQIDBYQAAA"
    "CqbWRhdAAAAJ4oAa8TgObHKFPLfo5pt1//IZTv+2rPD3Z1r73//eeWH2Zc/2tVEIzskdR10nBgADRnPDSqGTG4OwMRGwwH+/GA7VksLLqJTWZE"
    "mRCyDk7uSSfcqyInYUXEYuFwPeiD5lmxQghvWHtH/ZJxN9y5LhREwIuwHSfzW/kjgfgRt+hD+bO3Kx5Fml88/lm2xfb3GwH1rmow8XeHIPV6w/"
    "Y6fA=="
)


def decode(data, **options):
    return decode_image(data, channels=3, max_pixels=MEGAPIXEL, **options)


def saved(kind, pixels=None, **options):
    stream = io.BytesIO()
    shown = np.full((16, 24, 3), 90, np.uint8) if pixels is None else pixels
    Image.fromarray(shown).save(stream, kind, **options)
    return stream.getvalue()


def test_heic_is_read():
    picture = decode(HEIC)
    assert (picture.width, picture.height) == (48, 32)
    for (row, column), colour in {(5, 5): (240, 240, 240), (5, 40): (200, 40, 40), (28, 40): (40, 60, 200)}.items():
        assert np.abs(picture.pixels[row, column].astype(int) - colour).max() < 12
    assert decode(HEIC, scale_to=24).pixels.shape == (16, 24, 3)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_part_of_a_heic_is_damaged(share):
    with pytest.raises(ImageError):
        decode(HEIC[: int(len(HEIC) * share)])


def test_a_heic_is_refused_by_its_size_before_it_is_decoded():
    with pytest.raises(TooLargeError, match="48x32"):
        decode_image(HEIC, channels=3, max_pixels=48 * 32 - 1)


def test_avif_is_read(photograph):
    pixels = decode(saved("AVIF", photograph, quality=90)).pixels
    assert np.abs(pixels.astype(int) - photograph).mean() < 4


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "HEIC"])
def test_a_format_is_known_by_its_beginning(name):
    assert format_of(saved(name)) == name


def box(*brands):
    body = b"".join((brands[0], bytes(4), *brands[1:]))
    return (8 + len(body)).to_bytes(4) + b"ftyp" + body + bytes(64)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (box(b"heic", b"mif1"), "HEIC"),
        (box(b"mif1", b"heic", b"mif1"), "HEIC"),
        (box(b"mif1", b"avif", b"miaf"), "AVIF"),
        (box(b"avis", b"avif"), "AVIF"),
        (box(b"isom", b"mp42"), None),
        (box(b"qt  "), None),
    ],
)
def test_what_a_media_file_is_its_brands_say(data, expected):
    assert format_of(data) == expected


@pytest.mark.parametrize(
    ("data", "came"),
    [
        (b"\xff\x0a\xfa\x1f", "a JPEG XL image"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "a JPEG XL image"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "a JPEG 2000 image"),
        (b"%PDF-1.7\n", "a PDF document"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "an SVG drawing"),
        (b"<?xml version='1.0'?>\n<!-- drawn -->\n<svg width='9'>", "an SVG drawing"),
        (b"<!DOCTYPE html><html>", r"a web page \(HTML\)"),
        (box(b"isom", b"mp42"), "a video"),
        (b"\x1aE\xdf\xa3", "a video"),
        (b"RIFF\0\0\0\0AVI LIST", "a video"),
        (b"RIFF\0\0\0\0WAVEfmt ", "a sound"),
        (b"P6 2 2 255 ............", "a PNM image"),
        (b"8BPS\0\1", "a Photoshop document"),
        (b"\0\0\1\0\1\0", "a Windows icon"),
        (b"II*\0\x10\0\0\0CR\x02\0", "a raw photograph"),
        (b"PK\x03\x04", "a ZIP archive"),
        (b"\x93NUMPY\1\0v\0{'descr': '<f8', 'shape': (2, 2)}", "a NumPy array"),
        (b"data:image/png;base64,iVBORw0KGgo", "a picture as base64 text"),
        (b"hello", "the bytes do not begin like one"),
    ],
)
def test_what_came_is_named(data, came):
    with pytest.raises(UnsupportedImageError, match=f"was needed but {came}"):
        decode(data)


def test_what_is_slow_is_not_decoded_on_the_event_loop():
    assert all(is_light(saved(name)) for name in ("JPEG", "PNG", "GIF", "BMP", "WEBP"))
    assert not any(is_light(data) for data in (saved("TIFF"), saved("AVIF"), HEIC, b"hello"))
    assert not any(is_light(saved(name, icc_profile=b"a profile")) for name in ("JPEG", "PNG", "WEBP"))


def test_a_jpeg_of_another_depth_is_refused_by_it():
    data = bytearray(saved("JPEG"))
    data[data.index(b"\xff\xc0") + 4] = 12
    with pytest.raises(UnsupportedImageError, match="JPEG with 12-bit samples"):
        decode(bytes(data))
