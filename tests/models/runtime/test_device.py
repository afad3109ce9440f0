import onnxruntime as ort
import pytest

from models.cards.catalogue import bundled_repository, find
from models.runtime import device as devices
from models.runtime.device import (
    choose_device,
    cuda_obstacle,
    first_line,
    left_to_cpu,
    nodes_by_provider,
    open_session,
)
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


def test_a_cuda_session_keeps_to_float32_counts_its_nodes_and_searches_no_algorithms(monkeypatch):
    asked = []

    def refuse(content, options, providers, enable_fallback):
        kept = options.get_session_config_entry("session.record_ep_graph_assignment_info"), enable_fallback
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


class Node:
    def __init__(self, op_type):
        self.op_type = op_type


class Part:
    def __init__(self, provider, *operations):
        self.ep_name, self._nodes = f"{provider}ExecutionProvider", [Node(each) for each in operations]

    def get_nodes(self):
        return self._nodes


class Assigned:
    """A session on CUDA whose nodes were assigned so."""

    def __init__(self, *parts):
        self.parts, self._model_bytes = parts, b"weights"

    def get_provider_graph_assignment_info(self):
        return self.parts

    def get_providers(self):
        return ["CUDAExecutionProvider"]


PARTS = [Part("CUDA", "Conv", "Relu"), Part("CPU", "Shape"), Part("CUDA", "Conv"), Part("CPU", "Gather", "Shape")]


def test_nodes_are_counted_by_the_device_that_runs_them():
    assert nodes_by_provider(Assigned(*PARTS)) == {
        "CUDAExecutionProvider": {"Conv": 2, "Relu": 1},
        "CPUExecutionProvider": {"Shape": 2, "Gather": 1},
    }


def test_nodes_on_the_cpu_are_said_with_their_number():
    assert left_to_cpu(Assigned(*PARTS)) == "3 of 6 nodes run on the CPU: 2 Shape, 1 Gather"
    assert left_to_cpu(Assigned(PARTS[0])) is None


def test_of_many_operations_on_the_cpu_a_few_are_named():
    said = left_to_cpu(Assigned(Part("CPU", *map(str, range(20)))))
    assert said == "20 of 20 nodes run on the CPU: 1 0, 1 1, 1 2, 1 3, 1 4, 1 5, 1 6, 1 7, and others"


def test_a_session_takes_a_few_nodes_on_the_cpu_but_not_all(monkeypatch):
    monkeypatch.setattr(devices.ort, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    some, none = Assigned(*PARTS), Assigned(PARTS[1])
    monkeypatch.setattr(devices.ort, "InferenceSession", lambda *_, **__: some)
    assert open_session(b"", "cuda") is some
    monkeypatch.setattr(devices.ort, "InferenceSession", lambda *_, **__: none)
    with pytest.raises(DeviceError, match="no kernel for any node"):
        open_session(b"", "cuda")


def test_the_runtime_tells_which_provider_has_each_node():
    options = ort.SessionOptions()
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    content = find(bundled_repository(), "mnist-scs").verified_bytes()
    session = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    assert nodes_by_provider(session)["CPUExecutionProvider"]["Conv"] >= 1


def test_a_session_keeps_no_copy_of_its_file():
    session = open_session(find(bundled_repository(), "mnist-scs").verified_bytes(), "cpu")
    assert not [name for name, value in vars(session).items() if isinstance(value, bytes)]
