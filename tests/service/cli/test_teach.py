"""A few photographs are taught, asked and added to; what is wrong with them is told in a sentence."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image

from models.cards.catalogue import find
from models.runtime.load import load_model
from service.cli import looked_at
from service.cli.main import main
from tests.models.imports.networks import Transformer, export, seeded

COUNTS = {"rocket": 3, "cup of coffee": 4, "cat": 3}  # ten photographs
SOURCES = {"rocket": "rocket", "cup of coffee": "coffee", "cat": "cat", "brick": "brick"}


def photograph(name, number):
    """A cutting from the middle of a photograph, turned a little."""
    random = np.random.default_rng(number)
    whole = Image.fromarray(getattr(skimage.data, SOURCES[name])()).convert("RGB")
    side = float(random.uniform(0.4, 0.55)) * min(whole.size)
    x, y = (float(random.uniform(0.2 * length, 0.8 * length - side)) for length in whole.size)
    turned = whole.rotate(float(random.uniform(-20, 20)), Image.Resampling.BICUBIC)
    return turned.resize((60 + 7 * number, 64), Image.Resampling.BILINEAR, (x, y, x + side, y + side))


def lay(folder, counts, first=0):
    for name, count in counts.items():
        (folder / name).mkdir(parents=True)
        for number in range(first, first + count):
            photograph(name, number).save(folder / name / f"{number}.png")
    return folder


def run(monkeypatch, *arguments) -> int:
    monkeypatch.setattr(sys, "argv", ["scs", *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        main()
    return int(stopped.value.code or 0)


@pytest.fixture
def scs(monkeypatch, tmp_path):
    """Run ``scs`` in a folder with photographs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SCS_MODEL_REPOSITORY", "models")
    lay(Path("photos"), COUNTS)
    return lambda *arguments: run(monkeypatch, *arguments)


TEACH = ("teach", "things", "--from", "cifar10-scs", "--data", "photos")


def test_ten_photographs_are_taught_asked_and_added_to(scs, capsys):
    assert scs(*TEACH, "--json", "--out", "drawn") == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["labels"] == ["cat", "cup of coffee", "rocket", "none of these"]
    assert figures["pictures"] == [3, 4, 3] and figures["network"] == "cifar10-scs 2"
    assert figures["right"]["of"] == figures["misses"]["of"] == figures["false_alarms"]["of"] == 10
    assert figures["right"]["count"] >= 8
    assert np.array(figures["confusion"]).sum(1).tolist() == [3, 4, 3, 0]
    assert np.array(figures["confusion"])[:, 3].sum() == figures["misses"]["count"]
    assert len(figures["hardest"]) == 10
    for name in ("confusion.png", "hardest.png"):
        with Image.open(Path("drawn", name)) as picture:
            assert picture.width > 300

    lay(Path("new"), {"rocket": 1, "cat": 1}, first=20)
    assert scs("predict", "new", "--model", "things", "--json") == 0
    predictions = json.loads(capsys.readouterr().out)["predictions"]
    assert [each["classes"][0]["label"] for each in predictions] == ["cat", "rocket"]

    lay(Path("more"), {"brick": 2, "rocket": 1}, first=10)
    shutil.copy("photos/cat/0.png", "more/rocket/same.png")
    assert scs("teach", "things", "--add", "more") == 1
    assert "a picture has one class; rocket/same.png is cat/0.png, of 'cat', byte for byte" in capsys.readouterr().err
    shutil.move("more/rocket/same.png", "photos/rocket")
    shutil.copy("photos/rocket/0.png", "more/rocket/same.png")
    assert scs("teach", "things", "--add", "more") == 0
    assert "left out, since it is there already: rocket/same.png" in capsys.readouterr().out
    card = find(Path("models"), "things").card()
    assert card.version == 2 and card.labels == ["cat", "cup of coffee", "rocket", "brick", "none of these"]
    assert card.taught.pictures == [3, 4, 4, 2] and card.taught.data == "photos, more"
    assert card.taught.network == "cifar10-scs 2"
    before = find(Path("models"), "things", 1).card()
    assert card.parameters - before.parameters == (card.taught.kernels - before.taught.kernels) * 72


def test_more_is_taught_by_the_false_alarms_that_were_asked_for_before_unless_others_are(scs):
    assert scs(*TEACH, "--false-alarms", "0") == 0
    lay(Path("more"), {"rocket": 1}, first=10)
    lay(Path("again"), {"rocket": 1}, first=11)
    assert scs("teach", "things", "--add", "more") == 0
    assert scs("teach", "things", "--add", "again", "--false-alarms", "0.5") == 0
    taught = [find(Path("models"), "things", version).card().taught for version in (1, 2, 3)]
    assert [each.most_false_alarms for each in taught] == [0, 0, 0.5]
    assert taught[2].threshold < taught[1].threshold


