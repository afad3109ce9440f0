"""`scs activations`: heatmaps of layers, of classes and of templates, as pictures and numbers."""

import json

import numpy as np
import pytest
from PIL import Image


def test_activations_writes_one_picture_of_all_layers(scs, photo, tmp_path, server):
    for extra in ((), ("--url", server)):
        out = tmp_path / f"heat{len(extra)}.png"
        made = scs("activations", photo, "--out", out, "--class", "disc", "--box", "100,80,60,60", *extra)
        assert made.returncode == 0, made.stderr
        with Image.open(out) as image:
            assert image.width > 800 and image.height > 800
            assert len(image.convert("RGB").resize((200, 200)).getcolors(40_000)) > 100, "not a blank page"
        assert "make the logit" in made.stdout and "best place" in made.stdout


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
