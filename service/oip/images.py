"""The conversion of an input tensor to the images that a network takes."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.cards.card import InputCard
from models.runtime.load import Images
from scs.errors import ProtocolError, TooLargeError
from service.api.files import NamedBytes
from service.inference.event_loop import SMALL_FILE_BYTES, SMALL_FILES, SMALL_LIST, SMALL_TENSOR_BYTES
from service.oip.datatypes import BYTES, DATATYPES, read_byte_strings, read_numbers, size_of
from service.oip.messages import InferRequest, InputTensor
from service.oip.parameters import shown
from service.pictures.formats import is_light
from service.pictures.picture import MAX_PICTURES, Picture
from service.settings import Settings
from service.tasks.decoding import check_analysed_size, decode

INPUT = "image"


def is_small(tensors: Sequence[InputTensor]) -> bool:
    """Return whether tensors are small enough to be read on the event loop; binary UINT8 always is."""
    return all(map(_is_small, tensors))


def _is_small(tensor: InputTensor) -> bool:
    if tensor.raw is None:  # no more of a list is looked at than the shape says
        return tensor.datatype != BYTES and size_of("UINT8", tensor.shape) <= SMALL_LIST
    if tensor.datatype == BYTES:
        return math.prod(tensor.shape) <= SMALL_FILES and len(tensor.raw) <= SMALL_FILE_BYTES and _are_light(tensor)
    return tensor.datatype == "UINT8" or len(tensor.raw) <= SMALL_TENSOR_BYTES


def _are_light(tensor: InputTensor) -> bool:
    assert tensor.raw is not None
    try:
        return all(map(is_light, read_byte_strings(tensor.raw, math.prod(tensor.shape))))
    except ProtocolError:
        return True  # it is refused at once


def read_images(tensors: Sequence[InputTensor], wanted: InputCard, settings: Settings) -> list[Images]:
    """Read the images of a request, in its order.

    A tensor of numbers holds pixels as they are. One of BYTES holds files, such as JPEG or PNG, which are decoded and
    resized as ``/predict`` does it.

    Returns:
        Arrays ``(n, H, W, C)``; one, unless files of several sizes came. UINT8 binary data is not copied.

    Raises:
        ProtocolError: it is not the one input that a network has, or its datatype, shape or values are not right.
        OptionError: the pictures are too small for the network.
        TooLargeError: they are too many or too large.
        ImageError, UnsupportedImageError: files that cannot be read.
    """
    if [tensor.name for tensor in tensors] != [INPUT]:
        names = ", ".join(f"'{tensor.name[:60]}'" for tensor in tensors[:5]) or "none"
        raise ProtocolError(f"the network has one input, {INPUT}; {names} came")
    (tensor,) = tensors
    if tensor.datatype not in DATATYPES:
        raise ProtocolError(f"a datatype is one of {', '.join(DATATYPES)}; '{tensor.datatype[:60]}' came")
    return _decoded(tensor, wanted, settings) if tensor.datatype == BYTES else [_pixels(tensor, wanted, settings)]


def pack_numbers(asked: InferRequest, wanted: InputCard, settings: Settings) -> InferRequest:
    """Convert lists of numbers to binary data, so that a request can be handed from process to process at once.

    Raises:
        ProtocolError, OptionError, TooLargeError: as :func:`read_images`.
    """
    if all(tensor.raw is not None or tensor.datatype == BYTES for tensor in asked.inputs):
        return asked
    (images,) = read_images(asked.inputs, wanted, settings)
    raw = np.ascontiguousarray(images).data.cast("B")
    return replace(asked, inputs=[InputTensor(INPUT, "UINT8", images.shape, raw)])


def _pixels(tensor: InputTensor, wanted: InputCard, settings: Settings) -> Images:
    shape = tensor.shape
    if len(shape) != 4 or shape[-1] != wanted.channels or min(shape) < 1:
        raise ProtocolError(f"{INPUT} needs the shape [N, H, W, {wanted.channels}]; {shown(list(shape))} came")
    values = _raw(tensor) if tensor.raw is not None else _from_list(tensor)
    pixels: Images = values.reshape(shape)
    _, height, width, _ = shape
    check_analysed_size(INPUT, Picture(pixels[0], width, height), wanted, settings)
    return pixels


def _raw(tensor: InputTensor) -> NDArray[np.uint8]:
    assert tensor.raw is not None
    needed = size_of(tensor.datatype, tensor.shape)
    if len(tensor.raw) != needed:
        came = f"{len(tensor.raw)} came"
        raise ProtocolError(f"{INPUT} as {tensor.datatype} of {shown(list(tensor.shape))} needs {needed} bytes; {came}")
    values = read_numbers(tensor.raw, tensor.datatype)
    return values if tensor.datatype == "UINT8" else _whole(values, tensor.datatype)


def _from_list(tensor: InputTensor) -> NDArray[np.uint8]:
    flat = _flat(tensor.values or [], tensor.shape)
    if tensor.datatype == "UINT8":
        try:
            return np.frombuffer(bytes(flat), np.uint8)  # by far the fastest way from a list to checked bytes
        except (TypeError, ValueError):
            pass  # the sentence about what is wrong is below
    try:
        values = np.array(flat)
    except (ValueError, OverflowError):
        raise ProtocolError(f"{INPUT} needs numbers; lists of several lengths came") from None
    if values.ndim != 1 or values.dtype.kind not in "buif":  # 7.0 is a whole number: some clients know no other kind
        raise ProtocolError(f"data of {INPUT} as {tensor.datatype} needs numbers; something else is among it")
    return _whole(values, tensor.datatype)


def _flat(values: list[Any], shape: Sequence[int]) -> list[Any]:
    """Flatten a list that is nested to the shape; return one that is flat already."""
    if not (values and isinstance(values[0], list)):
        count = size_of("UINT8", shape)
        if len(values) != count:
            raise ProtocolError(f"{INPUT} of {shown(list(shape))} needs {count} values; {len(values)} came")
        return values
    level: list[Any] = [values]
    for size in shape:
        if {*map(type, level)} != {list} or {*map(len, level)} != {size}:
            raise ProtocolError(f"{INPUT} needs data nested to its shape {shown(list(shape))}, or flat; it is neither")
        level = list(chain.from_iterable(level))
    return level


def _whole(values: NDArray[Any], datatype: str) -> NDArray[np.uint8]:
    """Convert numbers to uint8; refuse any whose value that would change."""
    most = {"BOOL": 1, "INT8": 127}.get(datatype, 255)
    with np.errstate(invalid="ignore"):
        whole = values.astype(np.uint8)
    wrong = (whole != values) | (whole > most)
    if wrong.any():
        value = values[wrong.argmax()]
        raise ProtocolError(f"{INPUT} as {datatype} takes whole numbers from 0 to {most}; {value!s:.60} came")
    return whole


def _decoded(tensor: InputTensor, wanted: InputCard, settings: Settings) -> list[Images]:
    shape = tensor.shape
    if len(shape) not in (1, 2) or min(shape) < 1 or shape[1:] not in ((), (1,)):
        raise ProtocolError(f"{INPUT} as BYTES needs the shape [N] or [N, 1]; {shown(list(shape))} came")
    if shape[0] > MAX_PICTURES:
        raise TooLargeError(f"one request may hold {MAX_PICTURES} pictures as BYTES; {shape[0]} came")
    files = read_byte_strings(tensor.raw, shape[0]) if tensor.raw is not None else _base64(tensor)
    named = [NamedBytes(str(number), content) for number, content in enumerate(files)]
    return _stacked([picture.pixels for _, picture in decode(named, wanted, "card", settings)])


def _base64(tensor: InputTensor) -> list[bytes]:
    try:
        return [base64.b64decode(text, validate=True) for text in _flat(tensor.values or [], tensor.shape)]
    except (TypeError, ValueError, binascii.Error):
        raise ProtocolError(f"data of {INPUT} as BYTES needs base64; something else came") from None


def _stacked(pictures: list[NDArray[np.uint8]]) -> list[Images]:
    """Stack adjacent pictures of one shape into arrays."""
    starts = [i for i, picture in enumerate(pictures) if i == 0 or picture.shape != pictures[i - 1].shape]
    return [np.stack(pictures[start:end]) for start, end in zip(starts, [*starts[1:], len(pictures)], strict=True)]
