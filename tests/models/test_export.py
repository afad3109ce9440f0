"""What is exported is one self-contained file that agrees with its network, or nothing at all."""

import collections
import copy
import hashlib
import io
import json
import re
import shutil
import zipfile

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from torch import nn

from models import export
from models.catalogue import find
from models.evaluation import evaluate
from models.export import check_parity, decided, export_onnx, export_runs, export_torchscript
from models.networks import FAMILIES, Network
from models.receptive_field import receptive_fields
from models.runtime import load_model
from models.training import load_network
from scs.errors import DataError, ExportError, OptionError
from scs.layers import MaxAbsPool2d, SharpenedCosineSimilarity2d

SCS_LAYERS = 5  # the stem, and two in each of the two blocks of the networks in `runs`
SIZES = [(1, 4, 4), (6, 16, 16), (8, 40, 23)]

# All of them have kernels for CUDA; a node that computes sizes would be left to the CPU.
GRAPH_OPS = {"Cast", "Transpose", "Mul", "Add", "Pad", "Conv", "MaxPool", "ReduceMean"}
OPS = {
    "conv": GRAPH_OPS | {"Relu"},
    "scs": GRAPH_OPS
    | {"Neg", "GreaterOrEqual", "Where"}
    | {"ReduceSum", "AveragePool", "Sqrt", "Div", "Abs", "Log", "Exp"},
}
NAMES = {"shapes-scs": "scs", "shapes-conv": "conv", "shapes-script": "scs"}


@pytest.fixture(params=FAMILIES)
def family(request):
    return request.param


@pytest.fixture(params=NAMES)
def entry(request, repository):
    return find(repository, request.param)


@pytest.fixture
def content(family, repository):
    """The ONNX file of a family."""
    return find(repository, f"shapes-{family}").verified_bytes()


def exported(entry, runs):
    """The network that a file was made from, its card and the loaded file."""
    card = entry.card()
    folder = runs[NAMES[entry.name]][card.training.seed]
    return load_network(folder)[0], card, load_model(entry.verified_bytes(), card, "cpu")


def draw(size, channels=3):
    return np.random.default_rng(0).integers(0, 256, (*size, channels), np.uint8)


def untrained(stem=None):
    torch.manual_seed(0)
    network = Network("scs", 3, 3, (8, 8), [0.5] * 3, [0.25] * 3).eval()
    network.stem = stem or network.stem
    return network


def perturbed(network):
    """The same network but for one weight."""
    other = copy.deepcopy(network)
    with torch.no_grad():
        other.bias[0] += 0.001
    return other


class Changed:
    """A file whose logits are those of a network, changed."""

    def __init__(self, network, change):
        self.device, self.network, self.change = "cpu", network, change

    @torch.no_grad()
    def logits(self, images):
        return self.change(self.network(torch.from_numpy(images)).numpy())


def test_the_file_runs_in_plain_onnx_runtime_at_any_number_and_size_of_images(content):
    session = ort.InferenceSession(content, providers=["CPUExecutionProvider"])
    (image,), (logits,) = session.get_inputs(), session.get_outputs()
    assert (image.name, image.type, image.shape) == ("image", "tensor(uint8)", ["N", "H", "W", 3])
    assert (logits.name, logits.type, logits.shape) == ("logits", "tensor(float)", ["N", 3])
    assert [session.run(None, {"image": draw(size)})[0].shape for size in SIZES] == [(1, 3), (6, 3), (8, 3)]