def test_a_class_map_says_where_and_its_mean_is_the_logit(scs, capsys):
    assert scs(*TEACH) == 0
    assert scs("activations", "photos/cat/1.png", "--model", "things", "--class", "cat", "--json") == 0
    seen = json.loads(capsys.readouterr().out.partition("\n{")[2].join(["{", ""]))["class_map"]
    assert seen["method"] == "exact" and seen["mean"] + seen["bias"] == pytest.approx(seen["logit"], abs=1e-3)
    entry = find(Path("models"), "things")
    model = load_model(entry.verified_bytes(), entry.card(), "cpu")
    image = np.asarray(photograph("cat", 1))[None]
    found = model.layers(image, ["class_map"])
    assert found["class_map"].mean((2, 3)) + entry.card().class_bias == pytest.approx(found["logits"], abs=1e-3)


def test_the_maximum_of_a_class_map_is_the_logit_where_it_was_taught_so_and_adding_goes_on_with_it(scs, capsys):
    assert scs(*TEACH, "--layer", "block2", "--pooling", "maximum") == 0
    lay(Path("more"), {"rocket": 1}, first=10)
    assert scs("teach", "things", "--add", "more") == 0
    capsys.readouterr()
    assert scs("activations", "photos/cat/1.png", "--model", "things", "--class", "cat", "--json") == 0
    seen = json.loads(capsys.readouterr().out)["class_map"]
    assert seen["method"] == "exact" and seen["pooling"] == "maximum" and seen["maximum"] > seen["mean"]
    assert seen["maximum"] + seen["bias"] == pytest.approx(seen["logit"], abs=1e-3)
    assert scs("activations", "photos/cat/1.png", "--model", "things", "--class", "cat") == 0
    assert f"cat: maximum {seen['maximum']:+.4f} and bias +0.0000 make the logit" in capsys.readouterr().out
    entries = [find(Path("models"), "things", version) for version in (1, 2)]
    assert [entry.card().class_pooling for entry in entries] == ["maximum", "maximum"]
    assert [entry.card().taught.layer for entry in entries] == ["block2", "block2"]


def test_teaching_needs_no_torch(scs):
    code = "import sys; sys.argv = sys.argv[1:]; from service.cli.main import app; app(standalone_mode=False); "
    code += "assert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code, "scs", *TEACH], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def empty_class(folder):
    (folder / "dog").mkdir()


def one_class(folder):
    shutil.rmtree(folder / "rocket")
    shutil.rmtree(folder / "cat")


def only_other_things(folder):
    one_class(folder)
    (folder / "None of these").mkdir()
    shutil.copy(folder / "cup of coffee" / "0.png", folder / "None of these" / "0.png")


def broken_picture(folder):
    (folder / "cat" / "note.txt").write_text("no picture")


def dangling_link(folder):
    (folder / "cat" / "moved.png").symlink_to("elsewhere.png")


def nothing_readable(folder):
    shutil.rmtree(folder / "cat")
    (folder / "cat").mkdir()
    broken_picture(folder)


@pytest.mark.parametrize(
    "spoil, more, message",
    [
        (shutil.rmtree, (), "there is no 'photos'"),
        (empty_class, (), "every class needs pictures; the folder 'dog' of photos is empty"),
        (one_class, (), "a classifier needs 2 classes or more; photos has one, 'cup of coffee'"),
        (only_other_things, (), "teaching needs two classes beside 'none of these'; photos has 1"),
        (broken_picture, (), "1 file of photos cannot be read as pictures, and --skip-broken"),
        (dangling_link, (), "--skip-broken, which leaves them out, was not given: cat/moved.png: No such file"),
        (nothing_readable, ("--skip-broken",), "'cat' of photos needs a picture; none that is left can be read"),
        (None, ("--layer", "block9"), "no layer 'block9' in cifar10-scs; there are: stem"),
        (None, ("--from", "bolts"), "no model 'bolts'; there are"),
        (None, ("--add", "photos"), "--add goes on with a model's own network, layer and pooling"),
    ],
)
def test_what_is_wrong_is_told_in_a_sentence_and_nothing_is_written(spoil, more, message, scs, capsys):
    if spoil:
        spoil(Path("photos"))
    assert scs(*TEACH, *more) in (1, 2)
    told = capsys.readouterr().err.lstrip("\n")
    assert told.startswith("scs: ") and message in told and told.count("\n") == 1
    assert not Path("models").exists()


