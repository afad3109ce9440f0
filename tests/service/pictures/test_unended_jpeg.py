import io

import numpy as np
import pytest
from PIL import Image

from scs.errors import ImageError
from service.pictures.decode import decode_image

MEGAPIXEL = 1_000_000
KINDS = {
    "colour": {},
    "grey": {},
    "progressive": {"progressive": True},
    "with restarts": {"restart_marker_blocks": 4},
    "4:2:0": {"subsampling": "4:2:0"},
}


def decode(data):
    return decode_image(data, channels=3, max_pixels=MEGAPIXEL).pixels


@pytest.fixture(params=KINDS)
def whole(request, photograph):
    image = Image.fromarray(photograph).convert("L" if request.param == "grey" else "RGB")
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=90, **KINDS[request.param])
    return stream.getvalue()


@pytest.mark.parametrize("cut", [2, 1])
def test_a_jpeg_without_its_end_marker_is_read_as_the_whole_one(whole, cut):
    assert np.array_equal(decode(whole[:-cut]), decode(whole))


@pytest.mark.parametrize("cut", [6, 20, 300, 5000])
def test_a_jpeg_whose_last_pixels_are_missing_is_refused(whole, cut):
    with pytest.raises(ImageError, match="truncated"):
        decode(whole[:-cut])


def test_a_progressive_jpeg_without_its_last_scan_is_refused(photograph):
    stream = io.BytesIO()
    Image.fromarray(photograph).save(stream, "JPEG", progressive=True)
    data = stream.getvalue()
    with pytest.raises(ImageError, match="truncated"):
        decode(data[: data.rindex(b"\xff\xda")])
