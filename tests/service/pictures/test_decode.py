import contextlib
import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from skimage import data

from scs.errors import ImageError, OptionError, TooLargeError, UnsupportedImageError
from service.pictures.decode import decode_cutout, decode_image
from service.pictures.resize import resize_image

MEGAPIXEL = 1_000_000
WRITTEN = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
ORIENTATION = 0x0112


def encode(picture, image_format, **options):
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    stream = io.BytesIO()
    image.save(stream, image_format, **options)
    return stream.getvalue()


def png_header(width, height):
    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))


def decode(body, channels=3, max_pixels=MEGAPIXEL, **options):
    return decode_image(body, channels=channels, max_pixels=max_pixels, **options)


def mean_difference(a, b):
    return np.abs(a.astype(float) - b.astype(float)).mean()


@pytest.mark.parametrize("image_format", ["PNG", "BMP", "TIFF"])
def test_a_lossless_photograph_comes_back_as_it_was(image_format):
    picture = decode(encode(data.chelsea(), image_format))

    assert (picture.width, picture.height) == (451, 300)
    assert picture.pixels.dtype == np.uint8
    assert np.array_equal(picture.pixels, data.chelsea())


@pytest.mark.parametrize("image_format", ["JPEG", "WEBP", "GIF"])
def test_a_lossy_photograph_comes_back_nearly_as_it_was(image_format):
    assert mean_difference(decode(encode(data.chelsea(), image_format)).pixels, data.chelsea()) < 5


def test_the_first_picture_of_an_animation_is_read():
    frames = [Image.fromarray(data.camera()), Image.fromarray(255 - data.camera())]
    for image_format in ("GIF", "TIFF"):
        body = encode(frames[0], image_format, save_all=True, append_images=frames[1:])
        assert np.array_equal(decode(body, channels=1).pixels[..., 0], data.camera())


def test_a_phone_jpeg_with_a_second_picture_inside_gives_its_first():
    photograph = Image.fromarray(data.astronaut())
    body = encode(photograph, "MPO", save_all=True, append_images=[photograph.rotate(90)])

    assert mean_difference(decode(body).pixels, data.astronaut()) < 5
    assert decode(body, scale_to=32).pixels.shape == (32, 32, 3)


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photograph_stored_on_its_side_is_turned_upright(image_format, orientation):
    upright = np.asarray(Image.fromarray(data.chelsea()).resize((96, 64)))
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, 1),
        7: np.rot90(upright, 2).transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    body = encode(np.ascontiguousarray(stored), image_format, exif=exif)

    picture = decode(body)
    small = decode(body, scale_to=48)

    assert mean_difference(picture.pixels, upright) < 6
    assert (picture.width, picture.height) == (small.width, small.height) == (96, 64)
    assert small.pixels.shape == (32, 48, 3)


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_means_nothing_turns_nothing(orientation):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    picture = decode(encode(data.chelsea(), "PNG", exif=exif))

    assert (picture.width, picture.height) == (451, 300)
    assert np.array_equal(picture.pixels, data.chelsea())


def test_a_damaged_exif_block_does_not_hide_the_photograph():
    body = encode(data.chelsea(), "JPEG", exif=b"Exif\x00\x00not a TIFF header at all")
    assert decode(body).pixels.shape == (300, 451, 3)


def test_grey_becomes_three_equal_channels_and_colour_becomes_luma():
    grey = decode(encode(data.camera(), "PNG"), channels=3).pixels
    luma = decode(encode(data.astronaut(), "PNG"), channels=1).pixels

    assert np.array_equal(grey, np.repeat(data.camera()[..., None], 3, axis=2))
    assert luma.shape == (512, 512, 1)
    assert np.abs(luma[..., 0] - data.astronaut() @ [0.299, 0.587, 0.114]).max() < 1


def test_a_colour_jpeg_read_as_grey_has_the_luma_of_the_colour_one():
    body = encode(data.astronaut(), "JPEG")
    luma = decode(body).pixels @ [0.299, 0.587, 0.114]
    assert mean_difference(decode(body, channels=1).pixels[..., 0], luma) < 1


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_is_white(mode):
    image = Image.fromarray(data.camera()).convert("LA" if mode == "LA" else "RGBA")
    alpha = np.zeros((512, 512), np.uint8)
    alpha[:, :256] = 255
    image.putalpha(Image.fromarray(alpha))
    body = encode(image.quantize(256) if mode == "P" else image, "PNG")

    pixels = decode(body, channels=1).pixels[..., 0]

    assert mean_difference(pixels[:, :256], data.camera()[:, :256]) < (10 if mode == "P" else 1)  # 256 colours
    assert (pixels[:, 256:] == 255).all()


