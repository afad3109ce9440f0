"""A large model's weights are held once: its sessions are opened when they are needed, and its file is not kept."""

import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from models.cards.catalogue import find
from models.runtime import onnx_session
from models.runtime.load import load_model
from models.runtime.onnx_session import OnnxModel
from models.runtime.taken import Taken
from scs.errors import ModelError
from service.repository import sent_model
from service.repository.loader import Tried, load_entry
from service.repository.sent_model import SentModel
from service.workers.channel import OpenFile
from tests.service.hostile_models import put_model
from tests.service.pixel_model import put_pixels

MEASURE = """
import ctypes, sys
from pathlib import Path
import numpy as np
from models.cards.catalogue import find
from models.runtime.taken import Taken
from service.repository.loader import Tried, load_entry

def held():
    ctypes.CDLL(None).malloc_trim(0)
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmRSS"))

def loaded(name):
    model = load_entry(find(Path(sys.argv[1]), name), "cpu", False, try_out=lambda card, file: Tried(Taken()))
    for _ in range(3):
        model.runtime.logits(np.zeros((1, 8, 8, 1), np.uint8))
    return model

small = loaded("small")
before = held()
large = loaded("large")
print(held() - before)
"""


def put_dense(repository, name, units, layers):
    """Write a model of dense layers; the size of its file."""
    random = np.random.default_rng(0)
    sizes = [64, *[units] * layers, 2]
    weights = [
        numpy_helper.from_array(random.standard_normal(pair, np.float32) / pair[0] ** 0.5, f"w{i}")
        for i, pair in enumerate(zip(sizes, sizes[1:], strict=False))
    ]
    nodes = [helper.make_node("Cast", ["image"], ["f"], to=1), helper.make_node("Flatten", ["f"], ["x0"])]
    nodes += [helper.make_node("MatMul", [f"x{i}", f"w{i}"], [f"x{i + 1}"]) for i in range(layers + 1)]
    nodes[-1].output[0] = "logits"
    image = helper.make_tensor_value_info("image", onnx.TensorProto.UINT8, ["N", 8, 8, 1])
    logits = helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, ["N", 2])
    graph = helper.make_graph(nodes, name, [image], [logits], weights)
    put_model(repository, name, helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8))
    return (repository / name / "1" / "model.onnx").stat().st_size


@pytest.fixture
def stored(repository):
    entry = find(repository, "shapes-conv")
    return entry.verified_bytes(), entry.card()


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3), np.uint8)


@pytest.fixture
def all_are_large(monkeypatch):
    monkeypatch.setattr(onnx_session, "_LARGE_BYTES", 0)


@pytest.fixture
def opened(monkeypatch):
    """How many threads each session that was opened has."""
    threads = []
    open_session = onnx_session.open_session

    def listen(content, device, **options):
        threads.append(options["threads"])
        return open_session(content, device, **options)

    monkeypatch.setattr(onnx_session, "open_session", listen)
    return threads


@pytest.mark.slow
def test_the_service_holds_a_large_model_once(tmp_path):
    put_dense(tmp_path, "small", 8, 1)
    size = put_dense(tmp_path, "large", 2048, 13)
    assert size > 190e6
    ran = subprocess.run([sys.executable, "-c", MEASURE, str(tmp_path)], capture_output=True, text=True, check=True)
    held = int(ran.stdout.split()[-1])
    assert 0.9 * size < held < 1.5 * size


def test_a_large_model_answers_as_ever(stored, images, monkeypatch):
    usual = load_model(*stored, "cpu")
    monkeypatch.setattr(onnx_session, "_LARGE_BYTES", 0)
    large = load_model(*stored, "cpu", lambda: stored[0])
    np.testing.assert_allclose(large.logits(images), usual.logits(images), atol=1e-5)
    for name, maps in usual.layers(images, ["stem", "class_map"]).items():
        np.testing.assert_allclose(large.layers(images, ["stem", "class_map"])[name], maps, atol=1e-5)


