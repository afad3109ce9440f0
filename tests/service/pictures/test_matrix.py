"""Every kind of file is decoded to the pixels that are in it, or refused by a sentence that says why.

What is in a file is known, as it is written here. Where two other decoders read it and agree, this one must agree too.
"""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from scs.errors import ImageError, UnsupportedImageError
from service.pictures.decode import decode_image
from tests.service.pictures import png_files, tiff_files
from tests.service.pictures.other_decoders import MISSING, by_imagemagick, by_libvips
from tests.service.pictures.tiff_files import CMYK, FLOAT, PALETTE, SIGNED, WHITE_IS_ZERO, Kind, every_kind, write_tiff

MEGAPIXEL = 1_000_000
OTHERS = pytest.mark.skipif(bool(MISSING), reason=f"needs Debian's {' and '.join(MISSING)}")
EVERY = every_kind()
TIFFS = {f"{number}-{kind}": kind for number, kind in enumerate(EVERY)}


def decode(data):
    return decode_image(data, channels=3, max_pixels=MEGAPIXEL).pixels.astype(int)


def over_white(colours, opacity):
    return colours * opacity + 255 * (1 - opacity)


@pytest.fixture(scope="module")
def small(photograph):
    return np.asarray(Image.fromarray(photograph).resize((45, 37)))


def tiff_of(small, kind):
    samples, tags = tiff_files.samples_of(small, kind)
    return write_tiff(samples, kind, tags)


def expected_of_tiff(small, kind):
    """What 8 bits of RGB a TIFF holds, from the samples that were put into it."""
    samples, tags = tiff_files.samples_of(small, kind)
    if kind.photometric == PALETTE:
        return np.asarray(tags[320]).reshape(3, -1).T[samples[..., 0]] / 257
    extra = len(kind.extra)
    numbers = samples.astype(np.float64)
    if kind.sample_format == SIGNED:
        low, high = numbers.min(), numbers.max()
        unit = numbers / 255 if kind.bits == 8 else (numbers - low) / (high - low)
    else:
        unit = numbers if kind.sample_format == FLOAT else numbers / (2.0**kind.bits - 1)
    colours, opacity = (unit[..., :-1], unit[..., -1:]) if extra else (unit, np.ones((*unit.shape[:2], 1)))
    if kind.photometric == WHITE_IS_ZERO:
        colours = 1 - colours
    if kind.photometric == CMYK:
        colours = (1 - colours[..., :3]) * (1 - colours[..., 3:])
    if extra and kind.extra[0] == 1:
        colours = np.minimum(colours / np.maximum(opacity, 1e-9), 1)
    return over_white(np.broadcast_to(colours, (*colours.shape[:2], 3)) * 255, opacity)


@pytest.mark.parametrize("part", range(8))
def test_a_tiff_of_any_kind_is_decoded_to_what_is_in_it(small, part):
    wrong = []
    for kind in EVERY[part::8]:
        furthest = np.abs(decode(tiff_of(small, kind)) - expected_of_tiff(small, kind)).max()
        if furthest > 2:
            wrong.append((str(kind), furthest))
    assert not wrong


@OTHERS
@pytest.mark.parametrize("part", range(3))
def test_a_tiff_on_which_two_other_decoders_agree_is_decoded_as_they_do(small, part, tmp_path):
    agreed = [kind for kind in EVERY if kind.sample_format == 1 and kind.photometric != CMYK][part * 6 :: 18]
    files = {f"{number}.tif": tiff_of(small, kind) for number, kind in enumerate(agreed)}
    assert check_against_others(files, tmp_path) > len(files) // 5


def check_against_others(files, folder):
    """Compare with two other decoders where these agree; return in how many files they do."""
    first, second = by_imagemagick(files, folder), by_libvips(files, folder)
    wrong, compared = [], 0
    for name, data in files.items():
        if name not in first or name not in second or not close(first[name], second[name]):
            continue
        compared += 1
        if not close(decode(data), first[name]):
            wrong.append(name)
    assert not wrong
    return compared


def close(a, b):
    return a.shape == b.shape and np.abs(a.astype(int) - b).max() <= 3


def every_png(small):
    """PNGs by name, each with the RGB that it holds."""
    files = {}
    for colour_type, depths in png_files.DEPTHS.items():
        for depth in depths:
            for interlaced in (False, True):
                for transparent in (False, True):
                    if transparent and colour_type in (png_files.GREY_ALPHA, png_files.RGBA):
                        continue
                    name = f"{colour_type}-{depth}{'-interlaced' * interlaced}{'-transparent' * transparent}.png"
                    files[name] = png_of(small, colour_type, depth, interlaced, transparent)
    return files