def test_a_palette_colour_named_as_transparent_is_white():
    image = Image.fromarray(np.array([[0, 1]], np.uint8))
    image.putpalette([200, 0, 0, 0, 0, 200])
    assert decode(encode(image, "GIF", transparency=1)).pixels.tolist() == [[[200, 0, 0], [255, 255, 255]]]


@pytest.mark.parametrize("image_format", ["PNG", "TIFF"])
def test_sixteen_bit_grey_is_scaled_and_not_clipped(image_format):
    wide = data.camera().astype(np.uint16) * 257
    assert np.array_equal(decode(encode(wide, image_format), channels=1).pixels[..., 0], data.camera())


@pytest.mark.parametrize("scale", [np.float32(1000), np.int32(1000)])
def test_floats_and_wide_integers_are_stretched_over_their_own_range(scale):
    camera = data.camera()
    wide = camera.astype(scale.dtype) * scale
    expected = np.rint((camera.astype(float) - camera.min()) * 255 / (int(camera.max()) - int(camera.min())))
    assert np.abs(decode(encode(wide, "TIFF"), channels=1).pixels[..., 0] - expected).max() <= 1


@pytest.mark.parametrize("scale", [np.float32(1 / 255), np.float32(1)])
def test_floats_in_a_range_that_is_usual_are_the_picture_that_they_were_made_of(scale):
    camera = data.camera()
    assert np.array_equal(decode(encode(camera * scale, "TIFF"), channels=1).pixels[..., 0], camera)


def test_floats_that_are_constant_or_not_finite_give_a_picture():
    assert (decode(encode(np.full((4, 4), 7, np.float32), "TIFF")).pixels == 7).all()
    holes = np.array([[0, np.nan], [np.inf, 1]], np.float32)
    assert decode(encode(holes, "TIFF"), channels=1).pixels[..., 0].tolist() == [[0, 0], [0, 255]]


def test_cmyk_as_adobe_inverts_it_keeps_its_colours():
    body = encode(Image.fromarray(data.astronaut()).convert("CMYK"), "JPEG")
    assert b"Adobe" in body
    assert mean_difference(decode(body).pixels, data.astronaut()) < 5


def test_one_bit_becomes_black_and_white():
    page = Image.fromarray(data.page()).convert("1")
    assert np.array_equal(decode(encode(page, "PNG"), channels=1).pixels[..., 0], np.asarray(page) * 255)


def test_a_huge_header_is_refused_before_any_pixel_is_read():
    with pytest.raises(TooLargeError, match=r"50000x50000, 2500000000 pixels; at most 1000000 are allowed"):
        decode(png_header(50_000, 50_000))


@pytest.mark.parametrize("image_format", WRITTEN)
def test_the_pixel_limit_is_inclusive(image_format):
    body = encode(data.chelsea(), image_format)
    assert decode(body, max_pixels=451 * 300).pixels.shape == (300, 451, 3)
    with pytest.raises(TooLargeError, match="451x300"):
        decode(body, max_pixels=451 * 300 - 1)


def test_no_bytes_are_no_image():
    with pytest.raises(ImageError, match="no bytes"):
        decode(b"")


@pytest.mark.parametrize(
    "body",
    [
        b"hello",
        b"\x93NUMPY\1\0v\0{'descr': '<f8', 'shape': (2, 2)}",
    ],
)
def test_what_is_not_an_image_is_unsupported(body):
    with pytest.raises(UnsupportedImageError, match="JPEG, PNG, WEBP, GIF, BMP, TIFF, HEIC, AVIF"):
        decode(body)


@pytest.mark.parametrize("scale_to", [None, 32])
@pytest.mark.parametrize(
    ("image_format", "options"),
    [*((name, {}) for name in WRITTEN), ("JPEG", {"progressive": True}), ("TIFF", {"compression": "tiff_lzw"})],
)
def test_half_a_picture_is_never_shown_as_a_whole_one(image_format, options, scale_to):
    body = encode(data.chelsea(), image_format, **options)
    for part in (0.02, 0.3, 0.5, 0.9, 0.99):
        with pytest.raises(ImageError):
            decode(body[: int(len(body) * part)], scale_to=scale_to)