def test_the_op_is_still_there_at_the_end_and_every_call_has_its_function(repository):
    model = onnx.load_from_string(find(repository, "shapes-scs").verified_bytes())
    calls = [node for node in model.graph.node if node.domain == "ai.scs"]
    assert [node.op_type for node in calls] == ["SharpenedCosineSimilarity"] * SCS_LAYERS
    groups = [{a.name: a.i for a in node.attribute}["group"] for node in calls]
    assert [node.overload for node in calls] == ["depthwise" if group > 1 else "" for group in groups]
    assert groups == [1, 8, 1, 12, 1]
    carried = {(f.domain, f.name, f.overload) for f in model.functions}
    called = [node for owner in (model.graph, *model.functions) for node in owner.node if node.domain]
    assert {(node.domain, node.op_type, node.overload) for node in called} <= carried
    assert ("ai.scs", 1) in {(opset.domain, opset.version) for opset in model.opset_import}
    assert [node.op_type for node in model.graph.node].count("Conv") == 1, "the head alone"


def test_a_convolution_network_carries_no_functions(repository):
    model = onnx.load_from_string(find(repository, "shapes-conv").verified_bytes())
    assert not model.functions
    assert [opset.domain for opset in model.opset_import] == [""]


def test_nothing_lies_outside_the_file(content):
    initializers = onnx.load_from_string(content).graph.initializer
    assert initializers
    assert not [tensor.name for tensor in initializers if onnx.external_data_helper.uses_external_data(tensor)]


def test_the_layers_are_tensors_of_the_graph_under_their_own_names(family, content):
    made = {name for node in onnx.load_from_string(content).graph.node for name in node.output}
    assert {"stem", "block1", "block2", "class_map", "logits"} <= made


def test_an_onnx_file_tells_nothing_of_the_machine_it_was_made_on(content):
    model = onnx.load_from_string(content)
    for tensor in model.graph.initializer:
        tensor.ClearField("raw_data")  # bytes of weights, among which anything may come up
    assert not re.findall(rb"\.py\b|site-packages|/[\w.-]+/", model.SerializeToString())


def test_a_torchscript_file_tells_nothing_of_the_machine_it_was_made_on(repository):
    with zipfile.ZipFile(io.BytesIO(find(repository, "shapes-script").verified_bytes())) as archive:
        members = {name: archive.read(name) for name in archive.namelist() if "/data/" not in name}
    assert [name for name in members if name.endswith("models/export.py")], "the code itself, under its module's name"
    for trace in (b'.py"', b".py(", b"site-packages", export.__file__.encode()):
        assert not [name for name, content in members.items() if trace in content]


@pytest.mark.parametrize("size", SIZES)
def test_logits_and_every_layer_agree_with_the_network(entry, runs, size):
    network, _, model = exported(entry, runs)
    images = draw(size)
    images = images[decided(network, images)]
    assert len(images) > 0
    with torch.no_grad():
        expected = {"logits": network(torch.from_numpy(images)), **network.layers(torch.from_numpy(images))}
    came = model.layers(images, network.layer_names)
    assert list(came) == list(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(came[name], values, rtol=1e-4, atol=1e-4, err_msg=name)


def test_the_check_against_the_network_passes_for_its_own_file_and_fails_for_anothers(entry, runs, shapes):
    network, _, model = exported(entry, runs)
    assert 0 <= check_parity(network, model, shapes.test_images) <= 1e-4
    with pytest.raises(ExportError, match=r"logits may differ by 0\.0001; at \(150, 16, 16, 3\) they differ by 0\.001"):
        check_parity(perturbed(network), model, shapes.test_images)


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda logits: logits * np.nan, "they differ by nan"),
        (lambda logits: logits + [0, 0, 1e-6], "in different classes"),
    ],
    ids=["NaN", "a tie tipped over"],
)
def test_nan_and_a_changed_class_fail_the_check_however_small_the_difference(change, message, shapes):
    network = untrained()
    nn.init.zeros_(network.head.weight)  # every class is equally likely
    with pytest.raises(ExportError, match=message):
        check_parity(network, Changed(network, change), shapes.test_images)


class Pooled(nn.Module):
    """A network of pooling alone, over bytes less 100."""

    def __init__(self, pool):
        super().__init__()
        self.pool = pool

    def forward(self, images):
        return self.pool(images.permute(0, 3, 1, 2).float() - 100)


