import pytest

from models.runtime import device as devices
from models.runtime.device import choose_device, cuda_obstacle, first_line
from scs.errors import DeviceError


@pytest.mark.skipif(cuda_obstacle() is None, reason="needs a machine without a working CUDA device")
def test_cuda_that_was_asked_for_and_is_not_there_is_said_in_one_line():
    with pytest.raises(DeviceError, match=r"\ASCS_DEVICE=cuda needs a working CUDA device, but .+\Z"):
        choose_device("cuda")
    assert choose_device("auto") == "cpu"


@pytest.mark.parametrize(
    "wish, obstacle, device",
    [("auto", None, "cuda"), ("cuda", None, "cuda"), ("auto", "it is broken", "cpu"), ("cpu", None, "cpu")],
)
def test_cuda_is_taken_where_it_works_and_was_not_ruled_out(wish, obstacle, device, monkeypatch):
    monkeypatch.setattr(devices, "cuda_obstacle", lambda: obstacle)
    assert choose_device(wish) == device


@pytest.mark.parametrize(
    ("error", "line"),
    [(ValueError("first\nsecond"), "first"), (ValueError("x" * 300), "x" * 200), (ValueError(" "), "ValueError")],
)
def test_of_a_runtimes_error_one_line_is_said(error, line):
    assert first_line(error) == line
