"""What is exported agrees with its network, is measured and described, or is not written at all."""

import copy
import hashlib
import json
import shutil

import numpy as np
import pytest
import torch

from models.cards.catalogue import find
from models.evaluation.accuracy import evaluate
from models.export import export
from models.export.export import export_runs
from models.export.onnx_file import export_onnx
from models.export.parity import decided
from models.export.receptive_field import receptive_fields
from models.export.torchscript_file import export_torchscript
from models.networks import FAMILIES
from models.runtime.check import check_model
from models.runtime.load import load_model
from models.training.recipes import Recipe
from models.training.runs import load_network
from models.training.train import train
from scs.errors import DataError, ExportError, OptionError

SIZES = [(1, 4, 4), (6, 16, 16), (8, 40, 23)]


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


@pytest.mark.parametrize("family", FAMILIES)
def test_a_composed_file_is_smaller_and_agrees_with_its_network(family, runs, shapes, repository, tmp_path):
    card = export_runs("composed", runs[family], shapes, tmp_path, version=1, compose=True)
    plain, merged = (find(folder, name) for folder, name in ((repository, f"shapes-{family}"), (tmp_path, "composed")))
    assert len(merged.verified_bytes()) < len(plain.verified_bytes())
    assert card.layers == plain.card().layers


def test_only_an_onnx_file_is_composed(runs, shapes, tmp_path):
    with pytest.raises(OptionError, match="only an ONNX file is composed; torchscript was asked for"):
        export_runs("composed", runs["scs"], shapes, tmp_path, 1, "torchscript", compose=True)


def draw(size, channels=3):
    return np.random.default_rng(0).integers(0, 256, (*size, channels), np.uint8)


def perturbed(network):
    """The same network but for one weight."""
    other = copy.deepcopy(network)
    with torch.no_grad():
        other.bias[0] += 0.001
    return other


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


@pytest.mark.parametrize("file_format, exporter", [("onnx", export_onnx), ("torchscript", export_torchscript)])
def test_a_file_that_does_not_agree_is_not_written(file_format, exporter, runs, shapes, tmp_path, monkeypatch):
    monkeypatch.setattr(export, f"export_{file_format}", lambda network: exporter(perturbed(network)))
    with pytest.raises(ExportError, match="logits may differ by"):
        export_runs("shapes", runs["conv"], shapes, tmp_path, 1, file_format)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("best", [0, 1])
@pytest.mark.parametrize("other", [{"validation_accuracy": 0.8}, {"validation_loss": 0.6}], ids=["accuracy", "loss"])
def test_the_seed_that_is_best_on_what_is_held_back_is_exported_whatever_the_test_images_say(
    best, other, runs, shapes, tmp_path
):
    copies = []
    for seed, run in enumerate(runs["conv"]):
        copies.append(shutil.copytree(run, tmp_path / str(seed)))
        result = json.loads((run / "result.json").read_text())
        result |= {"validation_accuracy": 0.9, "validation_loss": 0.5, "test_accuracy": 0.1}
        if seed != best:
            result |= {**other, "test_accuracy": 0.99}
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
    assert card.input.model_dump(exclude_defaults=True) == {"width": 16, "height": 16, "channels": 3, "smallest": 4}
    assert card.accuracy == evaluate(model, shapes).card("shapes", "drawn for the tests")

    maps = model.layers(draw((1, 16, 16)), [layer.name for layer in card.layers])
    assert {layer.name: layer.channels for layer in card.layers} == {
        name: values.shape[1] for name, values in maps.items() if name != "logits"
    }
    assert {layer.name: layer.receptive_field.model_dump(exclude_defaults=True) for layer in card.layers} == {
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


def test_the_card_of_another_style_is_true(family, shapes, tmp_path):
    style = {"pooling": "mean", "activation": "prelu", "lean": True, "opening": 1}
    recipe = Recipe("shapes", family, (6, 6, 8), (1,), epochs=2, batch_size=90, **style)
    train(recipe, shapes, tmp_path / "run")
    card = export_runs("styled", [tmp_path / "run"], shapes, tmp_path / "repository", 1)
    check_model(load_model(find(tmp_path / "repository", "styled").verified_bytes(), card, "cpu"), card)


def test_runs_that_cannot_be_chosen_from_are_refused(runs, shapes, tmp_path):
    with pytest.raises(OptionError, match="at least one finished training; none came"):
        export_runs("shapes", [], shapes, tmp_path, 1)
    with pytest.raises(OptionError, match="the same recipe; these have different ones"):
        export_runs("shapes", [runs["scs"][0], runs["conv"][0]], shapes, tmp_path, 1)
    with pytest.raises(DataError, match="'unfinished' has none: run scs train first"):
        export_runs("shapes", [runs["scs"][0], tmp_path / "unfinished"], shapes, tmp_path, 1)
    assert list(tmp_path.iterdir()) == []
