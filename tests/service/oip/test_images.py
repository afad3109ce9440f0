import base64

import numpy as np
import pytest

from models.cards.card import InputCard
from scs.errors import ImageError, OptionError, ProtocolError, TooLargeError, UnsupportedImageError
from service.oip.datatypes import NUMBERS, write_byte_strings
from service.oip.images import is_small, read_images
from service.oip.messages import InputTensor

CARD = InputCard(width=4, height=4, channels=3, smallest=2)
PIXELS = (np.arange(48).reshape(1, 4, 4, 3) % 2).astype(np.uint8)


def tensor(data, datatype="UINT8", shape=(1, 4, 4, 3), name="image") -> InputTensor:
    raw = memoryview(data) if isinstance(data, bytes) else None
    return InputTensor(name, datatype, tuple(shape), raw=raw, values=None if raw is not None else data)


def as_wire(values: np.ndarray, datatype: str) -> bytes:
    if datatype == "BF16":
        return (values.astype("<f4").view("<u4") >> 16).astype("<u2").tobytes()
    return values.astype(NUMBERS[datatype]).tobytes()


@pytest.mark.parametrize("datatype", NUMBERS)
def test_numbers_of_every_datatype_are_pixels(settings, datatype):
    for data in (as_wire(PIXELS, datatype), PIXELS.ravel().tolist(), PIXELS.tolist()):
        (images,) = read_images([tensor(data, datatype)], CARD, settings)
        assert images.dtype == np.uint8 and np.array_equal(images, PIXELS)


@pytest.mark.parametrize("datatype", ["FP16", "FP32", "FP64", "BF16", "INT16", "INT64", "UINT64"])
def test_every_value_of_a_pixel_is_itself_in_every_datatype(settings, datatype):
    values = np.arange(256).reshape(1, 16, 16, 1)
    card = CARD.model_copy(update={"channels": 1})
    (images,) = read_images([tensor(as_wire(values, datatype), datatype, values.shape)], card, settings)
    assert np.array_equal(images, values)


def test_whole_numbers_may_be_written_as_floats(settings):
    (images,) = read_images([tensor(PIXELS.astype(float).tolist())], CARD, settings)
    assert np.array_equal(images, PIXELS)


def test_pixels_are_not_copied(settings):
    raw = PIXELS.tobytes()
    (images,) = read_images([tensor(raw)], CARD, settings)
    assert np.shares_memory(images, np.frombuffer(raw, np.uint8))


@pytest.mark.parametrize(
    ("datatype", "value", "sentence"),
    [
        ("FP32", 0.5, "from 0 to 255; 0.5 came"),
        ("FP32", float("nan"), "nan came"),
        ("FP64", float("inf"), "inf came"),
        ("FP16", -1, "-1.0 came"),
        ("BF16", 256, "256.0 came"),
        ("INT8", -1, "from 0 to 127; -1 came"),
        ("INT32", 256, "from 0 to 255; 256 came"),
        ("UINT64", 2**63, "9223372036854775808 came"),
        ("BOOL", 2, "from 0 to 1; 2 came"),
    ],
)
def test_values_that_are_no_pixels_are_refused(settings, datatype, value, sentence):
    values = PIXELS.astype(object)
    values.flat[7] = value
    with pytest.raises(ProtocolError, match=sentence):
        read_images([tensor(as_wire(values, datatype), datatype)], CARD, settings)
    if value == value and abs(value) != float("inf"):
        with pytest.raises(ProtocolError, match="whole numbers"):
            read_images([tensor(values.ravel().tolist(), datatype)], CARD, settings)


@pytest.mark.parametrize("value", ["7", None, [], {}, [1], 0.5, 256, -1, 10**18])
def test_json_that_is_no_pixel_is_refused(settings, value):
    values = PIXELS.ravel().tolist()
    values[20] = value
    with pytest.raises(ProtocolError):
        read_images([tensor(values)], CARD, settings)


@pytest.mark.parametrize(
    "shape", [(), (48,), (4, 4, 3), (1, 4, 4, 1), (0, 4, 4, 3), (1, 0, 4, 3), (1, 4, 4, 3, 1), (2**62,) * 3 + (3,)]
)
def test_shapes_that_are_no_images_are_refused(settings, shape):
    for data in (PIXELS.tobytes(), PIXELS.ravel().tolist()):
        with pytest.raises(ProtocolError):
            read_images([tensor(data, shape=shape)], CARD, settings)


