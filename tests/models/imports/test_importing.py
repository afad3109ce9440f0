import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from torch import nn

from models.cards.card import ModelCard
from models.imports.checking import Imported
from models.imports.examples import Example
from models.imports.importing import import_network
from models.imports.original import read_original
from models.imports.wish import Wish
from models.imports.write import model_name, write
from models.runtime.load import load_model
from scs.errors import ModelError, OptionError, UnknownNameError
from tests.models.imports.networks import Residual, Transformer, export, in_front, seeded

LABELS = [f"class {i}" for i in range(5)]
WISH = Wish(labels=LABELS, preprocess="0-1")


def imported(path: Path, wish: Wish = WISH, **options) -> Imported:
    return import_network(read_original(path), wish, "net", 1, **options)


def pictures(side: int = 32, count: int = 3) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


@pytest.mark.parametrize("opset", [9, 11, 13, 17])
@pytest.mark.parametrize("softmax", [False, True])
def test_logits_are_those_of_torch_for_pixels_as_the_card_says(tmp_path, opset, softmax):
    network = seeded(Residual, softmax)
    found = imported(export(network, tmp_path / "net.onnx", opset_version=opset))
    images = pictures()
    came = load_model(found.content, found.card, "cpu").logits(images)
    with torch.no_grad():
        network.softmax = False
        expected = network(torch.from_numpy(images).permute(0, 3, 1, 2) / 255).numpy()
    np.testing.assert_allclose(came, expected, atol=1e-5)
    assert found.report.same_top_class


@pytest.mark.parametrize("options", [{"dynamo": True}, {"batch": 4}], ids=["newer exporter", "fixed batch of four"])
def test_a_fixed_batch_is_freed(tmp_path, options):
    found = imported(export(seeded(Residual), tmp_path / "net.onnx", **options))
    assert found.card.serving.max_batch_size is None
    assert load_model(found.content, found.card, "cpu").logits(pictures(count=3)).shape == (3, 5)


def test_a_class_map_s_mean_and_its_bias_are_the_logit(tmp_path):
    found = imported(export(seeded(Residual), tmp_path / "net.onnx"))
    maps = load_model(found.content, found.card, "cpu").layers(pictures(), ["class_map"])
    means = maps["class_map"].mean((2, 3)) + found.card.class_bias
    np.testing.assert_allclose(means, maps["logits"], atol=1e-5)
    assert found.report.class_map == "exact"


@pytest.mark.parametrize(
    ("pooling", "class_map"),
    [
        (nn.AvgPool2d(16), "exact"),
        (nn.AvgPool2d(17, padding=(1, 1), count_include_pad=False), "exact"),
        (nn.AvgPool2d(17, padding=(1, 1)), "the logits come from AveragePool"),
        (nn.AvgPool2d(8), "place by place"),
    ],
    ids=["window as large as the map", "padding that does not count", "padding that counts", "four windows"],
)
def test_a_pooling_is_a_mean_where_its_window_has_the_whole_map(tmp_path, pooling, class_map):
    places = 4 if pooling.kernel_size == 8 else 1
    torch.manual_seed(0)
    stem = nn.Conv2d(3, 8, 3, 2, 1)
    network = nn.Sequential(stem, nn.ReLU(), pooling, nn.Flatten(), nn.Linear(8 * places, 5)).eval()
    assert class_map in imported(export(network, tmp_path / "net.onnx")).report.class_map


def test_layers_have_the_names_of_the_network_s_blocks(tmp_path):
    for dynamo in (False, True):
        found = imported(export(seeded(Residual), tmp_path / f"{dynamo}.onnx", dynamo=dynamo))
        assert [layer.name for layer in found.card.layers][-3:] == ["blocks.0", "blocks.1", "class_map"]
        assert [layer.maps for layer in found.card.layers][-3:] == [(16, 32), (8, 16), (8, 16)]


