"""A folder of pictures becomes a model that is served; what is wrong with it is told before anything is written."""

import csv
import json
import re
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from models.cards.catalogue import find
from models.datasets.own import open_own
from models.datasets.splits import split_pictures
from models.imports.importing import Wish, import_network
from models.imports.original import read_original
from models.imports.write import write
from models.runtime.load import load_model
from models.training.runs import load_network
from service.api.files import NamedBytes, Upload
from service.api.predict import PredictOptions
from service.cli.local_models import open_model, predict_here, settings_for
from service.cli.main import main
from service.cli.own_data import decoder
from tests.models.imports.networks import Residual, Transformer, export, seeded

COUNTS = {"disc": 16, "bar": 8, "cross": 12}


def draw(name: str, random: np.random.Generator, side: int) -> np.ndarray:
    rows, columns = np.mgrid[:side, : side + int(random.integers(0, 6))]
    down, right = np.abs(rows - side // 2), np.abs(columns - columns.max() // 2)
    shape = {
        "disc": down**2 + right**2 < (side / 3.5) ** 2,
        "bar": (down < side / 8) & (right < side / 3),
        "cross": (np.abs(down - right) < side / 14) & (down < side / 3),
    }[name]
    image = random.integers(0, 60, (*rows.shape, 3))
    image[shape] += random.integers(110, 190, 3)
    return image.astype(np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Drawn pictures of three classes, of many sizes and kinds of file."""
    root, random = tmp_path_factory.mktemp("data") / "drawn", np.random.default_rng(0)
    for name, count in COUNTS.items():
        (root / name).mkdir(parents=True)
        for i in range(count):
            suffix = ("png", "jpg", "webp", "tif")[i % 4]
            image = Image.fromarray(draw(name, random, int(random.integers(34, 60))))
            if suffix == "jpg":  # a camera that lay on its side
                exif = Image.Exif()
                exif[0x0112] = 6
                image.transpose(Image.Transpose.ROTATE_90).save(root / name / f"{i}.jpg", exif=exif, quality=95)
            else:
                image.save(root / name / f"{i}.{suffix}")
    return root


def run(monkeypatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["scs", *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        main()
    return int(stopped.value.code or 0)


@pytest.fixture
def scs(monkeypatch, tmp_path):
    """Run ``scs`` in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SCS_DATA", raising=False)
    return lambda *arguments: run(monkeypatch, *arguments)


@pytest.fixture(scope="module")
def trained(folder, tmp_path_factory) -> Path:
    """A folder in which a network was trained on the pictures and exported to ``models``."""
    at = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(at)
        train = ("train", "drawn-parts", "--data", folder, "--recipe", "conv-small", "--epochs", 25)
        assert run(patch, *train, "--width", 8, "--size", 32) == 0
        assert run(patch, "export", "drawn-parts", "--data", folder, "--repository", "models") == 0
    return at


def test_the_card_says_what_it_was_trained_on(trained, folder):
    card = find(trained / "models", "drawn-parts").card()
    assert card.labels == sorted(COUNTS)
    assert card.training.data.model_dump() == {
        "name": "drawn",
        "sha256": open_own(folder).sha256,
        "split_seed": 0,
        "train": 26,
        "validation": 5,
        "test": 5,
        "left_out": 0,
    }
    assert (card.accuracy.dataset, card.accuracy.images) == ("drawn", 5)
    assert (card.input.width, card.input.height, card.input.channels) == (32, 32, 3)
    assert (card.input.geometry.mode, card.input.geometry.shorter_side) == ("crop", 32)
    assert card.training.recipe["widths"][0] == 8
    assert card.training.recipe["photographs"] and card.training.recipe["mirror"]
    assert card.accuracy.accuracy >= 0.6, "chance is 1/3"


def test_the_service_sees_what_the_training_saw(trained, folder):
    model, settings = open_model(settings_for(trained / "models"), "drawn-parts", None), settings_for(None)
    network, _ = load_network(trained / "runs" / "drawn-parts" / "seed-0")
    decode = decoder(settings)
    for path in (folder / "bar" / "1.jpg", folder / "disc" / "2.webp"):
        upload = Upload([NamedBytes(path.name, path.read_bytes())])
        answer = predict_here(model, upload, PredictOptions(top_k=3), settings).predictions[0]
        seen = torch.from_numpy(decode(path.read_bytes(), model.card.input).pixels.copy())[None]
        shares = network(seen).detach().softmax(1)[0]
        for each in answer.classes:
            assert each.probability == pytest.approx(float(shares[model.card.labels.index(each.label)]), abs=1e-4)


def test_the_log_tells_loading_from_learning_and_curves_are_drawn(trained):
    lines = [json.loads(line) for line in (trained / "runs/drawn-parts/seed-0/log.jsonl").read_text().splitlines()]
    assert len(lines) == 25
    assert sum(line["loading_seconds"] for line in lines) <= sum(line["seconds"] for line in lines)
    assert (trained / "runs/drawn-parts/seed-0/curves.png").is_file()


def test_an_evaluation_is_of_the_pictures_that_were_not_trained_on(trained, folder, scs, capsys, tmp_path):
    repository = ("--repository", trained / "models")
    assert scs("evaluate", "drawn-parts", "--data", folder, *repository, "--json", "--out", "measured") == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["images"] == 5 and figures["classes"] == sorted(COUNTS)
    for name in ("confusion.png", "wrong.png"):
        with Image.open(tmp_path / "measured" / name) as picture:
            assert picture.format == "PNG"

    moved = tmp_path / "other"
    (folder / "bar").joinpath("0.png").read_bytes()
    for name in ("bar", "CROSS"):
        (moved / name).mkdir(parents=True)
        source = folder / name.lower() / "0.png"
        (moved / name / "a.png").write_bytes(source.read_bytes())
    assert scs("evaluate", "drawn-parts", "--data", moved, *repository, "--json") == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["images"] == 2, "data that it was not trained on: all of them, classes whether capital or small"
    assert np.array(figures["confusion"]).sum(1).tolist() == [1, 1, 0]


def test_data_that_changed_since_are_not_what_was_trained_on(trained, folder, scs, capsys, monkeypatch):
    monkeypatch.chdir(trained)
    other = trained / "drawn"
    for path in folder.rglob("*.*"):
        target = other / path.relative_to(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    (other / "bar" / "0.png").write_bytes((other / "bar" / "4.png").read_bytes())
    assert scs("export", "drawn-parts", "--data", other, "--repository", "models", "--runs", "runs/drawn-parts") == 1
    assert "the data of its training; drawn has others" in capsys.readouterr().err
    train = ("train", "drawn-parts", "--data", other, "--recipe", "conv-small", "--epochs", 25, "--width", 8)
    assert scs(*train, "--size", 32, "--out", trained / "runs" / "drawn-parts" / "seed-0") == 1
    assert "holds a training with other data; name another folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    "make, frozen", [(Residual, "all"), (Residual, "blocks.0"), (Residual, None), (Transformer, None)]
)
def test_an_imported_network_is_trained_further(make, frozen, folder, scs, capsys, tmp_path):
    free = {"dynamic_axes": {"x": {0: "N"}}, "input_names": ["x"]}
    original = read_original(export(seeded(make), tmp_path / "residual.onnx", batch=2, **free))
    imported = import_network(original, Wish(labels=[*"abcde"], preprocess="imagenet", size=(32, 32)), "residual", 1)
    write(imported, tmp_path / "models")
    options = [] if frozen is None else ["--freeze", frozen]
    repository = ("--repository", tmp_path / "models")
    start = ("train", "tuned", "--data", folder, "--from", "residual", *repository, "--epochs", 3)
    assert scs(*start, *options) == 0
    network, _ = load_network(tmp_path / "runs" / "tuned" / "seed-0")
    assert (tmp_path / "runs/tuned/seed-0/start/model.onnx").is_file()
    assert scs("export", "tuned", "--data", folder, *repository) == 0
    entry, old = find(tmp_path / "models", "tuned"), find(tmp_path / "models", "residual")
    card = entry.card()
    assert card.labels == sorted(COUNTS) and card.class_map == "class_map" and card.imported is None
    assert card.input.geometry.shorter_side == old.card().input.geometry.shorter_side
    assert card.training.recipe["start"] == "residual 1" and card.training.recipe["start_sha256"] == old.card().sha256

    images = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), np.uint8)
    tuned, before = load_model(entry.verified_bytes(), card, "cpu"), load_model(old.verified_bytes(), old.card(), "cpu")
    seen = tuned.layers(images, ["class_map"])
    assert seen["class_map"].mean((2, 3)) + card.class_bias == pytest.approx(seen["logits"], abs=1e-4)
    assert network(torch.from_numpy(images)).detach().numpy() == pytest.approx(seen["logits"], abs=1e-3)
    same = [
        np.allclose(*(model.layers(images, [layer.name])[layer.name] for model in (tuned, before)), atol=1e-5)
        for layer in card.layers
        if layer.name != "class_map"
    ]
    names = [layer.name for layer in card.layers]
    expected = {"all": len(same), "blocks.0": names.index("blocks.0") + 1 if "blocks.0" in names else 0, None: 0}[
        frozen
    ]
    assert same == [True] * expected + [False] * (len(same) - expected)