@pytest.mark.parametrize("nested", [[], [[]], [PIXELS[0].tolist()] * 2, PIXELS[0].tolist(), [PIXELS[0, :3].tolist()]])
def test_lists_nested_otherwise_than_the_shape_are_refused(settings, nested):
    with pytest.raises(ProtocolError):
        read_images([tensor(nested)], CARD, settings)


def test_a_ragged_list_is_refused(settings):
    nested = PIXELS.tolist()
    nested[0][2][1] = [1, 2]
    with pytest.raises(ProtocolError, match="nested to its shape"):
        read_images([tensor(nested)], CARD, settings)


def test_binary_data_of_another_size_is_refused(settings):
    with pytest.raises(ProtocolError, match=r"FP32 of \[1, 4, 4, 3\] needs 192 bytes; 48 came"):
        read_images([tensor(PIXELS.tobytes(), "FP32")], CARD, settings)


def test_other_inputs_and_datatypes_are_refused(settings):
    with pytest.raises(ProtocolError, match="one input, image; 'picture' came"):
        read_images([tensor(PIXELS.tobytes(), name="picture")], CARD, settings)
    with pytest.raises(ProtocolError, match="'image', 'image' came"):
        read_images([tensor(PIXELS.tobytes())] * 2, CARD, settings)
    with pytest.raises(ProtocolError, match="none came"):
        read_images([], CARD, settings)
    with pytest.raises(ProtocolError, match="a datatype is one of BOOL, .*; 'uint8' came"):
        read_images([tensor(PIXELS.tobytes(), "uint8")], CARD, settings)


def test_images_too_small_or_too_large_for_the_network_are_refused(settings):
    with pytest.raises(OptionError, match="the network needs 2 pixels on a side"):
        read_images([tensor(bytes(3), shape=(1, 1, 1, 3))], CARD, settings)
    with pytest.raises(TooLargeError, match="at most 10 pixels are analysed"):
        read_images([tensor(PIXELS.tobytes())], CARD, settings.model_copy(update={"max_analysed_pixels": 10}))


def test_what_takes_long_to_be_read_is_not_light():
    large = (100, 100, 100, 3)
    assert is_small([tensor(bytes(3_000_000), shape=large)]), "bytes are pixels already"
    assert is_small([tensor(PIXELS.tolist()), tensor(as_wire(PIXELS, "FP32"), "FP32"), tensor(b"abc", "BYTES", (1,))])
    assert not is_small([tensor(bytes(12_000_000), "FP32", large)])
    assert not is_small([tensor([], shape=large)])
    assert not is_small([tensor(["a"], "BYTES", (1,))])
    assert not is_small([tensor(bytes(100_000), "BYTES", (1,))])


@pytest.mark.parametrize("shape", [(2,), (2, 1)])
def test_files_are_decoded_and_resized(settings, encode, photograph, jpeg, shape):
    files = [encode(photograph), jpeg]
    texts = [base64.b64encode(file).decode() for file in files]
    nested = texts if len(shape) == 1 else [[text] for text in texts]
    (first,) = read_images([tensor(write_byte_strings(files), "BYTES", shape)], CARD, settings)
    assert first.shape == (2, 4, 4, 3) and abs(first[0].astype(int) - first[1]).max() < 12
    for data in (texts, nested):
        (other,) = read_images([tensor(data, "BYTES", shape)], CARD, settings)
        assert np.array_equal(first, other)


def test_files_of_several_sizes_keep_their_order(settings, encode):
    card = CARD.model_copy(update={"resize": False})
    files = [encode(np.full((side, side, 3), side, np.uint8)) for side in (4, 4, 5, 4)]
    images = read_images([tensor(write_byte_strings(files), "BYTES", (4,))], card, settings)
    assert [(array.shape[:2], array[0, 0, 0, 0]) for array in images] == [((2, 4), 4), ((1, 5), 5), ((1, 4), 4)]


@pytest.mark.parametrize(
    ("data", "shape", "error"),
    [
        (["%%%"], (1,), ProtocolError),
        ([7], (1,), ProtocolError),
        (["é"], (1,), ProtocolError),
        ([base64.b64encode(b"hello").decode()], (1,), UnsupportedImageError),
        ([""], (1,), ImageError),
        (["aGVsbG8="], (2,), ProtocolError),
        (["aGVsbG8="], (1, 1, 1), ProtocolError),
        ([], (0,), ProtocolError),
        (["aGVsbG8="] * 65, (65,), TooLargeError),
    ],
)
def test_bytes_that_are_no_files_are_refused(settings, data, shape, error):
    with pytest.raises(error):
        read_images([tensor(data, "BYTES", shape)], CARD, settings)