def test_strides_that_differ_down_and_across_stand_on_the_card(tmp_path):
    field = imported(export(seeded(Residual), tmp_path / "net.onnx")).card.layer("blocks.1").receptive_field
    assert (field.strides, field.offsets) == ((4, 2), (-12, -7))
    assert (field.size, field.across, field.everywhere) == (25, 15, False)


def test_a_transformer_s_tokens_are_a_grid_and_its_class_token_is_apart(tmp_path):
    network = seeded(Transformer)
    found = imported(export(network, tmp_path / "net.onnx"))
    grid, apart = found.card.layers[-2:]
    assert (grid.maps, grid.channels, apart.name, apart.maps) == ((4, 4), 16, f"{grid.name}.class_token", (1, 1))
    assert grid.receptive_field.everywhere and grid.receptive_field.stride == 8
    maps = load_model(found.content, found.card, "cpu").layers(pictures(count=1), [grid.name, apart.name])
    assert maps[grid.name].shape == (1, 16, 4, 4) and maps[apart.name].shape == (1, 16, 1, 1)
    assert "Gather" in found.report.class_map and found.card.class_map is None
    assert found.card.input.fixed  # places are learnt for so many tokens


def keras_style(path: Path, kind: int) -> Path:
    model = onnx.load(path)
    source = model.graph.input[0].name
    cast = [helper.make_node("Cast", ["picture"], ["floats"], to=TensorProto.FLOAT)]
    nodes = [*cast, helper.make_node("Transpose", ["floats"], [source], perm=[0, 3, 1, 2])]
    value = helper.make_tensor_value_info("picture", kind, ("unk", 32, 32, 3))
    onnx.save(in_front(model, nodes, value), path)
    return path


@pytest.mark.parametrize(("kind", "preprocess"), [(TensorProto.FLOAT, "0-1"), (TensorProto.UINT8, None)])
def test_pictures_with_channels_last_and_bytes_are_taken(tmp_path, kind, preprocess):
    path = keras_style(export(seeded(Residual), tmp_path / "net.onnx", opset_version=13), kind)
    found = imported(path, Wish(labels=LABELS, preprocess=preprocess))
    assert found.report.findings[0].found.startswith("picture: NHWC")
    assert found.report.difference < 1e-5


