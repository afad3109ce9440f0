import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scs.errors import ProtocolError
from service.oip.datatypes import NUMBERS, read_byte_strings, read_numbers, size_of, write_byte_strings


@given(st.lists(st.binary(max_size=40)))
def test_byte_strings_come_back_as_they_were_written(strings):
    assert read_byte_strings(memoryview(write_byte_strings(strings)), len(strings)) == strings


@given(st.binary(max_size=60), st.integers(0, 5))
def test_any_bytes_are_byte_strings_or_refused(raw, count):
    with contextlib.suppress(ProtocolError):
        assert write_byte_strings(read_byte_strings(memoryview(raw), count)) == raw


@pytest.mark.parametrize("count", [0, 1, 3])
def test_another_number_of_byte_strings_than_the_shape_says_is_refused(count):
    with pytest.raises(ProtocolError, match=f"needs {count} values"):
        read_byte_strings(memoryview(write_byte_strings([b"a", b"b"])), count)


def test_a_byte_string_longer_than_what_follows_is_refused():
    with pytest.raises(ProtocolError, match="it ends at 6"):
        read_byte_strings(memoryview(b"\xff\xff\xff\xffab"), 1)


@pytest.mark.parametrize("name", [name for name in NUMBERS if name not in ("BF16", "BOOL")])
def test_numbers_are_read_where_they_lie(name):
    values = np.array([0, 1, 100], NUMBERS[name])
    raw = memoryview(values.tobytes())
    assert read_numbers(raw, name).tolist() == [0, 1, 100]
    assert np.shares_memory(read_numbers(raw, name), np.frombuffer(raw, "u1"))


@given(st.lists(st.floats(width=32, allow_nan=False)))
def test_bf16_is_the_upper_half_of_float32(values):
    whole = np.array(values, "<f4").view("<u4")
    upper = (whole >> 16).astype("<u2")
    assert read_numbers(memoryview(upper.tobytes()), "BF16").view("<u4").tolist() == (whole & 0xFFFF0000).tolist()


def test_sizes_do_not_overflow():
    assert size_of("FP64", (2**62, 2**62)) == 8 * 2**124