WINDOWS = np.array(
    [[130, 70, 100, 100], [130, 71, 100, 100], [70, 130, 110, 80], [70, 70, 70, 70], [100] * 4], np.uint8
)


@pytest.mark.parametrize(
    "pool, expected", [(MaxAbsPool2d(2), [False, True, False, True, True]), (nn.MaxPool2d(2), [True] * 5)]
)
def test_rounding_decides_only_where_the_largest_values_of_a_window_are_opposite(pool, expected):
    assert decided(Pooled(pool), WINDOWS.reshape(5, 2, 2, 1)).tolist() == expected


def test_one_window_that_rounding_decides_makes_its_image_undecided_and_no_other():
    images = np.full((3, 8, 8, 2), 100, np.uint8)
    images[1, 4:6, 2:4, 1] = WINDOWS[0].reshape(2, 2)
    assert decided(Pooled(MaxAbsPool2d(2)), images).tolist() == [True, False, True]


def test_the_check_fails_where_nothing_can_be_compared(shapes, monkeypatch):
    network = untrained()
    monkeypatch.setattr(export, "decided", lambda network, images: np.zeros(len(images), bool))
    with pytest.raises(ExportError, match="nothing could be compared"):
        check_parity(network, Changed(network, lambda logits: logits), shapes.test_images)


@pytest.mark.parametrize("file_format, exporter", [("onnx", export_onnx), ("torchscript", export_torchscript)])
def test_a_file_that_does_not_agree_is_not_written(file_format, exporter, runs, shapes, tmp_path, monkeypatch):
    monkeypatch.setattr(export, f"export_{file_format}", lambda network: exporter(perturbed(network)))
    with pytest.raises(ExportError, match="logits may differ by"):
        export_runs("shapes", runs["conv"], shapes, tmp_path, 1, file_format)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("best", [0, 1])
def test_the_seed_with_the_best_validation_accuracy_is_exported_whatever_the_test_images_say(
    best, runs, shapes, tmp_path
):
    copies = []
    for seed, run in enumerate(runs["conv"]):
        copies.append(shutil.copytree(run, tmp_path / str(seed)))
        result = json.loads((run / "result.json").read_text())
        result |= {"validation_accuracy": 0.9 if seed == best else 0.8, "test_accuracy": 0.1 if seed == best else 0.99}
        (copies[-1] / "result.json").write_text(json.dumps(result))
    card = export_runs("shapes", copies[::-1], shapes, tmp_path / "repository", 1, "torchscript")
    assert card.training.seed == best
    assert card.class_bias == load_network(copies[best])[0].bias.tolist()
    assert [seed.seed for seed in card.training.seeds] == [0, 1]
    assert card.training.seeds[best].validation_accuracy == 0.9


def test_the_card_describes_the_file(entry, runs, shapes):
    network, card, model = exported(entry, runs)
    content = (entry.folder / card.file_name).read_bytes()
    assert card.sha256 == hashlib.sha256(content).hexdigest()
    assert (card.family, card.labels) == (NAMES[entry.name], ["disc", "bar", "cross"])
    assert card.parameters == sum(p.numel() for p in network.parameters())
    assert card.input.model_dump() == {"width": 16, "height": 16, "channels": 3, "smallest": 4}
    assert card.accuracy == evaluate(model, shapes).card("shapes", "drawn for the tests")

    maps = model.layers(draw((1, 16, 16)), [layer.name for layer in card.layers])
    assert {layer.name: layer.channels for layer in card.layers} == {
        name: values.shape[1] for name, values in maps.items() if name != "logits"
    }
    assert {layer.name: layer.receptive_field.model_dump() for layer in card.layers} == {
        name: vars(field) for name, field in receptive_fields(network).items()
    }
    assert {layer.name for layer in card.layers if not layer.signed} == {
        name for name, values in maps.items() if name != "logits" and values.min() >= 0
    }
    logits = maps[card.class_map].mean((2, 3)) + card.class_bias
    np.testing.assert_allclose(logits, maps["logits"], rtol=0, atol=1e-5)