def test_features_that_are_too_many_for_the_memory_are_refused(scs, capsys, monkeypatch):
    monkeypatch.setattr(looked_at, "_MOST_NUMBERS", 10_000)
    assert scs(*TEACH, "--layer", "stem", "--pooling", "maximum") == 1
    message = "at most 10,000 numbers; 10 pictures with 1024 places of 40 channels in stem have 409,600; a later layer"
    assert message in capsys.readouterr().err
    assert scs(*TEACH) == 0


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("teach", "Things"), "a model's name is up to 64 of a-z"),
        (("teach", "things"), "teaching needs a network, --from, and pictures, --data; or more pictures, --add"),
        (
            ("teach", "cifar10-scs", "--from", "cifar10-scs", "--data", "photos"),
            "a taught model needs a name of its own",
        ),
        (
            ("teach", "eyes", "--from", "cifar10-scs", "--data", "photos"),
            "'eyes' is a model that was not taught (bank)",
        ),
        (("teach", "eyes", "--add", "photos"), "pictures are added to a model that was taught; eyes 1 was not"),
        (
            ("teach", "things", "--from", "eyes", "--data", "photos"),
            "a network with features is needed; eyes is a bank",
        ),
    ],
)
def test_names_and_networks_that_cannot_be_are_refused(arguments, message, scs, capsys):
    assert scs("bank", "eyes", "photos/cat/0.png") == 0
    assert scs(*arguments) in (1, 2)
    assert message in capsys.readouterr().err


def test_strange_names_other_things_and_single_pictures_are_taught(scs, capsys):
    Path("photos/cat").rename('photos/[b]c"a: t; <i>')
    Path('photos/[b]c"a: t; <i>/note.txt').write_text("no picture")
    for path in (*Path("photos/rocket").glob("[12].png"), *Path("photos/cup of coffee").glob("[123].png")):
        path.unlink()
    lay(Path("other"), {"brick": 3})
    Path("other/brick").rename("photos/None of These ")
    assert scs(*TEACH, "--json", "--skip-broken") == 0
    figures = json.loads(capsys.readouterr().out)
    (broken,) = figures["broken"]
    assert broken.startswith('[b]c"a: t; <i>/note.txt: ') and figures["repeated"] == []
    assert figures["labels"] == ['[b]c"a: t; <i>', "cup of coffee", "rocket", "none of these"]
    assert figures["other_things"] == 3 and figures["false_alarms"]["of"] == 8 and figures["right"]["of"] == 3
    assert scs(*TEACH, "--skip-broken") == 0
    told = capsys.readouterr().out
    assert f"left out, since it cannot be read: {broken}\n" in told
    rows = {line[:10]: line.split()[-2:] for line in told.splitlines()}
    assert (
        rows["rocket    "] == rows["cup of cof"] == ["-", "-"]
    )  # one picture each: none was asked, and none called so


def test_an_evaluation_on_what_was_taught_says_so_and_that_it_wrote_the_card(scs, capsys):
    assert scs(*TEACH) == 0
    assert scs("evaluate", "things", "--data", "photos", "--write-card") == 0
    told = capsys.readouterr().out
    assert "on all 10 pictures of photos; it was taught data of that name, and what it has seen flatters it" in told
    assert "written to the card of things 1" in told
    accuracy = find(Path("models"), "things").card().accuracy
    assert accuracy.images == 10 and "flatters" in accuracy.note
    lay(Path("new"), {"rocket": 2, "cat": 2}, first=20)
    assert scs("evaluate", "things", "--data", "new") == 0
    assert "on all 4 pictures of new\n" in capsys.readouterr().out


def test_a_transformer_without_classes_that_takes_one_size_is_taught(scs, capsys):
    export(seeded(Transformer), Path("patches.onnx"), batch=2, dynamic_axes={"x": {0: "N"}}, input_names=["x"])
    assert scs("import", "patches.onnx", "--preprocess", "imagenet", "--size", "32") == 0
    assert scs("teach", "things", "--from", "patches", "--data", "photos") == 0
    capsys.readouterr()
    for layer in ("norm", "norm.class_token"):
        assert scs("teach", "things", "--from", "patches", "--data", "photos", "--layer", layer, "--json") == 0
        assert json.loads(capsys.readouterr().out)["layer"] == layer
    card = find(Path("models"), "things").card()
    assert card.version == 3 and card.input.fixed and card.imported is None and card.family == "taught"