def test_weights_in_another_file_and_half_precision_are_taken(tmp_path):
    path = export(seeded(Residual).half(), tmp_path / "half.onnx", opset_version=13)
    onnx.save(onnx.load(path), path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    found = imported(path)
    assert found.report.difference < 1e-3
    maps = load_model(found.content, found.card, "cpu").layers(pictures(count=1), ["blocks.1"])
    assert maps["blocks.1"].dtype == np.float32
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(ModelError, match="weights in other files"):
        imported(path)


def test_tensors_called_image_and_logits_give_way(tmp_path):
    path = export(seeded(Residual), tmp_path / "net.onnx", input_names=["logits"], output_names=["image"])
    assert imported(path).report.difference < 1e-5


def test_without_labels_a_network_is_served_for_its_layers(tmp_path):
    found = imported(export(seeded(Residual), tmp_path / "net.onnx"), Wish(preprocess="0-1"))
    model = load_model(found.content, found.card, "cpu")
    assert found.card.labels == [] and model.logits(pictures()).shape == (3, 0)
    assert model.layers(pictures(), ["blocks.1"])["blocks.1"].shape == (3, 16, 8, 16)
    assert any("--labels" in text for text in found.report.assumed)


def test_rows_of_pixels_are_taken_once_their_size_is_said(tmp_path):
    weights = np.random.default_rng(0).normal(size=(48, 5)).astype(np.float32)
    rows = helper.make_tensor_value_info("rows", TensorProto.FLOAT, (None, 48))
    chances = helper.make_tensor_value_info("chances", TensorProto.FLOAT, (None, 5))
    nodes = [helper.make_node("MatMul", ["rows", "w"], ["m"]), helper.make_node("Softmax", ["m"], ["chances"])]
    graph = helper.make_graph(nodes, "digits", [rows], [chances], [onnx.numpy_helper.from_array(weights, "w")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "d.onnx")
    with pytest.raises(OptionError, match="--size WIDTHxHEIGHT"):
        imported(tmp_path / "d.onnx")
    found = imported(tmp_path / "d.onnx", Wish(labels=LABELS, preprocess="none", size=(4, 4)))
    images = pictures(4)
    came = load_model(found.content, found.card, "cpu").logits(images)
    np.testing.assert_allclose(came, images.reshape(3, 48) @ weights, rtol=1e-4, atol=1e-2)
    assert found.card.input.fixed and found.card.layers == []


def test_preprocessing_that_nothing_says_is_not_guessed(tmp_path):
    with pytest.raises(OptionError, match="nothing says how pictures are prepared.*--preprocess"):
        imported(export(seeded(Residual), tmp_path / "net.onnx"), Wish(labels=LABELS))


def test_a_folder_of_hugging_face_says_everything(tmp_path):
    export(seeded(Residual), tmp_path / "model.onnx")
    said = {"size": {"height": 32, "width": 32}, "image_mean": [0.5] * 3, "image_std": [0.25] * 3, "resample": 3}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(said))
    (tmp_path / "config.json").write_text(json.dumps({"id2label": dict(enumerate(LABELS))}))
    card = imported(tmp_path, Wish()).card
    assert card.labels == LABELS
    assert card.input.geometry.interpolation == "bicubic"
    assert card.imported.preprocess.deviation == [0.25] * 3


def test_an_example_of_another_class_stops_the_import(tmp_path):
    path = export(seeded(Residual), tmp_path / "net.onnx")
    own = imported(path)
    images = pictures(count=1)
    ranked = np.argsort(-load_model(own.content, own.card, "cpu").logits(images)[0])
    shown = [Example("cat.jpg", LABELS[ranked[0]], images)]
    told = imported(path, examples=lambda card: shown).report
    assert told.examples[0].ranks[0].rank == 1 and told.verdict.startswith("confirmed")
    with pytest.raises(UnknownNameError, match="no class 'dog'"):
        imported(path, examples=lambda card: [Example("cat.jpg", "dog", images)])


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        (Wish(labels=["a"] * 9, preprocess="0-1"), "9 labels need an output of as many numbers"),
        (Wish(labels=LABELS, preprocess="0-1", layers=["nowhere"]), "no layer or tensor 'nowhere'"),
        (Wish(labels=LABELS, preprocess="0-1", output="nothing"), "no tensor 'nothing'"),
        (Wish(labels=LABELS, preprocess="mean=1,2 deviation=1"), "one for each of 3 channels"),
        (Wish(labels=LABELS, preprocess="0-1", size=(64, 64)), "takes 32x32 pixels alone"),
    ],
)
def test_what_cannot_be_is_one_sentence(tmp_path, wish, message):
    with pytest.raises((OptionError, UnknownNameError), match=message):
        imported(export(seeded(Residual), tmp_path / "net.onnx"), wish)


def test_layers_that_are_asked_for_are_those_shown(tmp_path):
    wish = Wish(labels=LABELS, preprocess="0-1", layers=["blocks.0.first", "stem"])
    names = [layer.name for layer in imported(export(seeded(Residual), tmp_path / "net.onnx"), wish).card.layers]
    assert names == ["blocks.0.first", "stem", "class_map"]


def test_what_is_written_is_whole_and_reads_as_a_card(tmp_path):
    found = imported(export(seeded(Residual), tmp_path / "net.onnx"))
    folder = write(found, tmp_path / "models")
    assert ModelCard.model_validate_json((folder / "card.json").read_text()) == found.card
    with pytest.raises(OptionError, match="net 1 is there"):
        write(found, tmp_path / "models")


def test_any_file_name_becomes_a_name_that_a_model_can_have():
    assert [model_name(text) for text in ("ResNet 18 (v2)", "…", "_x")] == ["resnet-18-v2", "model", "x"]