def test_a_network_that_takes_one_picture_at_a_time_is_measured_and_its_card_says_so(folder, scs, capsys, tmp_path):
    original = read_original(export(seeded(Transformer), tmp_path / "one.onnx"))
    labels = ["bar", "cross", "disc", "nut", "bolt"]
    write(import_network(original, Wish(labels=labels, preprocess="imagenet"), "one", 1), tmp_path / "models")
    assert find(tmp_path / "models", "one").card().serving.max_batch_size == 1
    assert scs("evaluate", "one", "--data", folder, "--repository", tmp_path / "models", "--json") == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["images"] == sum(COUNTS.values()) and figures["classes"] == labels
    assert find(tmp_path / "models", "one").card().accuracy is None
    repository = "--repository", tmp_path / "models"
    assert scs("evaluate", "one", "--data", folder, *repository, "--json", "--write-card") == 0
    written = find(tmp_path / "models", "one").card().accuracy
    assert json.loads(capsys.readouterr().out) == figures and written is not None
    assert (written.dataset, written.images, written.accuracy) == ("drawn", 36, figures["accuracy"])
    assert written.confusion == figures["confusion"] and written.note == "on all 36 pictures of drawn"
    assert scs("train", "more", "--data", folder, "--from", "one", "--repository", tmp_path / "models") == 1
    assert "takes any number of pictures together; one takes 1" in capsys.readouterr().err


