"""A model's graph says which layer feeds which, whoever made the model, as far as its file has one."""

import json
import math

import onnx
import pytest
from fastapi.testclient import TestClient

from models.imports.importing import import_network
from models.imports.original import read_original
from models.imports.wish import Wish
from models.imports.write import write
from service.app import create_app
from tests.models.imports.networks import Residual, export, seeded
from tests.service.hostile_models import put_model
from tests.service.pixel_model import SEES_ITSELF

# Two layers show one tensor.
TWICE = """
<ir_version: 8, opset_import: ["": 18]> g (uint8[N,H,W,1] image) => (float[N,1] logits) {
    f = Cast <to = 1> (image)
    x = Transpose <perm = [0, 3, 1, 2]> (f)
    axes = Constant <value = int64[2] {2, 3}> ()
    logits = ReduceMean <keepdims = 0> (x, axes)
}
"""


@pytest.fixture(scope="module")
def others(settings, tmp_path_factory):
    """The service over an imported residual network, and one with two layers of one tensor."""
    repository = tmp_path_factory.mktemp("others")
    wish = Wish(labels=[f"class {i}" for i in range(5)], preprocess="0-1")
    original = read_original(export(seeded(Residual), tmp_path_factory.mktemp("original") / "net.onnx"))
    write(import_network(original, wish, "residual", 1), repository)
    layer = {"tensor": "x", "channels": 1, "receptive_field": SEES_ITSELF, "signed": False}
    layers = [layer | {"name": "pixels"}, layer | {"name": "again"}]
    put_model(repository, "twice", onnx.parser.parse_model(TWICE), labels=["light"], layers=layers)
    changed = {"model_repository": repository, "default_model": "residual"}
    with TestClient(create_app(settings.model_copy(update=changed))) as client:
        yield client


def edges_of(graph):
    """Its edges with the names of the nodes that they join."""
    names = [node["name"] for node in graph["nodes"]]
    return [(names[edge["source"]], names[edge["target"]], " ".join(edge["operators"])) for edge in graph["edges"]]


def test_the_layers_of_a_network_feed_one_another_by_operators(client, repository):
    graph = client.get("/models/shapes-scs/graph").json()
    assert (graph["model"], graph["version"]) == ("shapes-scs", 1)
    card = client.get("/models/shapes-scs").json()["card"]
    names = [layer["name"] for layer in card["layers"]]
    assert [(node["kind"], node["name"]) for node in graph["nodes"]] == [
        ("image", "image"),
        *(("layer", name) for name in names),
        ("logits", "logits"),
    ]
    assert graph["nodes"][0]["shape"] == [16, 16, 3]
    assert [node["shape"][0] for node in graph["nodes"][1:-1]] == [layer["channels"] for layer in card["layers"]]
    assert graph["nodes"][-1]["shape"] == [3]
    weights = onnx.load(repository / "shapes-scs/1/model.onnx").graph.initializer
    held = sum(math.prod(each.dims) for each in weights if each.data_type == onnx.TensorProto.FLOAT)
    assert sum(node["parameters"] for node in graph["nodes"]) == held
    assert [(edge["source"], edge["target"]) for edge in graph["edges"]] == [(i, i + 1) for i in range(len(names) + 1)]
    assert "SharpenedCosineSimilarity" in graph["edges"][0]["operators"]


def test_the_skip_connections_of_an_imported_network_are_edges(others):
    graph = others.get("/models/residual/graph").json()
    assert [node["name"] for node in graph["nodes"] if node["kind"] == "join"] == ["Add", "Add"]
    edges = edges_of(graph)
    assert ("stem.1", "Add", "Conv Relu Conv Add") in edges, "normalisation is folded into convolutions"
    assert ("stem.1", "Add", "Add") in edges, "the first block's input is added as it is"
    assert ("blocks.0", "Add", "Conv Relu Conv Add") in edges
    assert ("blocks.0", "Add", "Conv Add") in edges, "the second's by a convolution that halves it"
    assert [edge for edge in edges if edge[0] == "Add"] == [("Add", "blocks.0", "Relu"), ("Add", "blocks.1", "Relu")]
    shapes = {node["name"]: node["shape"] for node in graph["nodes"] if node["kind"] == "layer"}
    assert (shapes["blocks.0"], shapes["blocks.1"]) == ([8, 16, 32], [16, 8, 16])


def test_two_layers_of_one_tensor_are_joined_by_nothing(others):
    graph = others.get("/models/twice/graph").json()
    assert edges_of(graph) == [
        ("image", "pixels", "Cast Transpose"),
        ("pixels", "again", ""),
        ("pixels", "logits", "ReduceMean"),
    ]


@pytest.mark.parametrize(
    ("path", "status", "detail"),
    [
        (
            "/models/shapes-script/graph",
            422,
            "a graph of layers needs a model that is ONNX; shapes-script 1 is TorchScript",
        ),
        ("/models/cat/graph", 404, "no model 'cat'; there are: shapes-conv, shapes-script, shapes-scs"),
        ("/models/shapes-scs/graph?version=9", 404, "no version 9 of shapes-scs; there are: 1"),
    ],
)
def test_what_has_no_graph_is_a_problem_in_a_sentence(client, path, status, detail):
    answer = client.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert json.loads(answer.text)["detail"] == detail