def test_the_card_says_how_the_model_was_trained(entry, runs):
    training = entry.card().training
    results = [json.loads((run / "result.json").read_text()) for run in runs[NAMES[entry.name]]]
    best = results[training.seed]
    assert training.recipe == best["recipe"]
    assert (training.torch, training.git_commit) == (torch.__version__, best["git_commit"])
    assert [seed.model_dump() for seed in training.seeds] == [
        {key: result[key] for key in ("seed", "validation_accuracy", "test_accuracy")} for result in results
    ]
    assert best["validation_accuracy"] == max(result["validation_accuracy"] for result in results)


def test_the_folder_of_a_version_holds_file_and_card_and_nothing_else(entry):
    files = {path.name: path.stat().st_mode & 0o777 for path in entry.folder.iterdir()}
    assert files == {entry.card().file_name: 0o644, "card.json": 0o644}


def test_an_export_takes_the_place_of_the_one_before(runs, shapes, tmp_path):
    cards = [export_runs("shapes", [run], shapes, tmp_path, 1, "torchscript") for run in runs["conv"]]
    assert cards[0].sha256 != cards[1].sha256
    assert find(tmp_path, "shapes").card() == cards[1]
    find(tmp_path, "shapes").verified_bytes()


@pytest.mark.parametrize(
    "layer, message",
    [
        (
            SharpenedCosineSimilarity2d(4, 8, 3, padding="same", padding_mode="circular"),
            "one group or depthwise layers, padded with zeros",
        ),
        (SharpenedCosineSimilarity2d(4, 8, 3, padding="same", groups=2), "one group or depthwise layers"),
        (SharpenedCosineSimilarity2d(4, 2, 3, padding="same", groups=2), "one group or depthwise layers"),
        (
            SharpenedCosineSimilarity2d(4, 8, 1, padding=1),
            r"padded by less than its kernel; \(1, 1\) came for \(1, 1\)",
        ),
    ],
    ids=["circular", "groups of both", "groups of channels", "wide padding"],
)
def test_a_layer_that_the_op_cannot_express_is_refused(layer, message):
    with pytest.raises(ExportError, match=message):
        export_onnx(untrained(layer))


def test_a_layer_padded_and_dilated_unequally_agrees_with_the_network():
    layer = SharpenedCosineSimilarity2d(4, 8, (4, 3), stride=(1, 2), padding="same", dilation=(1, 2))
    network, images = untrained(layer), draw((8, 15, 22))
    session = ort.InferenceSession(export_onnx(network), providers=["CPUExecutionProvider"])
    images = images[decided(network, images)]
    assert len(images) > 0
    with torch.no_grad():
        expected = network(torch.from_numpy(images))
    np.testing.assert_allclose(session.run(None, {"image": images})[0], expected, rtol=1e-3, atol=1e-7)


def test_runs_that_cannot_be_chosen_from_are_refused(runs, shapes, tmp_path):
    with pytest.raises(OptionError, match="at least one finished training; none came"):
        export_runs("shapes", [], shapes, tmp_path, 1)
    with pytest.raises(OptionError, match="the same recipe; these have different ones"):
        export_runs("shapes", [runs["scs"][0], runs["conv"][0]], shapes, tmp_path, 1)
    with pytest.raises(DataError, match="'unfinished' has none: run scs train first"):
        export_runs("shapes", [runs["scs"][0], tmp_path / "unfinished"], shapes, tmp_path, 1)
    assert list(tmp_path.iterdir()) == []


def test_no_node_is_left_that_a_cuda_session_would_give_to_the_cpu(family, content, tmp_path):
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    nodes = onnx.load(tmp_path / "optimised.onnx").graph.node
    ops = collections.Counter(node.op_type for node in nodes)
    assert ops.keys() == OPS[family]
    assert {node.domain for node in nodes} == {""}
    assert ops["Conv"] == SCS_LAYERS + 1
