"""bench/gpu.py by its own logic: each check passes where the CPU stands for the GPU, and tells of what was planted."""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent.parent / "bench"))

import gpu

from scs.nn.layers import SharpenedCosineSimilarity2d

ANSWERS = {
    "predict a": {"cat": 0.75, "dog": 0.25},
    "activations a, npz": {"stem": np.random.default_rng(0).normal(size=(4, 40, 40))},
    **{
        f"match {method}": {"device": "cpu", "0 place": [40.5, 30.25], "0 score": [0.9, True]} for method in gpu.METHODS
    },
}


@pytest.fixture(autouse=True)
def one_thread():
    """Torch's threads wait for each other at every small step, which takes ten times as long on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def outcomes(checks):
    return {check.name: check.passed for check in checks}


def asked(of, answers):
    """Answers that are those above on the CPU, and the ones given on the other device."""
    return lambda device: answers if device == of else ANSWERS


def on_cuda():
    """What a GPU without a fault answers."""
    return {name: each | ({"device": "cuda"} if "device" in each else {}) for name, each in ANSWERS.items()}


def test_every_model_has_its_nodes_on_the_device_that_is_checked():
    check = gpu.check_placement("mnist-conv", "cpu")
    assert check.passed and check.figures["CPUExecutionProvider"] > 20


def test_nodes_elsewhere_fail_a_model_by_their_names(monkeypatch):
    there = {"CUDAExecutionProvider": ["node_conv (Conv)"], "CPUExecutionProvider": ["node_shape (Shape)"]}
    monkeypatch.setattr(gpu, "placed", lambda content, images, provider: there)
    monkeypatch.setattr(gpu, "load_model", lambda content, card, device: LoadedModel())
    check = gpu.check_placement("mnist-conv", "cuda")
    assert not check.passed
    assert check.found == "not on cuda: node_shape (Shape)"


class LoadedModel:
    def layers(self, images, names):
        return dict.fromkeys(names)


def test_nodes_are_told_with_the_provider_that_ran_them():
    model = onnx.parser.parse_model(
        '<ir_version: 10, opset_import: ["": 20]> g (uint8[N] image) => (float[N] y)'
        "{ x = Cast <to = 1> (image) y = Exp (x) }"
    )
    nodes = gpu.placed(model.SerializeToString(), np.zeros(3, np.uint8), "CPUExecutionProvider")
    assert list(nodes) == ["CPUExecutionProvider"]
    assert sorted(name.split("(")[1] for name in nodes["CPUExecutionProvider"]) == ["Cast)", "Exp)"]


@pytest.mark.parametrize("words", gpu.WINDOWS)
def test_the_op_agrees_with_itself_in_every_kind_of_window(words):
    assert gpu.check_op(words, gpu.WINDOWS[words], "cpu").passed


def test_an_op_that_forgets_its_window_is_told(monkeypatch):
    made, sessions = gpu.onnx_layer.one_layer, []

    def one_layer(op, shape, **window):
        sessions.append(made(op, shape))
        return made(op, shape, **window)

    monkeypatch.setattr(gpu.onnx_layer, "one_layer", one_layer)
    opened = gpu.open_session
    monkeypatch.setattr(
        gpu, "open_session", lambda content, device: opened(content if device == "cpu" else sessions[-1], "cpu")
    )
    assert not gpu.check_op("3x3, dilated", gpu.WINDOWS["3x3, dilated"], "cuda").passed


@pytest.mark.parametrize("name", gpu.LAYERS)
def test_a_layer_of_torch_agrees_with_itself(name):
    assert gpu.check_layer(name, gpu.LAYERS[name], "cpu").passed


def test_a_layer_whose_second_run_differs_is_told():
    exponents = iter([2.0, 2.0001])
    check = gpu.check_layer("planted", lambda: SharpenedCosineSimilarity2d(6, 5, 3, p=next(exponents)), "cpu")
    assert not check.passed and "y:" in check.found


def test_answers_without_a_fault_pass_every_check():
    checks = list(gpu.check_answers("cuda", asked("cuda", on_cuda())))
    assert len(checks) == len(ANSWERS) + len(gpu.METHODS)
    assert all(check.passed for check in checks)


def test_a_match_that_ran_on_the_cpu_is_told_though_its_numbers_agree():
    passed = outcomes(gpu.check_answers("cuda", asked("cuda", ANSWERS)))
    assert {name for name, well in passed.items() if not well} == {f"device of match {m}" for m in gpu.METHODS}


@pytest.mark.parametrize(
    "name, planted",
    [
        ("predict a", {"cat": 0.74, "dog": 0.26}),
        ("predict a", {"cat": 0.75}),
        ("predict a", {"cat": float("nan"), "dog": 0.25}),
        ("activations a, npz", {"stem": np.zeros((4, 40, 39))}),
        ("activations a, npz", {"stem": ANSWERS["activations a, npz"]["stem"] * 1.01}),
        ("match scs", {"device": "cuda", "0 place": [40.5, 31.25], "0 score": [0.9, True]}),
        ("match scs", {"device": "cuda", "0 place": [40.5, 30.25], "0 score": [0.9, False]}),
    ],
    ids=["a probability", "a class left out", "no number", "another shape", "a whole map", "a place", "present"],
)
def test_an_answer_that_differs_is_told_and_no_other(name, planted):
    passed = outcomes(gpu.check_answers("cuda", asked("cuda", on_cuda() | {name: planted})))
    assert [each for each, well in passed.items() if not well] == [name]


def test_a_few_places_of_a_map_may_jump_and_not_more():
    mine = ANSWERS["activations a, npz"]["stem"]
    few, many = mine.copy(), mine.copy()
    few.flat[:: mine.size // 10] *= -1
    many.flat[:: mine.size // 40] *= -1
    assert gpu.compared("map", {"stem": mine}, {"stem": few}).passed
    assert not gpu.compared("map", {"stem": mine}, {"stem": many}).passed


def test_the_service_is_asked_for_every_kind_of_answer(monkeypatch):
    monkeypatch.setattr(gpu, "MODELS", ("mnist-scs",))
    monkeypatch.setattr(gpu, "METHODS", ("scs",))
    found = gpu.answers("cpu")
    assert sorted(found) == [
        "activations mnist-scs",
        "activations mnist-scs, npz",
        "match scs",
        "match, npz",
        "match, turned",
        "predict mnist-scs",
    ]
    assert all(found.values()) and found["match scs"]["device"] == "cpu"
    assert len(found["predict mnist-scs"]) == 10
    assert {"stem", "stem.channels"} <= set(found["activations mnist-scs, npz"])


def test_an_answer_that_is_a_failure_is_told_with_its_status(monkeypatch):
    monkeypatch.setattr(
        gpu, "requests", lambda: [("predict a", "/predict", "application/json", {"model": "none"}, PNG)]
    )
    found = gpu.answers("cpu")
    assert list(found["predict a"])[0].startswith("status 404: ")
    check = gpu.compared("predict a", {"cat": 1.0}, found["predict a"])
    assert not check.passed and "status 404" in check.found


PNG = {"file": ("a.png", gpu.png(np.zeros((8, 8, 3), np.uint8)))}


@pytest.mark.parametrize(
    "body, passed", [("assert True", True), ("assert False", False), ("import pytest; pytest.skip('no GPU')", False)]
)
def test_tests_that_fail_or_skip_themselves_are_told(body, passed, tmp_path):
    file = tmp_path / "test_cuda.py"
    file.write_text(f"def test_on_cuda():\n    {body}\n")
    assert gpu.check_tests(file, "cuda").passed is passed


def part(name, make, needs=1.0, checks=True):
    return gpu.Part(name, make, needs, checks)


def test_whatever_fails_the_rest_is_still_run():
    wanted = [
        part("broken", lambda: 1 / 0),
        part("checks", lambda: [gpu.Check("well", True, "so")]),
        part("times", lambda: [{"case": 1}, {"case": 2}], checks=False),
    ]
    checks, times = gpu.run(wanted, gpu.Budget(100))
    assert outcomes(checks) == {"broken": False, "well": True}
    assert times == {"times": [{"case": 1}, {"case": 2}]}


def test_a_check_that_no_time_is_left_for_has_failed_and_times_are_only_left_out(capsys):
    now = [0.0]

    def slow():
        now[0] += 95
        yield gpu.Check("slow", True, "so")

    wanted = [part("slow", slow), part("late", lambda: [], 10), part("times", lambda: [], 10, checks=False)]
    checks, times = gpu.run(wanted, gpu.Budget(100, lambda: now[0]))
    assert outcomes(checks) == {"slow": True, "late": False} and not times
    assert "left out: times; 5 of the 10 seconds it needs are left" in capsys.readouterr().out


def test_a_check_that_raises_is_told_with_its_reason():
    check = gpu.attempted("nodes", gpu.check_placement, "no-such-model", "cpu")
    assert not check.passed and "no-such-model" in check.found


def test_every_part_is_there_and_fits_into_eight_minutes():
    wanted = gpu.parts("cuda")
    assert [each.name for each in wanted if each.checks] == ["nodes", "op", "layers", "answers", "tests"]
    assert sum(each.needs for each in wanted) <= gpu.SECONDS < 480


@pytest.mark.parametrize(
    "there, obstacle, well, status, said",
    [
        ([], "built without it", True, 0, "no GPU here: built without it. Nothing was checked"),
        (["H100, 580.1"], None, True, 0, "3 of 3 checks passed"),
        (["H100, 580.1"], None, False, 1, "failed: planted"),
        (["H100, 580.1"], "built without it", True, 1, "failed: ONNX Runtime on CUDA"),
    ],
    ids=["no GPU", "all well", "a failure", "a GPU that the runtime cannot use"],
)
def test_only_a_gpu_is_recorded_and_only_failures_end_with_one(
    there, obstacle, well, status, said, monkeypatch, tmp_path, capsys
):
    monkeypatch.setattr(gpu, "gpus", lambda: there)
    monkeypatch.setattr(gpu, "cuda_obstacle", lambda: obstacle)
    monkeypatch.setattr(gpu, "cuda_match_obstacle", lambda wish: None)
    planted = [part("planted", lambda: [gpu.Check("planted", well, "so")])]
    monkeypatch.setattr(gpu, "parts", lambda device: planted)
    results = tmp_path / "gpu.json"

    assert gpu.main([], results) == status
    assert said in capsys.readouterr().out
    assert results.exists() == bool(there)
    if there:
        told = json.loads(results.read_text())
        assert told["gpu"] == "H100, 580.1" and {"torch", "onnxruntime", "cuda"} <= set(told["versions"])
        assert {"name": "planted", "passed": well, "found": "so", "figures": {}} in told["checks"]


def test_a_machine_without_nvidias_driver_has_no_gpu(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert gpu.gpus() == []


@pytest.fixture
def once(monkeypatch):
    """Each side is run once in place of being timed; the list says which."""
    ran = []

    def interleaved(sides, seconds):
        for name, side in sides.items():
            side()
            ran.append(name)
        return {name: [1.0, 2.0, 3.0] for name in sides}

    for module in (gpu, gpu.onnx_layer, gpu.training):
        monkeypatch.setattr(module, "interleaved", interleaved)
    return ran


def test_networks_run_on_both_sides(once, monkeypatch):
    monkeypatch.setattr(gpu, "MODELS", ("mnist-conv",))
    lines = list(gpu.network_times("cpu", 1))
    assert [line["case"] for line in lines] == ["mnist-conv, batch 1", "mnist-conv, batch 32"]
    assert once == ["cpu", "gpu"] * 2
    assert all(line["cpu_over_gpu"] == 1 and line["first_ms"] > 0 for line in lines)


def test_matches_run_on_both_sides(once, monkeypatch):
    monkeypatch.setattr(gpu, "MATCHES", [("tiny", 1), ("tiny", 2)])
    monkeypatch.setattr(gpu, "SCENES", {"tiny": (80, 90)})
    lines = list(gpu.match_times("cpu", 1))
    assert [line["case"].split(", ")[1:] for line in lines] == [
        *(["1 of 64x64", method] for method in ("ccoeff_normed", "scs", "sqdiff")),
        ["2 of 64x64", "ccoeff_normed"],
    ]
    assert once == ["cpu", "gpu"] * 4


def test_convolution_and_spectra_are_each_forced_and_the_usual_limit_comes_back(once, monkeypatch):
    monkeypatch.setattr(gpu, "SIDES", (3, 12))
    monkeypatch.setattr(gpu, "SCENES", {"1920x1080": (60, 70)})
    usual = gpu.torch_scores.DIRECT_PIXELS
    assert [line["side"] for line in gpu.crossover("cpu", 1)] == [3, 12]
    assert once == ["convolution", "spectra"] * 2
    assert usual == gpu.torch_scores.DIRECT_PIXELS


def test_layers_and_training_run_beside_convolution(once, monkeypatch):
    shape = (1, 4, 4, 6, 3)
    monkeypatch.setattr(gpu.onnx_layer, "SHAPES", [shape])
    monkeypatch.setattr(gpu.training, "SHAPES", [shape, shape])
    monkeypatch.setattr(torch, "compile", lambda layer: layer)
    (line,) = gpu.op_times("cpu", 1)
    assert list(line["sides"]) == ["conv", "scs"]
    lines = list(gpu.torch_layer_times("cpu", 1, [shape]))
    assert [line["dtype"] for line in lines] == ["torch.float32", "torch.bfloat16"]
    assert all(line["training"]["scs"]["ratio"] == line["inference"]["scs"]["ratio"] == 1 for line in lines)
    assert list(next(gpu.training_times("cpu", 1))) == ["conv", "scs"]
    assert list(next(gpu.compiled_times("cpu", 1))) == ["conv2d", "scs"]
