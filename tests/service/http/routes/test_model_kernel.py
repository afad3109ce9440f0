"""The kernel of a channel and the input it is laid over: from them the formula gives what the layer shows."""

import io
import json

import numpy as np
import onnx
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from models.imports.importing import import_network
from models.imports.original import read_original
from models.imports.wish import Wish
from models.imports.write import write
from service.app import create_app
from tests.models.imports.networks import Residual, export, seeded
from tests.service.hostile_models import put_model
from tests.service.pixel_model import SEES_ITSELF

# Two groups, a stride, and pooling behind the kernels; a layer that only pools; one whose kernels are computed.
GROUPED = """
<ir_version: 8, opset_import: ["": 18]> g (uint8[N,H,W,1] image) => (float[N,1] logits)
<float[4,1,1,3] w = {1,2,3, 4,5,6, 7,8,9, 10,11,12}, float[4] b = {0,1,2,3}, float[1,4,1,1] v = {1,1,1,1}> {
    f = Cast <to = 1> (image)
    y = Transpose <perm = [0, 3, 1, 2]> (f)
    x = Concat <axis = 1> (y, y)
    c = Conv <group = 2, strides = [1, 2], pads = [0, 1, 0, 1]> (x, w, b)
    r = Relu (c)
    grouped = MaxPool <kernel_shape = [2, 1], strides = [2, 1]> (r)
    pooled = MaxPool <kernel_shape = [1, 1]> (grouped)
    u = Neg (v)
    computed = Conv (grouped, u)
    m = Add (computed, pooled)
    axes = Constant <value = int64[3] {1, 2, 3}> ()
    flat = ReduceMean <keepdims = 0> (m, axes)
    one = Constant <value = int64[1] {1}> ()
    logits = Unsqueeze (flat, one)
}
"""
PICTURE = np.random.default_rng(5).integers(0, 256, (20, 24, 3), np.uint8)


@pytest.fixture(scope="module")
def others(settings, tmp_path_factory):
    """The service over an imported residual network, and one whose layers are made in odd ways."""
    repository = tmp_path_factory.mktemp("others")
    wish = Wish(labels=[f"class {i}" for i in range(5)], preprocess="0-1")
    original = read_original(export(seeded(Residual), tmp_path_factory.mktemp("original") / "net.onnx"))
    write(import_network(original, wish, "residual", 1), repository)
    channels = {"grouped": 4, "pooled": 4, "computed": 1}
    layers = [
        {"name": name, "tensor": name, "channels": count, "receptive_field": SEES_ITSELF, "signed": True}
        for name, count in channels.items()
    ]
    put_model(repository, "grouped", onnx.parser.parse_model(GROUPED), labels=["light"], layers=layers)
    changed = {"model_repository": repository, "default_model": "residual"}
    with TestClient(create_app(settings.model_copy(update=changed))) as client:
        yield client


def arrays_of(client, model, layer):
    buffer = io.BytesIO()
    Image.fromarray(PICTURE).save(buffer, "PNG")
    answer = client.post(
        "/activations",
        params={"model": model, "layers": layer, "channels": "all", "inputs": "true"},
        content=buffer.getvalue(),
        headers={"Content-Type": "image/png", "Accept": "application/x-npz"},
    )
    assert answer.status_code == 200, answer.text
    return np.load(io.BytesIO(answer.content))


def patches_of(values, answer):
    """The patches ``(places, C, kH, kW)`` of an input that a kernel is laid over, and its weights."""
    kernel = np.array(answer["kernel"])
    top, left, bottom, right = answer["pads"]
    first, (channels, *size) = answer["first_input"], kernel.shape
    padded = np.pad(values[first : first + channels].astype(np.float64), ((0, 0), (top, bottom), (left, right)))
    down, across = answer["strides"]
    windows = np.lib.stride_tricks.sliding_window_view(padded, size, (1, 2))[:, ::down, ::across]
    return windows.transpose(1, 2, 0, 3, 4).reshape(-1, *kernel.shape), kernel


