import io

import numpy as np
import pytest
from PIL import Image
from skimage import data

from scs.errors import ImageError, TooLargeError, UnsupportedImageError
from service.pictures.decode import decode_image
from service.pictures.npy import decode_npy, read_array, to_npy

MEGAPIXEL = 1_000_000


def npy(array):
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def from_png(pixels, **options):
    """The same pixels, sent as a picture."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return decode_image(stream.getvalue(), max_pixels=MEGAPIXEL, **options)


@pytest.mark.parametrize("shape", [(300, 451), (300, 451, 1), (300, 451, 3), (2, 300, 451, 3), (2, 300, 451, 1)])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("order", ["C", "F"])
def test_an_array_gives_its_pictures(shape, channels, order):
    coloured = shape[-1] == 3
    photograph = data.chelsea() if coloured else data.chelsea()[..., :1]
    array = np.broadcast_to(photograph, (*shape[:-3], *photograph.shape)).reshape(shape)

    pictures = decode_npy(npy(np.array(array, order=order)), channels=channels, max_pixels=MEGAPIXEL)

    assert len(pictures) == (2 if len(shape) == 4 else 1)
    expected = from_png(photograph.squeeze(), channels=channels).pixels
    for picture in pictures:
        assert (picture.width, picture.height) == (451, 300)
        assert np.array_equal(picture.pixels, expected)


def test_an_array_is_scaled_as_an_image_is():
    (from_array,) = decode_npy(npy(data.astronaut()), channels=3, max_pixels=MEGAPIXEL, scale_to=(32, 32))
    from_image = from_png(data.astronaut(), channels=3, scale_to=(32, 32))
    assert np.array_equal(from_array.pixels, from_image.pixels)


@pytest.mark.parametrize("array", [np.zeros((4, 4), np.float32), np.zeros((4, 4), np.int8), np.array([[None]])])
def test_an_array_of_other_numbers_is_unsupported(array):
    with pytest.raises(UnsupportedImageError, match="uint8"):
        decode_npy(npy(array), channels=1, max_pixels=MEGAPIXEL)


@pytest.mark.parametrize("shape", [(), (4,), (4, 4, 2), (2, 4, 4, 4), (1, 1, 4, 4, 3), (0, 4), (4, 0, 3)])
def test_an_array_of_another_shape_is_refused_with_the_shape(shape):
    with pytest.raises(ImageError, match=r"\(H, W\).*but is \("):
        decode_npy(npy(np.zeros(shape, np.uint8)), channels=3, max_pixels=MEGAPIXEL)


def test_an_array_with_too_few_or_too_many_bytes_is_refused():
    body = npy(data.camera())
    for damaged, came in ((body[:-5], 262139), (body + b"12", 262146)):
        with pytest.raises(ImageError, match=f"262144 bytes of pixels but {came} follow"):
            decode_npy(damaged, channels=1, max_pixels=MEGAPIXEL)


def test_the_pixels_of_all_arrays_together_are_limited_as_they_come_and_as_they_are_scaled():
    body = npy(np.zeros((50, 10, 10), np.uint8)[..., None])
    assert len(decode_npy(body, channels=1, max_pixels=5_000)) == 50
    with pytest.raises(TooLargeError, match="each of 50 images is 10x10, 100 pixels; at most 99 are allowed"):
        decode_npy(body, channels=1, max_pixels=4_999)
    with pytest.raises(TooLargeError, match="11x11"):
        decode_npy(body, channels=1, max_pixels=5_000, scale_to=11)


def test_an_array_holds_no_more_images_than_a_request_may():
    assert len(decode_npy(npy(np.zeros((64, 2, 2, 1), np.uint8)), channels=1, max_pixels=MEGAPIXEL)) == 64
    with pytest.raises(TooLargeError, match="64 images; an array of 65 came"):
        decode_npy(npy(np.zeros((65, 2, 2, 1), np.uint8)), channels=1, max_pixels=MEGAPIXEL)


def test_a_huge_array_header_is_refused_before_any_pixel_is_read():
    header = npy(np.zeros((1, 1, 3), np.uint8)).replace(b"(1, 1, 3), }        ", b"(50000, 50000, 3), }")
    with pytest.raises(TooLargeError, match="50000x50000"):
        decode_npy(header, channels=3, max_pixels=MEGAPIXEL)


@pytest.mark.parametrize("body", [b"hello", b"\x93NUMPY", b"\x93NUMPY\x01\x00\x05\x00oops!", b"\x93NUMPY\x09\x00"])
def test_what_is_not_an_array_is_unsupported(body):
    with pytest.raises(UnsupportedImageError, match="npy"):
        decode_npy(body, channels=3, max_pixels=MEGAPIXEL)


@pytest.mark.parametrize("array", [np.arange(6.0), np.asfortranarray(np.arange(6, dtype=np.uint16).reshape(2, 3))])
def test_an_array_that_is_written_is_read_again(array):
    read = read_array(to_npy(array), [array.dtype.name], MEGAPIXEL)
    assert read.dtype == array.dtype and np.array_equal(read, array)


def test_numbers_of_the_other_byte_order_are_read_in_that_of_this_machine():
    read = read_array(to_npy(np.arange(5, dtype=">f4")), ["float32"], MEGAPIXEL)
    assert read.dtype == np.float32 and np.array_equal(read, np.arange(5))