@pytest.mark.parametrize("image_format", WRITTEN)
def test_a_header_cut_short_is_a_damaged_image_and_not_an_unknown_one(image_format):
    with pytest.raises(ImageError, match="truncated or damaged") as error:
        decode(encode(data.chelsea(), image_format)[:22])
    assert not isinstance(error.value, UnsupportedImageError)


def test_a_message_says_nothing_of_how_the_image_was_held():
    for body in (b"hello", encode(data.chelsea(), "JPEG")[:5000], png_header(8, 8)):
        with pytest.raises(ImageError) as error:
            decode(body)
        assert "BytesIO" not in str(error.value)
        assert "object at" not in str(error.value)


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=60, deadline=None)
@given(data=st.data(), name=st.sampled_from(WRITTEN))
def test_damaged_bytes_give_a_picture_or_an_error_of_ours(data, name):
    body = bytearray(encode(np.arange(48, dtype=np.uint8).reshape(4, 4, 3), name))
    for place in data.draw(st.lists(st.integers(0, len(body) - 1), max_size=4)):
        body[place] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ImageError, TooLargeError):
        decode(bytes(body), max_pixels=10_000)


def test_a_jpeg_is_scaled_from_all_of_its_pixels():
    body = encode(np.asarray(Image.fromarray(data.astronaut()).resize((1600, 1200))), "JPEG", quality=90)
    whole = decode(body, max_pixels=2 * MEGAPIXEL).pixels
    for size in ((32, 32), (400, 300)):
        assert np.array_equal(decode(body, max_pixels=2 * MEGAPIXEL, scale_to=size).pixels, resize_image(whole, size))


def test_a_draft_of_a_jpeg_is_nearly_the_full_one_made_small():
    photograph = np.asarray(Image.fromarray(data.astronaut()).resize((1600, 1200)))
    body = encode(photograph, "JPEG", quality=90)
    for size in ((32, 32), (100, 300), (400, 300)):
        small = decode(body, max_pixels=2 * MEGAPIXEL, scale_to=size, draft=True)
        full = resize_image(decode(body, max_pixels=2 * MEGAPIXEL).pixels, size)

        assert (small.width, small.height) == (1600, 1200)
        assert small.pixels.shape == (size[1], size[0], 3)
        assert np.abs(small.pixels.astype(int) - full).max() <= 6
        assert mean_difference(small.pixels, full) < 0.5


@pytest.mark.parametrize("scale_to", [0, -3, (0, 5), (5, -1)])
def test_a_picture_cannot_be_scaled_to_nothing(scale_to):
    with pytest.raises(OptionError, match="1 pixel or more"):
        decode(encode(data.chelsea(), "JPEG"), scale_to=scale_to)


def test_a_small_picture_cannot_be_scaled_past_the_limit():
    with pytest.raises(TooLargeError, match="100000x"):
        decode(encode(data.chelsea(), "JPEG"), scale_to=100_000)


def test_a_cutout_keeps_the_colours_of_what_is_transparent_beside_its_opacity():
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    alpha = np.random.default_rng(1).integers(0, 256, (20, 30), dtype=np.uint8)
    picture, opacity = decode_cutout(encode(np.dstack([pixels, alpha]), "PNG"), channels=3, max_pixels=MEGAPIXEL)
    assert np.array_equal(picture.pixels, pixels) and np.array_equal(opacity, alpha)

    grey = np.dstack([pixels[..., 0], alpha])
    picture, opacity = decode_cutout(encode(grey, "PNG"), channels=1, max_pixels=MEGAPIXEL)
    assert np.array_equal(picture.pixels[..., 0], pixels[..., 0]) and np.array_equal(opacity, alpha)


def test_a_cutout_of_a_palette_knows_its_transparent_colour():
    image = Image.fromarray(np.arange(16, dtype=np.uint8).reshape(4, 4)).convert("P")
    picture, opacity = decode_cutout(encode(image, "PNG", transparency=5), channels=3, max_pixels=MEGAPIXEL)
    assert np.array_equal(opacity == 0, np.arange(16).reshape(4, 4) == 5)
    assert picture.pixels.shape == (4, 4, 3)


def test_an_opaque_picture_is_no_cutout(photograph):
    for body in (
        encode(photograph, "JPEG"),
        encode(np.dstack([photograph, np.full_like(photograph[..., 0], 255)]), "PNG"),
    ):
        picture, opacity = decode_cutout(body, channels=3, max_pixels=MEGAPIXEL)
        assert opacity is None and np.array_equal(picture.pixels, decode(body).pixels)
