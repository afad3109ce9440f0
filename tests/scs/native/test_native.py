"""Elementary functions are as exact as they say on every instruction set, and a library that is no good is let be."""

import ctypes

import numpy as np
import pytest

from scs import native

INSTRUCTION_SETS = "x86_64_v4", "x86_64_v3", "baseline"


@pytest.fixture(params=INSTRUCTION_SETS)
def library(request, native_library):
    """The library, told to use one instruction set, and put back after."""
    loaded = native.load(native_library)
    best = native.instruction_set(loaded)
    if not loaded.scs_choose_instruction_set(request.param.encode()):
        pytest.skip(f"needs a processor that runs {request.param}")
    yield loaded
    assert loaded.scs_choose_instruction_set(best.encode())


def apply(function, values):
    x = np.ascontiguousarray(values, np.float32)
    y = np.empty_like(x)
    pointers = [array.ctypes.data_as(ctypes.c_void_p) for array in (x, y)]
    function(ctypes.c_int64(x.size), *pointers)
    return x.astype(np.float64), y


def test_the_logarithm_is_exact_to_its_last_bits(library):
    x, y = apply(library.scs_log2, np.geomspace(1.2e-38, 3e38, 100_003))
    np.testing.assert_allclose(y, np.log2(x), rtol=1.2e-7, atol=1.5e-7)


def test_the_power_is_exact_to_its_last_bits(library):
    x, y = apply(library.scs_exp2, np.linspace(-126, 127.99, 100_003))
    np.testing.assert_allclose(y, np.exp2(x), rtol=2.5e-7)


def test_nan_and_infinity_and_zero_come_through(library):
    inf, nan = np.inf, np.nan
    np.testing.assert_array_equal(apply(library.scs_log2, [0, inf, nan, 1e-45])[1], np.float32([-inf, inf, nan, -inf]))
    np.testing.assert_array_equal(
        apply(library.scs_exp2, [-inf, inf, nan, -127, 128])[1], np.float32([0, inf, nan, 0, inf])
    )


@pytest.mark.parametrize("count", [0, 1, 3, 15, 16, 17])
def test_nothing_beyond_the_end_is_written(count, library):
    y = np.full(40, 7, np.float32)
    x = np.ones(40, np.float32)
    library.scs_exp2(ctypes.c_int64(count), x.ctypes.data_as(ctypes.c_void_p), y.ctypes.data_as(ctypes.c_void_p))
    assert np.allclose(y[:count], 2)
    assert (y[count:] == 7).all()


def test_no_library_is_no_matter(tmp_path, caplog):
    assert native.load(tmp_path / "libscs.so") is None
    assert caplog.text == ""


def test_a_broken_library_is_logged_in_one_line(tmp_path, caplog):
    path = tmp_path / "libscs.so"
    path.write_bytes(b"not a library")
    assert native.load(path) is None
    assert [record.message.startswith("the native kernels cannot be used: ") for record in caplog.records] == [True]


def test_a_library_of_another_interface_is_logged_in_one_line(native_library, monkeypatch, caplog):
    monkeypatch.setattr(native, "INTERFACE", native.INTERFACE + 1)
    assert native.load(native_library) is None
    assert [record.message for record in caplog.records] == [
        "the native kernels cannot be used: interface 2 is needed, 1 came; `make native` builds them anew"
    ]