def test_broken_files_are_listed_and_left_out_only_where_that_was_asked_for(folder, scs, capsys, tmp_path):
    table = tmp_path / "parts.csv"
    rows = [(path, path.parent.name) for path in sorted(folder.rglob("*.*"))]
    (tmp_path / "cut.jpg").write_bytes(rows[1][0].read_bytes()[:200])
    (tmp_path / "note.txt").write_text("no picture")
    with table.open("w", newline="") as file:
        csv.writer(file).writerows([("path", "label"), *rows, ("cut.jpg", "bar"), ("note.txt", "disc")])
    train = ("train", "p", "--data", table, "--recipe", "conv", "--size", 16, "--epochs", 2)
    assert scs(*train) == 1
    told = capsys.readouterr().err
    assert "2 files of parts cannot be read" in told and "cut.jpg: " in told and "note.txt: an image" in told
    assert not (tmp_path / "runs").exists()
    assert scs(*train, "--skip-broken") == 0
    result = json.loads((tmp_path / "runs/p/seed-0/result.json").read_text())
    assert [each.split(": ")[0] for each in result["own"]["left_out"]] in (
        ["cut.jpg", "note.txt"],
        ["note.txt", "cut.jpg"],
    )
    assert sum(result["own"][part] for part in ("train", "validation", "test")) == sum(COUNTS.values())


def test_more_pictures_than_memory_holds_are_refused_before_they_are_decoded(folder, scs, capsys, monkeypatch):
    monkeypatch.setattr("models.datasets.decoded.free_memory", lambda: 100_000)
    assert scs("train", "p", "--data", folder, "--size", 96) == 1
    assert "in half of what is free of it, 0.0 GB; the 36 of drawn take 0.0 GB at 96x96" in capsys.readouterr().err
    assert not Path("runs").exists()


