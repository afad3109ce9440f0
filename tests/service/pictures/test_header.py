import io
import struct

import numpy as np
import pytest
from PIL import Image

from scs.errors import TooLargeError, UnsupportedImageError
from service.pictures.header import is_grey

MEGAPIXEL = 1_000_000


def png(picture):
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


def test_a_file_says_whether_it_has_colours(photograph):
    grey = Image.fromarray(photograph).convert("L")
    for image, expected in (
        (grey, True),
        (grey.convert("1"), True),
        (grey.convert("LA"), True),
        (grey.convert("RGB"), False),
    ):
        assert is_grey(png(image), MEGAPIXEL) is expected
    assert is_grey(png(photograph[..., 0].astype(np.uint16)), MEGAPIXEL)
    with pytest.raises(TooLargeError):
        is_grey(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", 50_000, 50_000), MEGAPIXEL)
    with pytest.raises(UnsupportedImageError):
        is_grey(b"hello", MEGAPIXEL)
