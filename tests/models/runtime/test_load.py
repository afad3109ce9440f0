"""An exported model answers the same from every session, format and thread, and a broken one is refused in one line."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest

from models.cards.catalogue import find
from models.export.parity import decided
from models.runtime.load import cuda_obstacle, load_model
from models.runtime.onnx_session import OnnxModel
from models.runtime.torchscript import TorchScriptModel
from models.training.runs import load_network
from scs.errors import DeviceError, MissingPackageError, ModelError

NAMES = ["shapes-scs", "shapes-conv", "shapes-script"]
without_cuda = pytest.mark.skipif(cuda_obstacle() is None, reason="needs a machine without a working CUDA device")


@pytest.fixture(params=NAMES)
def stored(request, repository):
    """The bytes and the card of a model."""
    entry = find(repository, request.param)
    return entry.verified_bytes(), entry.card()


@pytest.fixture
def onnx_stored(repository):
    entry = find(repository, "shapes-scs")
    return entry.verified_bytes(), entry.card()


@pytest.fixture(scope="module")
def images(runs):
    """Pictures of noise, none of which any network pools by the luck of its rounding."""
    drawn = np.random.default_rng(0).integers(0, 256, (40, 16, 16, 3), np.uint8)
    for run in runs["scs"]:
        drawn = drawn[decided(load_network(run)[0], drawn)]
    return drawn[:20]


def in_a_fresh_process(code, **environment):
    inherited = {key: value for key, value in os.environ.items() if key != "ORT_DISABLE_TELEMETRY"}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env=inherited | environment, capture_output=True, text=True, check=True).stdout


def test_logits_are_the_same_with_and_without_the_layers(stored, images):
    model = load_model(*stored, "cpu")
    names = [layer.name for layer in stored[1].layers]
    answer = model.layers(images[:3], names)
    assert list(answer) == ["logits", *names]
    np.testing.assert_allclose(model.logits(images[:3]), answer["logits"], rtol=0, atol=1e-5)
    assert {values.dtype for values in answer.values()} == {np.dtype(np.float32)}


def test_only_the_layers_asked_for_are_given_in_the_order_asked(stored, images):
    assert list(load_model(*stored, "cpu").layers(images[:1], ["class_map", "stem"])) == ["logits", "class_map", "stem"]


def test_the_answer_for_an_image_does_not_depend_on_its_batch(stored, images):
    model = load_model(*stored, "cpu")
    images = images[:5]
    alone = np.concatenate([model.logits(image[None]) for image in images])
    np.testing.assert_allclose(model.logits(images), alone, rtol=0, atol=1e-5)


def test_onnx_and_torchscript_of_one_network_agree(repository, images):
    logits = []
    for name, kind in (("shapes-scs", OnnxModel), ("shapes-script", TorchScriptModel)):
        entry = find(repository, name)
        model = load_model(entry.verified_bytes(), entry.card(), "cpu")
        assert type(model) is kind
        logits.append(model.logits(images))
    np.testing.assert_allclose(*logits, rtol=0, atol=1e-4)


def test_eight_threads_get_the_answers_that_one_gets(stored, images):
    model = load_model(*stored, "cpu")
    batches = [images[i % 15 :][: 1 + i % 3] for i in range(64)]

    def ask(images):
        return model.logits(images), model.layers(images, ["block1"])["block1"]

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, batches))
    for images, (logits, block) in zip(batches, answers, strict=True):
        alone = ask(images)
        np.testing.assert_allclose(logits, alone[0], rtol=0, atol=1e-6)
        np.testing.assert_allclose(block, alone[1], rtol=0, atol=1e-6)


@pytest.mark.parametrize("broken", [lambda _: b"", lambda _: b"not a model", lambda whole: whole[:-100]])
def test_broken_bytes_are_refused_in_one_line(stored, broken):
    content, card = stored
    with pytest.raises(ModelError, match=rf"\A{card.name} 1 could not be loaded: .+\Z"):
        load_model(broken(content), card, "cpu")


def test_a_layer_that_the_graph_does_not_have_is_named(onnx_stored):
    content, card = onnx_stored
    lacking = card.layers[0].model_copy(update={"tensor": "block9"})
    with pytest.raises(ModelError, match="the card names a layer's tensor 'block9' that the graph does not have"):
        OnnxModel(content, card.model_copy(update={"layers": [lacking]}), "cpu")


@pytest.mark.parametrize(
    "update, message",
    [
        (
            {"labels": ["disc", "bar"]},
            r"needs the output logits of 2 classes, floating point; it has logits, tensor\(float\), \[.*, 3\]",
        ),
        (
            {"input": {"channels": 1}},
            r"needs the input image, tensor\(uint8\), that takes \(1, 16, 16, 1\), .*; it has .*, 3\]",
        ),
    ],
    ids=["labels", "channels"],
)
def test_a_graph_that_does_not_fit_its_card_is_refused(onnx_stored, update, message):
    content, card = onnx_stored
    if "input" in update:
        update = {"input": card.input.model_copy(update=update["input"])}
    with pytest.raises(ModelError, match=message):
        OnnxModel(content, card.model_copy(update=update), "cpu")


def test_a_branch_may_read_what_was_made_outside_of_it(onnx_stored, images):
    content, card = onnx_stored
    expected = load_model(content, card, "cpu").logits(images)
    model = onnx.load_from_string(content)
    (last,) = [node for node in model.graph.node if "logits" in node.output]
    last.output[0] = "made_outside"
    branches = {
        f"{way}_branch": onnx.helper.make_graph(
            [onnx.helper.make_node("Identity", ["made_outside"], [way])],
            way,
            [],
            [onnx.helper.make_tensor_value_info(way, onnx.TensorProto.FLOAT, None)],
        )
        for way in ("then", "else")
    }
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(True), "condition"))
    model.graph.node.extend(
        [
            onnx.helper.make_node("If", ["condition"], ["logits"], **branches),
            onnx.helper.make_node("Identity", ["made_outside"], ["unused"]),  # or nothing would be taken away
        ]
    )
    np.testing.assert_array_equal(load_model(model.SerializeToString(), card, "cpu").logits(images), expected)


def test_a_model_in_several_files_is_refused(onnx_stored):
    content, card = onnx_stored
    model = onnx.load_from_string(content)
    onnx.external_data_helper.set_external_data(model.graph.initializer[0], "weights.bin")
    with pytest.raises(ModelError, match="shapes-scs needs to be one file; it refers to others"):
        OnnxModel(model.SerializeToString(), card, "cpu")


def test_torchscript_without_torch_says_what_to_install(repository, monkeypatch):
    entry = find(repository, "shapes-script")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(
        MissingPackageError, match=r"shapes-script 1 .* needs torch, .*: pip install 'scs-serve\[train\]'"
    ):
        load_model(entry.verified_bytes(), entry.card(), "cpu")


@without_cuda
def test_a_model_that_shall_run_on_a_device_that_is_not_there_is_refused(stored):
    with pytest.raises(DeviceError, match="CUDA"):
        load_model(*stored, "cuda")


def test_the_runtimes_telemetry_is_off_unless_the_user_says_otherwise():
    code = "import os, models.runtime.load; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    assert in_a_fresh_process(code) == "1\n"
    assert in_a_fresh_process(code, ORT_DISABLE_TELEMETRY="0") == "0\n"


@pytest.mark.parametrize("module", ["runtime.load", "cards.catalogue", "evaluation.accuracy"])
def test_running_listing_and_measuring_models_needs_no_torch(module):
    code = f"import sys, models.{module}; print('torch' in sys.modules)"
    assert in_a_fresh_process(code) == "False\n"


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the memory in use from Linux's /proc")
def test_the_memory_of_dense_maps_is_handed_back():
    """Kept, as the runtime would, it is over 600 MB for a photograph of 1024x768.

    What is below 32 MB a tensor, the C library may keep for a while; how much that is differs from run to run.
    """
    code = """
import re
import numpy as np
from models.cards import catalogue
from models.runtime.load import load_model
entry = catalogue.find(catalogue.bundled_repository(), "cifar10-scs")
model = load_model(entry.verified_bytes(), entry.card(), "cpu")
photograph = np.random.default_rng(0).integers(0, 256, (1, 768, 1024, 3), dtype=np.uint8)
def in_use():
    return int(re.search(r"VmRSS:\\s+(\\d+)", open("/proc/self/status").read())[1]) // 1024
before = in_use()
for _ in range(2):
    model.layers(photograph, [layer.name for layer in entry.card().layers])
    model.logits(photograph)
print(in_use() - before)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 350