def test_few_small_grey_pictures_in_arrays_stay_as_they_are(scs, tmp_path):
    random = np.random.default_rng(0)
    labels = np.arange(12) % 2
    images = random.integers(0, 90, (12, 8, 8), np.uint8) + (labels[:, None, None] * 120).astype(np.uint8)
    np.savez(tmp_path / "tiny.npz", x=images, y=labels)
    assert scs("train", "tiny", "--data", tmp_path / "tiny.npz", "--epochs", 6) == 0
    result = json.loads((tmp_path / "runs/tiny/seed-0/result.json").read_text())
    assert result["classes"] == ["0", "1"] and result["channels"] == 1
    assert result["own"]["geometry"] is None and (result["own"]["width"], result["own"]["height"]) == (8, 8)
    assert not result["recipe"]["mirror"] and result["recipe"]["batch_size"] == 8


@pytest.mark.parametrize("way", ["stretch", "standardise"])
def test_a_network_that_normalises_each_picture_answers_the_same_in_other_light(way, scs, tmp_path):
    random = np.random.default_rng(0)
    images = 4 * random.integers(0, 60, (12, 16, 16, 3), np.uint8)
    np.savez(tmp_path / "light.npz", x=images, y=np.arange(12) % 2)
    train = ("train", "light", "--data", tmp_path / "light.npz", "--recipe", "conv-small", "--epochs", 5, "--width", 8)
    assert scs(*train, "--normalise", way) == 0
    assert scs("export", "light", "--data", tmp_path / "light.npz", "--repository", "models") == 0
    entry = find(tmp_path / "models", "light")
    model = load_model(entry.verified_bytes(), entry.card(), "cpu")
    assert entry.card().training.recipe["normalise"] == way
    assert model.logits(images // 4 + 100) == pytest.approx(model.logits(images), abs=1e-4)


REFUSED = {
    "cifar10-scs": ([], "cifar10-scs is trained on cifar10.npz, which is not in .*; pictures of your own make"),
    "mnist-mine": ([], "'mnist-mine' names another data set than yours"),
    "Mine": ([], "a model's name is small letters, digits"),
    "a": (["--recipe", "vit"], "a recipe is one of scs, conv, scs-small"),
    "b": (["--width", 0], "--width is 1 to 1024; 0 came"),
    "c": (["--freeze", "all"], "--freeze says which layers of the network --from names stay"),
    "d": (["--from", "mnist-vit"], "no model 'mnist-vit'"),
    "e": (["--from", "mnist-scs", "--freeze", "block9"], "--freeze takes all or a layer of mnist-scs; 'block9' came"),
    "f": (["--from", "mnist-scs", "--depth", 2], "--recipe, --width, --depth, --resize are for new ones"),
    "j": (["--from", "mnist-scs", "--normalise", "stretch"], "--normalise is for a network that starts anew"),
    "g": (["--from", "mnist-scs", "--size", 3], "mnist-scs takes pictures from 4x4 .*; 3x3 came"),
    "h": (["--size", "1"], "a network needs 2 pixels a side; 1x1 came"),
    "i": (["--size", "big"], "--size is width and height in pixels"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_is_refused_and_nothing_is_written(name, folder, scs, capsys, tmp_path):
    options, said = REFUSED[name]
    assert scs("train", name, "--data", folder, *options) != 0
    (line,) = capsys.readouterr().err.strip().splitlines()[-1:]
    assert re.search(said, line), line
    assert [*tmp_path.iterdir()] == []


def test_options_for_own_pictures_are_refused_for_a_published_data_set(scs, capsys):
    assert scs("train", "mnist-scs", "--size", 32) == 2
    assert "--size is for your own pictures; mnist-scs has a recipe" in capsys.readouterr().err


def test_classes_that_a_model_does_not_have_are_named(folder, scs, capsys):
    assert scs("evaluate", "cifar10-scs", "--data", folder) == 1
    assert "the classes of drawn need to be those of cifar10-scs; 'bar' is none" in capsys.readouterr().err
    assert scs("evaluate", "cifar10-scs", "--data", folder / "bar") == 1
    assert "no cifar10.npz in " in capsys.readouterr().err


def test_every_class_counts_alike_in_the_split(folder):
    data = open_own(folder)
    parts, _ = split_pictures(data, 0)
    assert Counter(data.classes[data.pictures[i].label] for i in parts["test"]) == {"disc": 2, "bar": 1, "cross": 2}
