"""Pictures for the laboratory's commands, by Pillow."""

import numpy as np
import pytest
from PIL import Image

from lab import pictures
from lab.pictures import read_picture, write_png
from scs.errors import ImageError, TooLargeError


@pytest.mark.parametrize("channels", [1, 3])
def test_what_is_written_is_read_again_in_colour(tmp_path, channels):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, channels), np.uint8)
    write_png(pixels, tmp_path / "a.png")
    assert (read_picture(tmp_path / "a.png") == pixels).all()


def test_a_picture_is_turned_upright_and_what_is_transparent_is_white(tmp_path):
    sideways = Image.new("RGB", (4, 2))
    exif = sideways.getexif()
    exif[0x0112] = 6  # to be turned by a quarter
    sideways.save(tmp_path / "sideways.png", exif=exif)
    assert read_picture(tmp_path / "sideways.png").shape == (4, 2, 3)
    Image.new("RGBA", (2, 2), (255, 0, 0, 0)).save(tmp_path / "clear.png")
    assert (read_picture(tmp_path / "clear.png") == 255).all()


def test_what_is_no_picture_is_damaged_or_too_large_is_named(tmp_path, monkeypatch):
    (tmp_path / "text.png").write_text("hello")
    with pytest.raises(ImageError, match="text.png is no picture"):
        read_picture(tmp_path / "text.png")
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "half.jpg")
    (tmp_path / "half.jpg").write_bytes((tmp_path / "half.jpg").read_bytes()[:2000])
    with pytest.raises(ImageError, match=r"half.jpg is truncated"):
        read_picture(tmp_path / "half.jpg")
    write_png(noise, tmp_path / "large.png")
    monkeypatch.setattr(pictures, "MOST_PIXELS", 4095)
    with pytest.raises(TooLargeError, match="large.png is 64x64; at most 4095 pixels"):
        read_picture(tmp_path / "large.png")