def png_of(small, colour_type, depth, interlaced, transparent):
    most = 2**depth - 1
    grey = np.asarray(Image.fromarray(small).convert("L"))[..., None]
    alpha = np.broadcast_to(np.linspace(0, 255, small.shape[1])[None, :, None], grey.shape)
    source = {
        png_files.GREY: grey,
        png_files.RGB: small,
        png_files.PALETTE: grey,
        png_files.GREY_ALPHA: np.dstack([grey, alpha]),
        png_files.RGBA: np.dstack([small, alpha]),
    }[colour_type]
    samples = np.rint(source * (most / 255)).astype(np.uint16)
    chunks, opacity = [], np.ones(grey.shape)
    if colour_type == png_files.PALETTE:
        palette = np.stack([np.arange(most + 1) * 255 // most, np.arange(most + 1)[::-1], np.arange(most + 1) // 2], 1)
        chunks.append(png_files.chunk(b"PLTE", palette.astype(np.uint8).tobytes()))
        colours = palette[samples[..., 0]].astype(float)
        if transparent:
            shares = np.linspace(0, 255, most + 1).astype(np.uint8)
            chunks.append(png_files.chunk(b"tRNS", shares.tobytes()))
            opacity = shares[samples] / 255
    else:
        kept = samples[..., :3] if samples.shape[2] > 2 else samples[..., :1]
        colours = np.broadcast_to(kept * (255 / most), small.shape)
        if transparent:
            key = kept[5, 7]
            chunks.append(png_files.chunk(b"tRNS", struct.pack(f">{len(key)}H", *key)))
            opacity = ~(kept == key).all(axis=2, keepdims=True)
        elif samples.shape[2] in (2, 4):
            opacity = samples[..., -1:] / most
    data = png_files.write_png(samples, colour_type, depth, *chunks, interlaced=interlaced)
    return data, over_white(colours, opacity)


def test_a_png_of_any_kind_is_decoded_to_what_is_in_it(small):
    wrong = {name for name, (data, held) in every_png(small).items() if np.abs(decode(data) - held).max() > 2}
    assert not wrong


@OTHERS
def test_a_png_on_which_two_other_decoders_agree_is_decoded_as_they_do(small, tmp_path):
    files = {name: data for name, (data, _) in every_png(small).items()}
    assert check_against_others(files, tmp_path) > len(files) // 2


MASKS = {
    "555": (16, (0x7C00, 0x3E0, 0x1F, 0)),
    "565": (16, (0xF800, 0x7E0, 0x1F, 0)),
    "1555": (16, (0x7C00, 0x3E0, 0x1F, 0x8000)),
    "4444": (16, (0xF00, 0xF0, 0xF, 0xF000)),
    "8888": (32, (0xFF0000, 0xFF00, 0xFF, 0xFF000000)),
    "8888 turned": (32, (0xFF000000, 0xFF0000, 0xFF00, 0xFF)),
}


def masked_bmp(small, bits, masks, from_the_top):
    """A BMP whose pixels are bits of a number, and the RGB that it holds."""
    height, width, _ = small.shape
    alpha = np.broadcast_to(np.where(np.arange(width) % 5, 255, 0)[None, :, None], (height, width, 1))
    values, shades = np.zeros((height, width), np.uint32), []
    for channel, mask in zip(np.moveaxis(np.dstack([small, alpha]), -1, 0), masks, strict=True):
        shift = (mask & -mask).bit_length() - 1 if mask else 0
        most = mask >> shift
        level = np.rint(channel * (most / 255)).astype(np.uint32)
        values |= level << shift
        shades.append(level * (255 / most) if most else np.full(level.shape, 255.0))
    raw = values.astype(f"<u{bits // 8}").view(np.uint8).reshape(height, -1)
    raw = np.pad(raw, ((0, 0), (0, -raw.shape[1] % 4)))
    body = (raw if from_the_top else raw[::-1]).tobytes()
    about = struct.pack(
        "<IiiHHIIiiII", 108, width, -height if from_the_top else height, 1, bits, 3, len(body), 0, 0, 0, 0
    )
    header = about + struct.pack("<4I", *masks) + b"BGRs" + bytes(48)
    data = b"BM" + struct.pack("<IHHI", 14 + 108 + len(body), 0, 0, 14 + 108) + header + body
    return data, over_white(np.stack(shades[:3], axis=2), shades[3][..., None] / 255)


@pytest.mark.parametrize("from_the_top", [False, True])
@pytest.mark.parametrize("name", MASKS)
def test_a_bmp_with_masks_is_decoded_to_what_is_in_it(small, name, from_the_top):
    data, held = masked_bmp(small, *MASKS[name], from_the_top)
    assert np.abs(decode(data) - held).max() <= 2


def saved(image, kind, **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def every_other(small):
    """Files of the remaining formats, by name, as Pillow writes them."""
    rgb, grey = Image.fromarray(small), Image.fromarray(small).convert("L")
    alpha = rgb.copy()
    alpha.putalpha(Image.fromarray(np.linspace(0, 255, small.shape[1]).astype(np.uint8)[None].repeat(len(small), 0)))
    files = {}
    for name, image in (("rgb", rgb), ("grey", grey)):
        for progressive in (False, True):
            for sampling in ("4:4:4", "4:2:0"):
                options = {"progressive": progressive, "subsampling": sampling, "quality": 92}
                files[f"{name}-{progressive}-{sampling[-1]}.jpg"] = saved(image, "JPEG", **options)
        files[f"{name}.gif"] = saved(image, "GIF")
        files[f"{name}.bmp"] = saved(image, "BMP")
        files[f"{name}-lossless.webp"] = saved(image.convert("RGB"), "WEBP", lossless=True)
    files["bits.bmp"] = saved(grey.convert("1"), "BMP")
    files["palette.bmp"] = saved(rgb.quantize(200), "BMP")
    files["alpha.webp"] = saved(alpha, "WEBP", lossless=True, exact=True)
    files["alpha.png"] = saved(alpha, "PNG")
    files["transparent.gif"] = saved(rgb.quantize(64), "GIF", transparency=5)
    return files


@OTHERS
def test_a_file_of_another_format_is_decoded_as_two_other_decoders_do(small, tmp_path):
    files = every_other(small)
    assert check_against_others(files, tmp_path) > len(files) // 2


def small_frame(small, **options):
    """A GIF whose frame covers a part of its canvas only."""
    frame = saved(Image.fromarray(small).quantize(32), "GIF", **options)
    at = frame.index(b",\0\0\0\0" + struct.pack("<HH", 45, 37))
    canvas = frame[:6] + struct.pack("<HH", 80, 60) + frame[10:]
    return canvas[: at + 1] + struct.pack("<HH", 20, 10) + canvas[at + 5 :]


def test_what_a_gif_frame_does_not_cover_is_white(small):
    pixels = decode(small_frame(small))
    assert pixels.shape == (60, 80, 3)
    assert np.abs(pixels[10:47, 20:65] - small).mean() < 20
    pixels[10:47, 20:65] = 255
    assert (pixels == 255).all()


@OTHERS
def test_a_gif_frame_lies_where_libvips_has_it(small, tmp_path):
    files = {"frame.gif": small_frame(small, transparency=31)}
    assert close(decode(files["frame.gif"]), by_libvips(files, tmp_path)["frame.gif"])


@pytest.mark.parametrize("compression", [tiff_files.NONE, tiff_files.LZW, tiff_files.DEFLATE, tiff_files.PACKBITS])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("tile", [None, (16, 16)])
@pytest.mark.parametrize("planar", [False, True])
def test_a_tiff_of_which_a_part_is_too_short_is_refused(small, monkeypatch, compression, bits, tile, planar):
    whole, written = tiff_files._segment, []

    def cut(part, kind):
        written.append(part)
        return whole(part[: len(part) // 2] if len(written) == 2 else part, kind)

    kind = Kind(bits, tiff_files.RGB, compression=compression, tile=tile, planar=planar)
    monkeypatch.setattr(tiff_files, "_segment", cut)
    with pytest.raises(ImageError, match="TIFF"):
        decode(tiff_of(small, kind))


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        ({262: [32803]}, "colours of the kind CFA"),
        ({259: [32766]}, "compression NEXT"),
        ({339: [6]}, "8-bit complex samples|floating|not read"),
        ({50706: [1, 4]}, r"raw photograph \(DNG\)"),
        ({258: [5, 6, 5], 277: [3], 262: [2]}, "samples of 5, 6, 5 bits in one pixel"),
    ],
)
def test_a_tiff_that_is_not_read_is_refused_by_what_it_is(small, tags, words):
    grey = np.asarray(Image.fromarray(small).convert("L"))[..., None]
    with pytest.raises(UnsupportedImageError, match=words):
        decode(write_tiff(grey, Kind(8, 1), tags))