@pytest.mark.parametrize("layer", ["stem", "block1"])
def test_the_formula_of_kernel_and_input_gives_the_layer_of_sharpened_cosine_similarity(client, layer):
    arrays = arrays_of(client, "shapes-scs", layer)
    answer = client.get("/models/shapes-scs/kernel", params={"layer": layer, "channel": 2}).json()
    assert (answer["operator"], answer["bias"], answer["after"]) == ("SharpenedCosineSimilarity", None, [])
    patches, kernel = patches_of(arrays[f"{layer}.input"], answer)
    dots = (patches * kernel).sum((1, 2, 3))
    norms = np.sqrt((patches**2).sum((1, 2, 3)))
    cosine = dots / ((norms + answer["q"]) * (np.linalg.norm(kernel) + answer["q"]))
    shown = arrays[layer][2].ravel()
    expected = np.sign(cosine) * np.abs(cosine) ** answer["p"]
    assert shown == pytest.approx(expected, abs=1e-3 * float(np.abs(shown).max()))


def test_a_convolution_s_kernel_its_bias_and_the_input_give_the_layer(client):
    arrays = arrays_of(client, "shapes-conv", "stem")
    answer = client.get("/models/shapes-conv/kernel", params={"layer": "stem", "channel": 1}).json()
    assert (answer["operator"], answer["p"], answer["q"], answer["after"]) == ("Conv", None, None, ["Relu"])
    patches, kernel = patches_of(arrays["stem.input"], answer)
    expected = np.maximum(0, (patches * kernel).sum((1, 2, 3)) + answer["bias"])
    assert arrays["stem"][1].ravel() == pytest.approx(expected, abs=1e-4)


def test_the_numbers_alone_are_an_array(client):
    options = {"layer": "stem", "channel": 1}
    answer = client.get("/models/shapes-scs/kernel", params=options)
    numbers = client.get("/models/shapes-scs/kernel", params=options, headers={"Accept": "application/x-npy"})
    assert numbers.headers["content-type"] == "application/x-npy"
    assert np.load(io.BytesIO(numbers.content)) == pytest.approx(np.array(answer.json()["kernel"], np.float32))


def test_a_kernel_of_a_group_says_which_channels_it_looks_at_and_what_follows_it(others):
    answer = others.get("/models/grouped/kernel", params={"layer": "grouped", "channel": 3}).json()
    assert answer["kernel"] == [[[10, 11, 12]]]
    assert (answer["first_input"], answer["bias"], answer["strides"]) == (1, 3, [1, 2])
    assert (answer["pads"], answer["after"]) == ([0, 1, 0, 1], ["Relu", "MaxPool"])


@pytest.mark.parametrize(
    ("path", "status", "detail"),
    [
        (
            "grouped/kernel?layer=pooled&channel=0",
            422,
            "pooled has no kernels of its own: it is made by MaxPool, not by a convolution or sharpened cosine "
            "similarity alone",
        ),
        (
            "grouped/kernel?layer=computed&channel=0",
            422,
            "the kernels of computed are computed by its graph, and not held by the file",
        ),
        (
            "residual/kernel?layer=blocks.0&channel=0",
            422,
            "blocks.0 has no kernels of its own: it is made by Add, Relu, not by a convolution or sharpened cosine "
            "similarity alone",
        ),
        ("grouped/kernel?layer=pooled&channel=4", 404, "no channel 4 in pooled; there are 4, from 0"),
        ("grouped/kernel?layer=cat&channel=0", 404, "no layer 'cat' in grouped; there are: grouped, pooled, computed"),
        ("grouped/kernel?layer=pooled&channel=-1", 422, None),
        ("grouped/kernel?layer=pooled", 422, None),
        ("grouped/kernel?layer=pooled&channel=0&version=2", 404, "no version 2 of grouped; there are: 1"),
    ],
)
def test_what_has_no_kernel_is_a_problem_in_a_sentence(others, path, status, detail):
    answer = others.get(f"/models/{path}")
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert detail is None or json.loads(answer.text)["detail"] == detail


def test_torchscript_has_no_kernels_that_could_be_told_apart(client):
    answer = client.get("/models/shapes-script/kernel", params={"layer": "stem", "channel": 0})
    assert answer.status_code == 422
    assert answer.json()["detail"] == "kernels are read of a model that is ONNX; shapes-script 1 is TorchScript"
