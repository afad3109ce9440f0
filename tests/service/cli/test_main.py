"""The command line, run as a user runs it: a process, its output and its exit status."""

import json
import os
import socket
import subprocess
import sys
from importlib.metadata import version

import numpy as np
import pytest
from PIL import Image

from models.datasets.corruptions import CORRUPTIONS
from service.cli.main import Commands

OF_THE_LABORATORY = ["lab", "visualize", "waldo"]
COMMANDS = [*Commands.own, *OF_THE_LABORATORY]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(scs_here, command):
    shown = scs_here(command, "--help")
    assert shown.returncode == 0 and f"Example: scs {command}" in " ".join(shown.stdout.split())


def test_help_lists_every_command(scs):
    shown = scs("--help").stdout
    assert all(command in shown for command in COMMANDS)


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
