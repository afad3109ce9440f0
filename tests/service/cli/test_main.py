"""The command line, run as a user runs it: a process, its output and its exit status."""

import json
import os
import shutil
import socket
import subprocess
import sys
import wave
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image

from models.datasets.corruptions import CORRUPTIONS
from service.cli.main import main

COMMANDS = [
    "serve",
    "predict",
    "activations",
    "match",
    "bank",
    "models",
    "train",
    "evaluate",
    "export",
    "visualize",
    "lab",
]


@pytest.fixture
def environment(repository):
    """Variables of ``scs``, with the small models for a repository."""
    return {
        **{key: value for key, value in os.environ.items() if not key.startswith("SCS_")},
        "SCS_MODEL_REPOSITORY": str(repository),
        "SCS_DEFAULT_MODEL": "shapes-scs",
        "SCS_DEVICE": "cpu",
        "SCS_ALLOW_TORCHSCRIPT": "true",
    }


@pytest.fixture
def scs_here(environment, tmp_path, monkeypatch, capsys):
    """Run ``scs`` in this process, which saves the seconds of its start."""
    for name in os.environ.keys() - environment.keys():
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        monkeypatch.setattr(sys, "argv", ["scs", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        return subprocess.CompletedProcess(sys.argv, ended.value.code, *capsys.readouterr())

    return run


@pytest.fixture
def scs(environment, tmp_path):
    """Run ``scs`` in an empty folder."""

    def run(*arguments: object, **more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "service.cli", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env={**environment, **more})

    return run


@pytest.fixture
def photo(tmp_path, jpeg) -> Path:
    path = tmp_path / "cat.jpg"
    path.write_bytes(jpeg)
    return path


@pytest.fixture(scope="module")
def server(serve, repository):
    """``scs serve`` over the small models; its address."""
    with serve(SCS_MODEL_REPOSITORY=str(repository), SCS_DEFAULT_MODEL="shapes-scs") as url:
        yield url


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(scs_here, command):
    shown = scs_here(command, "--help")
    assert shown.returncode == 0 and f"Example: scs {command}" in " ".join(shown.stdout.split())


def test_help_lists_every_command(scs):
    shown = scs("--help").stdout
    assert all(command in shown for command in COMMANDS)


def test_predict_here_and_at_a_server_say_the_same(scs, photo, server):
    here, there = (scs("predict", photo, "--json", "--top-k", 3, *extra) for extra in ((), ("--url", server)))
    assert (here.returncode, there.returncode) == (0, 0), here.stderr + there.stderr
    assert json.loads(here.stdout)["predictions"] == json.loads(there.stdout)["predictions"]
    assert len(json.loads(here.stdout)["predictions"][0]["classes"]) == 3


def test_predict_prints_a_table_for_people(scs, photo):
    shown = scs("predict", photo)
    assert shown.returncode == 0 and "cat.jpg" in shown.stdout and "%" in shown.stdout


def test_activations_writes_one_picture_of_all_layers(scs, photo, tmp_path, server):
    for extra in ((), ("--url", server)):
        out = tmp_path / f"heat{len(extra)}.png"
        made = scs("activations", photo, "--out", out, "--class", "disc", "--box", "100,80,60,60", *extra)
        assert made.returncode == 0, made.stderr
        with Image.open(out) as image:
            assert image.width > 800 and image.height > 800
            assert len(image.convert("RGB").resize((200, 200)).getcolors(40_000)) > 100, "not a blank page"
        assert "make the logit" in made.stdout and "best place" in made.stdout


@pytest.mark.parametrize("at_a_server", [False, True])
def test_predict_answers_for_a_folder_and_says_which_picture_is_broken(scs, photo, server, tmp_path, at_a_server):
    folder = tmp_path / "holiday"
    folder.mkdir()
    for number in range(66):  # more than one request may hold
        (folder / f"{number:02}.jpg").write_bytes(photo.read_bytes())
    (folder / "40.jpg").write_bytes(photo.read_bytes()[:2000])
    extra = ("--url", server) if at_a_server else ()

    made = scs("predict", "holiday", "none.jpg", "--json", "--top-k", 1, *extra)
    answer = json.loads(made.stdout)

    assert made.returncode == 1
    assert len(answer["predictions"]) == 65
    assert [(each["name"], each["number"]) for each in answer["failures"]] == [("holiday/40.jpg", 41), ("none.jpg", 67)]
    assert "scs: holiday/40.jpg (number 41 of 67): the JPEG image is truncated" in made.stderr
    assert "scs: none.jpg (number 67 of 67): No such file" in made.stderr


def test_predict_stops_at_the_first_broken_picture_if_asked_to(scs, photo, tmp_path):
    (tmp_path / "broken.jpg").write_bytes(photo.read_bytes()[:2000])
    made = scs("predict", photo, "broken.jpg", "--no-partial")
    assert made.returncode == 1 and "'broken.jpg', number 2 of 2" in made.stderr and not made.stdout


def test_activations_explains_a_class_here_and_at_a_server(scs, photo, server):
    options = (
        "--class",
        "disc",
        "--method",
        "gradcam",
        "--class-layer",
        "block1",
        "--layers",
        "stem",
        "--resize",
        "64",
    )
    here, there = (scs("activations", photo, *options, "--json", *extra) for extra in ((), ("--url", server)))
    assert (here.returncode, there.returncode) == (0, 0), here.stderr + there.stderr
    seen = json.loads(here.stdout)["class_map"]
    assert (seen["method"], seen["layer"], seen["exact"]) == ("gradcam", "block1", False)
    assert json.loads(there.stdout)["class_map"]["mean"] == pytest.approx(seen["mean"], rel=1e-3)
    assert "disc: gradcam of block1, an approximation; the logit is" in scs("activations", photo, *options).stdout


def test_activations_writes_the_raw_numbers(scs, photo, tmp_path):
    made = scs("activations", photo, "--out", tmp_path / "maps.npz", "--layers", "stem", "--channels", "all", "--json")
    assert made.returncode == 0, made.stderr
    shape = json.loads(made.stdout)["layers"][0]["shape"]
    assert list(np.load(tmp_path / "maps.npz")["stem"].shape) == shape == [8, 300, 451]


def test_activations_finds_a_template_from_a_file(scs, photo, tmp_path, photograph):
    Image.fromarray(photograph[100:180, 120:220]).save(tmp_path / "part.png")
    made = scs("activations", photo, "--template", tmp_path / "part.png", "--layers", "stem", "--json")
    assert made.returncode == 0, made.stderr
    best = json.loads(made.stdout)["layers"][0]["match"]["peaks"][0]
    assert (abs(best["x"] - 120), abs(best["y"] - 100)) <= (2, 2)


@pytest.fixture
def part(tmp_path, photograph) -> Path:
    path = tmp_path / "part.png"
    Image.fromarray(photograph[100:160, 120:200]).save(path)
    return path


def test_match_here_and_at_a_server_say_the_same(scs, photo, part, server):
    asked = ("match", photo, part, "--angles=-20:20", "--top", 2, "--json")
    here, there = (json.loads(scs(*asked, *extra).stdout) for extra in ((), ("--url", server)))
    assert {**here, "timing": None} == {**there, "timing": None}
    assert [here["matches"][0]["x"], here["matches"][0]["y"]] == pytest.approx([160, 130], abs=0.5)


def test_match_draws_what_it_found_and_writes_the_scores(scs, photo, part, tmp_path, server):
    for name, extra in (("here", ()), ("there", ("--url", server))):
        out, heat = tmp_path / f"{name}.png", tmp_path / f"{name}.npy"
        made = scs("match", photo, part, "--out", out, "--heatmap", heat, *extra)
        assert made.returncode == 0, made.stderr
        assert "part.png" in made.stdout and "yes" in made.stdout
        assert np.load(heat).shape == (241, 372)
        with Image.open(out) as drawn, Image.open(photo) as scene:
            changed = np.abs(np.asarray(drawn, int) - np.asarray(scene, int)).max(2) > 0
        sides = changed[98:103, 120:200].any(0), changed[100:160, 118:123].any(1), changed[100:160, 198:203].any(1)
        assert all(side.mean() > 0.9 for side in sides), "the outline"
        assert not changed[110:150, 130:190].any() and not changed[200:].any(), "and no more"
    assert np.array_equal(np.load(tmp_path / "here.npy"), np.load(tmp_path / "there.npy"))


@pytest.mark.parametrize("suffix", ["png", "npz"])
def test_match_writes_a_heatmap_of_every_kind(scs, photo, part, tmp_path, suffix):
    made = scs("match", photo, part, "--heatmap", tmp_path / f"heat.{suffix}")
    assert made.returncode == 0, made.stderr
    if suffix == "png":
        with Image.open(tmp_path / "heat.png") as image:
            assert image.size == (372, 241)
    else:
        assert np.load(tmp_path / "heat.npz")["scores"].shape == (241, 372)


def test_match_finds_a_box_of_a_reference_and_a_motif_in_a_signal(scs, photo, tmp_path):
    boxed = scs("match", photo, "--reference", photo, "--box", "120,100,80,60", "--json")
    assert boxed.returncode == 0, boxed.stderr
    assert json.loads(boxed.stdout)["matches"][0]["x"] == pytest.approx(160, abs=0.1)

    series = np.random.default_rng(0).normal(size=2000).cumsum()
    np.save(tmp_path / "series.npy", series)
    np.save(tmp_path / "motif.npy", series[700:800])
    found = scs("match", "series.npy", "motif.npy")
    assert found.returncode == 0 and "position" in found.stdout
    assert any(f" {place} " in found.stdout for place in ("699.99", "700.00", "700.01")), found.stdout


def write_wav(path: Path, samples: np.ndarray, rate: int) -> None:
    with wave.open(str(path), "wb") as file:
        file.setparams((samples.shape[1], 2, rate, 0, "NONE", ""))
        file.writeframes(samples.astype("<i2").tobytes())


def test_match_says_where_a_sound_is_in_samples_and_in_seconds(scs, tmp_path, server):
    both = np.random.default_rng(0).integers(-9000, 9000, (4000, 2))
    write_wav(tmp_path / "scene.wav", both, 8000)
    write_wav(tmp_path / "part.wav", both[2000:2200], 8000)
    write_wav(tmp_path / "fast.wav", both[2000:2200], 16000)
    for extra in ((), ("--url", server)):
        found = scs("match", "scene.wav", "part.wav", *extra)
        assert found.returncode == 0, found.stderr
        assert "seconds" in found.stdout and "0.2500" in found.stdout
    refused = scs("match", "scene.wav", "fast.wav")
    assert refused.returncode == 2 and "fast.wav has 16000 a second and scene.wav 8000" in refused.stderr
    undrawn = scs("match", "scene.wav", "part.wav", "--out", "found.png")
    assert undrawn.returncode == 2 and "a signal has no picture" in undrawn.stderr


def test_match_with_a_mask(scs, photo, photograph, tmp_path):
    half = photograph[100:160, 120:200].copy()
    half[:, 40:] = 0
    mask = np.zeros((60, 80), np.uint8)
    mask[:, :40] = 255
    Image.fromarray(half).save(tmp_path / "half.png")
    Image.fromarray(mask).save(tmp_path / "mask.png")
    found = json.loads(scs("match", photo, "half.png", "--mask", "mask.png", "--json").stdout)
    assert found["matches"][0]["score"] > 0.98 and found["templates"][0]["masked"]


def test_match_of_what_is_not_there_ends_with_one_line_and_status_1(scs, photo, tmp_path):
    Image.fromarray(skimage.data.coffee()[50:110, 50:120]).save(tmp_path / "cup.png")
    for extra, said in (
        ((), "search --angles or --scales"),
        (("--angles", "0,90"), "another size, search --scales"),
        (("--method", "pixels"), "leave out --method pixels"),
        (("--threshold", 2), "better than the threshold"),
    ):
        nothing = scs("match", photo, "cup.png", "--json", *extra)
        assert nothing.returncode == 1
        assert nothing.stderr.startswith("scs: not present") and nothing.stderr.count("\n") == 1
        assert said in nothing.stderr
        assert not any(match["present"] for match in json.loads(nothing.stdout)["matches"])


@pytest.mark.parametrize(
    ("arguments", "settings", "said"),
    [
        (["missing.png", "eye.png"], {}, "No such file or directory: missing.png"),
        (["words.png", "eye.png"], {}, "scene: an image (JPEG"),
        (["cat.jpg", "flat.png"], {}, "'flat.png' is of one colour"),
        (["eye.png", "cat.jpg"], {}, "a template must fit inside its scene"),
        (["cat.jpg", "eye.png"], {"SCS_MAX_MATCH_PIXELS": "99"}, "the setting is SCS_MAX_MATCH_PIXELS"),
        (["cat.jpg", "eye.png"], {"SCS_MAX_MATCH_WORK": "9"}, "(SCS_MAX_MATCH_WORK)"),
        (["cat.jpg", "eye.png", "--url", "http://127.0.0.1:1"], {}, "no answer from http://127.0.0.1:1"),
    ],
    ids=["missing", "no picture", "one colour", "larger", "pixels", "work", "no server"],
)
def test_match_that_could_not_look_ends_with_status_2(scs, photo, tmp_path, arguments, settings, said):
    Image.open(photo).crop((20, 20, 50, 50)).save(tmp_path / "eye.png")
    Image.new("RGB", (9, 9), (200, 30, 40)).save(tmp_path / "flat.png")
    (tmp_path / "words.png").write_text("no picture")
    ended = scs("match", *arguments, **settings)
    assert ended.returncode == 2
    assert ended.stderr.startswith("scs: could not look: ") and said in ended.stderr


def test_match_finds_a_glyph_on_transparency_by_its_outline_and_says_so(scs, tmp_path):
    glyph = np.zeros((24, 24, 4), np.uint8)
    glyph[..., :3] = 200, 30, 40
    glyph[4:20, 10:14, 3] = glyph[10:14, 4:20, 3] = 255
    scene = np.full((100, 120, 3), 230, np.uint8)
    scene[30:54, 60:84][glyph[..., 3] > 0] = 200, 30, 40
    Image.fromarray(glyph).save(tmp_path / "plus.png")
    Image.fromarray(scene).save(tmp_path / "scene.png")
    found = scs("match", "scene.png", "plus.png", "--top", 1)
    assert found.returncode == 0, found.stderr
    assert "by its outline" in found.stdout and "72.0" in found.stdout


def test_match_takes_polarity_border_and_region(scs, tmp_path):
    rng = np.random.default_rng(0)
    scene = rng.integers(0, 256, (80, 100), dtype=np.uint8)
    np.save(tmp_path / "scene.npy", scene.astype(np.int16))
    np.save(tmp_path / "inverse.npy", 255 - scene[20:40, 30:50].astype(np.int16))
    cut = rng.integers(0, 256, (20, 20)).astype(np.int16)
    cut[:, 6:] = scene[50:70, :14]
    np.save(tmp_path / "cut.npy", cut)
    asked = ("match", "scene.npy", "inverse.npy", "--top", 1, "--json")
    assert scs(*asked).returncode == 1
    inverse = json.loads(scs(*asked, "--polarity", "either", "--region", "20,10,60,60").stdout)["matches"][0]
    assert inverse["score"] == pytest.approx(-1, abs=1e-5)
    assert (inverse["x"], inverse["y"]) == pytest.approx((40, 30), abs=0.1)
    part = json.loads(scs("match", "scene.npy", "cut.npy", "--top", 1, "--json", "--border", "partial").stdout)
    assert part["matches"][0]["visible"] == pytest.approx(0.7, abs=0.01) and part["matches"][0]["present"]


def test_models_lists_them_here_and_at_a_server(scs, server):
    here, there = scs("models", "--json"), scs("models", "--json", "--url", server)
    names = {"shapes-scs", "shapes-conv", "shapes-script"}
    assert {card["name"] for card in json.loads(here.stdout)} == names
    assert {model["name"] for model in json.loads(there.stdout)["models"]} == names
    assert "shapes-scs" in scs("models").stdout and "on cpu" in scs("models", "--url", server).stdout


def test_models_show_puts_a_network_beside_its_dense_twin(scs, server):
    asked = ("models", "show", "shapes-conv", "--json")
    here, there = (json.loads(scs(*asked, *extra).stdout) for extra in ((), ("--url", server)))
    assert here["card"] == there["card"] and here["dense_parameters"] == there["dense_parameters"]
    stem = there["layers"][0]
    assert stem == {"name": "stem", "maps": [16, 16, 8], "dense_parameters": (16 * 16 * 3 + 1) * 16 * 16 * 8}
    assert {key: here["layers"][0][key] for key in stem} == stem
    assert here["dense_parameters"] == sum(layer["dense_parameters"] for layer in here["layers"])
    shown = " ".join(scs("models", "show", "shapes-conv").stdout.split())
    assert "stem" in shown and f"{here['card']['parameters']:,} parameters" in shown
    assert f"{here['dense_parameters']:,}" in shown


def test_models_show_has_the_parameters_and_the_time_of_each_layer(scs):
    shown = json.loads(scs("models", "show", "shapes-conv", "--json").stdout)
    for layer in shown["layers"]:
        assert layer["parameters"] > 0 and layer["milliseconds"] > 0 and layer["receptive_field"]["size"] > 1
    assert shown["head"]["milliseconds"] > 0
    table = scs("models", "show", "shapes-conv").stdout
    assert "the rest" in table and "ms for a picture of 16x16" in table


def test_models_show_has_the_layers_of_a_program_from_its_card(scs):
    shown = scs("models", "show", "shapes-script")
    assert shown.returncode == 0 and "stem" in shown.stdout and "ms for" not in shown.stdout


def test_an_export_never_goes_into_the_installed_package_unasked(tmp_path):
    environment = {key: value for key, value in os.environ.items() if not key.startswith("SCS_")}
    command = [sys.executable, "-m", "service.cli", "export", "mnist-scs"]
    refused = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert refused.returncode == 2 and "--repository" in refused.stderr


def test_nor_is_a_card_written_there_unasked(tmp_path):
    environment = {key: value for key, value in os.environ.items() if not key.startswith("SCS_")}
    command = [sys.executable, "-m", "service.cli", "evaluate", "mnist-scs", "--shifts", "--write-card"]
    refused = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert refused.returncode == 2 and "--repository" in refused.stderr


def test_one_bad_card_does_not_hide_the_other_models(scs, tmp_path, repository):
    shutil.copytree(repository, tmp_path / "models")
    (tmp_path / "models" / "shapes-conv" / "1" / "card.json").write_text("{}")
    listed = scs("models", "--json", "--repository", tmp_path / "models")
    assert listed.returncode == 0 and "shapes-conv 1" in listed.stderr
    assert {card["name"] for card in json.loads(listed.stdout)} == {"shapes-scs", "shapes-script"}


def test_an_out_of_another_kind_is_refused_before_the_work(scs, photo, tmp_path):
    refused = scs("activations", photo, "--out", tmp_path / "heat.jpg")
    assert refused.returncode == 2 and "a .png or a .npz" in refused.stderr
    assert not (tmp_path / "heat.jpg").exists()


@pytest.mark.slow
def test_train_export_evaluate_and_predict_make_one_chain(scs, tmp_path, photo):
    random = np.random.default_rng(0)
    labels = np.arange(400) % 10
    images = np.where(np.arange(28)[:, None] // 3 == labels[:, None, None], 220, 20) + random.integers(
        0, 30, (400, 28, 28)
    )
    arrays = {"x_train": images.astype(np.uint8), "y_train": labels, "x_test": images[:100].astype(np.uint8)}
    np.savez(tmp_path / "mnist.npz", **arrays, y_test=labels[:100])
    data, own = ("--data", tmp_path), ("--repository", tmp_path / "own")

    for seed in (0, 1):
        trained = scs("train", "mnist-scs", *data, "--epochs", 3, "--seed", seed)
        assert trained.returncode == 0, trained.stderr
    run = tmp_path / "runs" / "mnist-scs" / "seed-1"
    with Image.open(run / "curves.png") as curves:
        assert curves.width > 500
    assert len((run / "log.jsonl").read_text().splitlines()) == 3

    exported = scs("export", "mnist-scs", *data, *own, "--json")
    assert exported.returncode == 0, exported.stderr
    card = json.loads(exported.stdout)
    assert [seed["seed"] for seed in card["training"]["seeds"]] == [0, 1] and card["version"] == 1
    assert json.loads(scs("export", "mnist-scs", *data, *own, "--compose", "--json").stdout)["version"] == 2

    evaluated = scs("evaluate", "mnist-scs", *data, *own)
    assert evaluated.returncode == 0, evaluated.stderr
    for said in ("95% interval", "recall", "expected calibration error", "negative log-likelihood"):
        assert said in evaluated.stdout
    figures = json.loads(scs("evaluate", "mnist-scs", *data, *own, "--corruptions", "--attacks", "--json").stdout)
    assert figures["accuracy"] == pytest.approx(card["accuracy"]["accuracy"])
    assert np.array(figures["confusion"]).sum() == sum(figures["reliability"]["counts"]) == 100
    counts, confidence, accuracy = map(np.array, figures["reliability"].values())
    error = (counts * np.abs(accuracy - confidence)).sum() / 100
    assert figures["expected_calibration_error"] == pytest.approx(error)

    shown = scs("evaluate", "mnist-scs", *data, *own, "--corruptions", "--attacks").stdout
    rows = {line.split()[0]: line.split() for line in shown.split("by severity")[1].splitlines() if "%" in line}
    found = figures["corruptions"]
    assert list(found) == list(CORRUPTIONS) and list(rows)[: len(found) + 2] == ["none", *found, "all"]
    for name, each in found.items():
        assert rows[name][1:7] == [f"{100 * share:.1f}%" for share in [*each["accuracy"], np.mean(each["accuracy"])]]
    assert figures["corrupted_mean"] == pytest.approx(np.mean([each["mean"] for each in found.values()]))
    for name in ("fgsm", "pgd"):
        shares = [figures["accuracy"], *figures["attacks"][name]]
        assert rows[name.upper() + "," * (name == "pgd")][-5:] == [f"{100 * share:.1f}%" for share in shares]
    assert ("Not to be trusted" in shown) == bool(figures["attacks"]["gradients"]["doubts"])

    path = tmp_path / "own" / "mnist-scs" / "2" / "card.json"
    without = {key: value for key, value in json.loads(path.read_text()).items() if key != "equivariance"}
    path.write_text(json.dumps(without))
    shifted = scs("evaluate", "mnist-scs", *data, *own, "--shifts", "--write-card")
    assert shifted.returncode == 0, shifted.stderr
    assert json.loads(path.read_text()) == without | {"equivariance": card["equivariance"]}
    (line,) = (line for line in shifted.stdout.splitlines() if line.startswith("class kept"))
    kept = card["equivariance"]["as_served"]["class_kept"]
    assert line.split()[2] == f"{kept:.3f}"
    assert f"shifted by a pixel, {kept:.1%} of the pictures" in scs("models", "show", "mnist-scs", *own).stdout

    assert scs("predict", photo, "--model", "mnist-scs", *own).returncode == 0


def test_visualize_draws_what_a_class_would_like_to_see_as_a_template_to_match(scs, photo, tmp_path):
    options = "--size", 24, "--steps", 5, "--json"
    drawn = scs("visualize", "shapes-scs", "class_map", "disc", "--out", tmp_path / "disc.png", *options)
    assert drawn.returncode == 0, drawn.stderr
    said = json.loads(drawn.stdout)
    assert (said["channel"], said["size"]) == (0, 24) and said["after"] > said["before"]
    with Image.open(tmp_path / "disc.png") as picture:
        assert picture.size == (24, 24)
    matched = scs("match", photo, tmp_path / "disc.png", "--json")
    assert matched.returncode in (0, 1) and json.loads(matched.stdout)["matches"]


def test_waldo_is_found_again_by_template_where_his_box_is(scs, photo, tmp_path):
    sought = scs("waldo", photo, "--box", "180,90,60,60", "--steps", 15, "--out", tmp_path / "where.png", "--json")
    assert sought.returncode == 0, sought.stderr
    answer = json.loads(sought.stdout)
    assert answer["width"] == pytest.approx(60)
    best = {name: places[0] for name, places in answer["places"].items()}
    assert best["ZNCC"]["score"] == pytest.approx(1, abs=1e-4)
    for name in ("ZNCC", "ZNCC, three sizes", "SCS, three sizes"):
        assert (best[name]["x"], best[name]["y"]) == (pytest.approx(210, abs=4), pytest.approx(120, abs=4))
    assert len(answer["places"]) == len(best) == 4
    with Image.open(tmp_path / "where.png") as picture:
        assert picture.width == 1000


@pytest.mark.parametrize(
    "arguments, status, said",
    [
        (["predict"], 2, "Missing argument"),
        (["predict", "none.jpg"], 1, "No such file"),
        (["predict", "text.txt"], 1, "was needed but"),
        (["predict", "cat.jpg", "--model", "dog"], 2, "no model 'dog'; there are: shapes-"),
        (["predict", "cat.jpg", "--resize", "big"], 2, "'big' came"),
        (["predict", "cat.jpg", "--url", "http://127.0.0.1:9"], 1, "no answer from"),
        (["activations", "cat.jpg", "--layers", "roof"], 2, "no layer 'roof'"),
        (["activations", "cat.jpg", "--box", "400,200,100,300"], 2, "451x300"),
        (["match", "cat.jpg"], 2, "neither came"),
        (["match", "cat.jpg", "none.png"], 2, "could not look: No such file"),
        (["match", "cat.jpg", "text.txt"], 2, "template: an image (JPEG"),
        (["match", "cat.jpg", "cat.jpg", "--method", "best"], 2, "there are: sqdiff"),
        (["match", "cat.jpg", "cat.jpg", "--out", "found.jpg"], 2, "--out is a .png file"),
        (["match", "cat.jpg", "cat.jpg", "--heatmap", "heat.txt"], 2, "--heatmap is a .png, .npz or .npy"),
        (["match", "cat.jpg", "cat.jpg", "--overlap", "2"], 2, "overlap: "),
        (["train", "cats"], 2, "a model to train is one of"),
        (["train", "mnist-scs"], 1, "--download"),
        (["train", "mnist-scs", "--data", "."], 1, "mnist.npz, which is not in ."),
        (["train", "mnist-scs", "--download"], 2, "needs a folder"),
        (["export", "mnist-scs"], 1, "there is none: run scs train mnist-scs first"),
        (["evaluate", "dog"], 2, "no model 'dog'"),
        (["evaluate", "shapes-script", "--attacks"], 1, "needs a model that is ONNX; shapes-script is torchscript"),
        (["visualize", "shapes-scs", "stem", "0", "--out", "k.jpg"], 2, "--out is a .png file; 'k.jpg' came"),
        (
            ["visualize", "shapes-scs", "roof", "0", "--out", "k.png"],
            2,
            "there are: stem, block1",
        ),
        (["visualize", "shapes-scs", "stem", "8", "--out", "k.png"], 2, "a channel of stem is 0 to 7; '8' came"),
        (["visualize", "shapes-scs", "class_map", "cat", "--out", "k.png"], 2, "0 to 2 or one of disc, bar, cross;"),
        (
            ["visualize", "shapes-scs", "stem", "0", "--out", "k.png", "--size", "3"],
            2,
            "at least 4 for shapes-scs; 3 came",
        ),
        (["visualize", "shapes-script", "stem", "0", "--out", "k.png"], 1, "shapes-script is torchscript"),
        (["waldo", "cat.jpg", "--out", "k.jpg"], 2, "--out is a .png file; 'k.jpg' came"),
        (["waldo", "cat.jpg", "--box", "1,2,3"], 2, "--box is x,y,width,height in a scene that is given; '1,2,3' came"),
        (["waldo", "--box", "1,2,30,40"], 2, "in a scene that is given"),
        (["waldo", "cat.jpg", "--box", "400,200,100,99"], 2, "inside the scene, 451x300 here; 400,200,100,99 came"),
        (["waldo", "cat.jpg", "--tall", "300"], 2, "the scene is 451x300, too small"),
        (["match", "cat.jpg", "text.csv"], 2, "text.csv: a CSV file of one number a line was needed"),
        (["models", "show", "dog"], 2, "no model 'dog'"),
        (["lab", "sound"], 2, "no topic 'sound'; there are: signal"),
        (["bark"], 2, "No such command"),
    ],
)
def test_a_failure_is_one_line_and_a_status(scs_here, photo, tmp_path, arguments, status, said):
    (tmp_path / "text.txt").write_text("hello")
    (tmp_path / "text.csv").write_text("hello")
    failed = scs_here(*arguments)
    assert failed.returncode == status
    assert failed.stderr.startswith("scs: ") and failed.stderr.count("\n") == 1
    assert said in failed.stderr


def test_serving_and_predicting_need_no_torch(photo, repository, tmp_path):
    """Torch is blocked, as in an environment that has none: training says what it needs, the rest works."""
    block = "import sys; sys.modules['torch'] = None; sys.argv[1:] = {}; from service.cli.main import main; main()"
    variables = {"MODEL_REPOSITORY": repository, "DEFAULT_MODEL": "shapes-scs", "ALLOW_TORCHSCRIPT": "true"}
    environment = {**os.environ, **{f"SCS_{name}": str(value) for name, value in variables.items()}}
    outcomes = [
        subprocess.run([sys.executable, "-c", block.format(arguments)], capture_output=True, text=True, env=environment)
        for arguments in (
            ["predict", str(photo)],
            ["train", "mnist-scs"],
            ["predict", str(photo), "--model", "shapes-script"],
            ["evaluate", "shapes-scs", "--attacks"],
            ["visualize", "shapes-scs", "stem", "0", "--out", "k.png"],
        )
    ]
    assert outcomes[0].returncode == 0, outcomes[0].stderr
    for outcome in outcomes[1:]:
        assert outcome.returncode == 1 and "needs torch" in outcome.stderr and "scs-serve[train]" in outcome.stderr


def test_torchscript_runs_here_only_where_it_is_allowed(scs, photo):
    model = ("--model", "shapes-script")
    refused = scs("predict", photo, *model, SCS_ALLOW_TORCHSCRIPT="false")
    assert refused.returncode == 1 and refused.stderr.count("\n") == 1
    assert "SCS_ALLOW_TORCHSCRIPT" in refused.stderr
    assert scs("predict", photo, *model).returncode == 0


def test_a_version_may_be_named_by_a_label(scs, photo, repository, tmp_path):
    own = shutil.copytree(repository, tmp_path / "models")
    (own / "shapes-scs" / "labels.json").write_text('{"stable": 1}')
    arguments = ("predict", photo, "--repository", own, "--json", "--version")
    assert json.loads(scs(*arguments, "stable").stdout)["version"] == 1
    refused = scs(*arguments, "canary")
    assert refused.returncode == 2 and "no version canary of shapes-scs; there are: 1, stable" in refused.stderr


def test_asking_for_cuda_where_there_is_none_is_one_line(scs):
    from models.runtime.load import cuda_obstacle

    if cuda_obstacle() is None:
        pytest.skip("CUDA works here: there is nothing to refuse")
    refused = scs("serve", SCS_DEVICE="cuda")
    assert refused.returncode == 1 and refused.stderr.count("\n") == 1
    assert "SCS_DEVICE=cuda needs a working CUDA device" in refused.stderr


def test_a_port_that_is_taken_is_one_line_before_any_model_is_loaded(scs):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = scs("serve", "--port", str(port))
    assert refused.returncode == 1
    assert (
        refused.stderr == f"scs: a free port was needed to serve on; 127.0.0.1:{port} is not: address already in use\n"
    )


def test_the_version_is_that_of_the_package(scs):
    assert scs("--version").stdout == f"scs-serve {version('scs-serve')}\n"


@pytest.mark.parametrize(
    "command", [("train", "mnist-scs"), ("waldo",), ("visualize", "x", "stem", "0", "--out", "x.png")]
)
def test_a_seed_that_no_generator_takes_is_refused(scs, command):
    refused = scs(*command, "--seed", str(2**32))
    assert refused.returncode == 2 and "--seed" in refused.stderr and "Traceback" not in refused.stderr


def test_a_wrong_setting_is_one_line(scs):
    refused = scs("serve", SCS_PORT="many")
    assert refused.returncode == 2 and refused.stderr.count("\n") == 1 and "SCS_PORT" in refused.stderr
