import pytest

from models.cards.catalogue import bundled_repository, find
from models.runtime import device as devices
from models.runtime.device import choose_device, cuda_obstacle, first_line
from models.runtime.onnx_session import OnnxModel
from scs.errors import DeviceError, ModelError


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


def test_a_cuda_session_keeps_to_float32_and_to_cuda_and_searches_no_algorithms(monkeypatch):
    asked = []

    def refuse(content, options, providers, enable_fallback):
        kept = options.get_session_config_entry("session.disable_cpu_ep_fallback"), enable_fallback
        asked.append((kept, providers))
        raise RuntimeError("no GPU here")

    monkeypatch.setattr(devices.ort, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr(devices.ort, "InferenceSession", refuse)
    entry = find(bundled_repository(), "mnist-scs")
    with pytest.raises(ModelError, match="no GPU here"):
        OnnxModel(entry.verified_bytes(), entry.card(), "cuda")
    given = {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"}
    assert asked == [(("1", 0), [("CUDAExecutionProvider", given)])]


def test_a_cuda_part_that_does_not_load_is_not_mistaken_for_nodes_on_the_cpu(monkeypatch):
    monkeypatch.setattr(devices.ort, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr(devices.ort, "preload_dlls", lambda: None, raising=False)
    monkeypatch.setattr(devices.ort, "InferenceSession", lambda *_, **__: OnTheCpu())
    assert "could not load its CUDA part" in cuda_obstacle.__wrapped__()


class OnTheCpu:
    def get_providers(self):
        return ["CPUExecutionProvider"]