def test_a_large_model_opens_one_session_for_its_logits(stored, images, all_are_large, opened, monkeypatch):
    monkeypatch.setattr(onnx_session, "usable_cores", lambda: 2)
    model = load_model(*stored, "cpu", lambda: stored[0])
    model.logits(images)
    assert opened == [2]
    model.layers(images, ["stem"])
    assert opened == [2, 2]


def test_a_model_that_was_tried_elsewhere_opens_what_is_asked_of_it(stored, images, all_are_large, opened):
    model = load_model(*stored, "cpu", is_tried=True)
    assert opened == []
    model.layers(images, ["stem"])
    assert len(opened) == 1


def test_a_large_files_content_is_read_again_and_not_kept(stored, images, all_are_large):
    reads = []

    def read_again():
        reads.append(len(reads))
        return stored[0]

    model = OnnxModel(*stored, "cpu", read_again, is_tried=True)
    assert reads == []
    model.logits(images)
    model.layers(images, ["stem"])
    assert reads == [0, 1]


def test_a_file_that_has_changed_meanwhile_is_not_opened(tmp_path, all_are_large):
    put_pixels(tmp_path, "pixels", 8, 8)
    model = load_entry(find(tmp_path, "pixels"), "cpu", False, try_out=lambda card, file: Tried(Taken()))
    path = tmp_path / "pixels" / "1" / "model.onnx"
    path.write_bytes(path.read_bytes().replace(b"pixels", b"pixelz"))
    with pytest.raises(ModelError, match="needs SHA-256"):
        model.runtime.layers(np.zeros((1, 8, 8, 3), np.uint8), ["pixels"])


@pytest.mark.parametrize(("most", "kept"), [(2**20, 1), (10, 0)])
def test_a_worker_keeps_a_model_unless_it_is_large(tmp_path, monkeypatch, most, kept):
    monkeypatch.setattr(sent_model, "_loaded", loaded := type(sent_model._loaded)())
    monkeypatch.setattr(sent_model, "_MOST_KEPT_BYTES", most)
    put_pixels(tmp_path, "pixels", 8, 8)
    entry = find(tmp_path, "pixels")
    with entry.open_model(entry.card()) as file:
        model = SentModel(entry.card(), OpenFile(file.fileno())).loaded()
        assert model.runtime.logits(np.full((1, 8, 8, 3), 7, np.uint8)).tolist() == [[7, 7, 7]]
    assert len(loaded) == kept


def test_a_worker_forgets_older_models_that_are_too_large_together(tmp_path, monkeypatch):
    monkeypatch.setattr(sent_model, "_loaded", loaded := type(sent_model._loaded)())
    size = 0
    for name in ("older", "newer"):
        put_pixels(tmp_path, name, 8, 8)
        entry = find(tmp_path, name)
        with entry.open_model(entry.card()) as file:
            size = size or len(entry.verified_bytes())
            monkeypatch.setattr(sent_model, "_MOST_KEPT_BYTES", size * 3 // 2)
            SentModel(entry.card(), OpenFile(file.fileno())).loaded()
    (key,) = loaded
    assert '"newer"' in key[1]


@pytest.mark.parametrize("count", [1, 3, 4, 5, 8, 9])
def test_a_graph_of_a_fixed_batch_takes_any_number_of_images(tmp_path, count):
    put_pixels(tmp_path, "fixed", 6, 5, batch=4)
    entry = find(tmp_path, "fixed")
    model = load_model(entry.verified_bytes(), entry.card(), "cpu")
    images = np.random.default_rng(count).integers(0, 256, (count, 5, 6, 3), np.uint8)
    np.testing.assert_allclose(model.logits(images), images.mean((1, 2)), rtol=1e-5)
    found = model.layers(images, ["pixels"])
    np.testing.assert_array_equal(found["pixels"], images.transpose(0, 3, 1, 2))
    assert found["logits"].shape == (count, 3)
