"""A bank of templates, written by ``scs bank`` and served like any other model."""

import io
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from models.bank.graph import Template
from models.bank.write import write_bank
from scs.matching.scores import score_map
from service.app import create_app
from service.settings import Settings

PLACES = {"eye": (95, 170, 40, 50), "nose": (170, 200, 40, 50), "ear": (20, 300, 60, 30)}  # row, column, height, width


def cut(photograph, label):
    row, column, height, width = PLACES[label]
    return photograph[row : row + height, column : column + width]


@pytest.fixture(scope="module")
def bank_settings(photograph, tmp_path_factory):
    folder = tmp_path_factory.mktemp("banks")
    write_bank("cat", [Template(label, cut(photograph, label)) for label in PLACES], folder)
    return Settings(model_repository=folder, default_model="cat", device="cpu")


@pytest.fixture(scope="module")
def bank(bank_settings):
    with TestClient(create_app(bank_settings), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def scs(tmp_path):
    """Run ``scs`` in an empty folder, without a setting."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("SCS_")}

    def run(*arguments):
        command = [sys.executable, "-m", "service.cli", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment)

    return run


@pytest.fixture
def files(photograph, tmp_path):
    for label in PLACES:
        Image.fromarray(cut(photograph, label)).save(tmp_path / f"{label}.png")
    Image.fromarray(photograph).save(tmp_path / "cat.png")
    return [f"{label}.png" for label in PLACES]


@pytest.mark.parametrize("label", PLACES)
def test_predict_names_the_template_that_is_in_the_picture(bank, photograph, encode, label):
    row, column, height, width = PLACES[label]
    part = photograph[max(0, row - 15) : row + height + 15, max(0, column - 10) : column + width + 20]
    answer = bank.post("/predict", content=encode(part)).json()
    first, *others = answer["predictions"][0]["classes"]
    assert first == {"label": label, "index": list(PLACES).index(label), "score": pytest.approx(1, abs=1e-4)}
    assert all(other["score"] < 0.9 for other in others)


def test_a_picture_is_not_resized_unless_asked_for(bank, photograph, encode):
    scores = [
        {
            each["label"]: each["score"]
            for each in bank.post("/predict", content=encode(photograph), params=params).json()["predictions"][0][
                "classes"
            ]
        }
        for params in ({}, {"resize": "none"}, {"resize": "300"})
    ]
    assert scores[0] == scores[1] == {label: pytest.approx(1, abs=1e-4) for label in PLACES}
    assert max(scores[2].values()) < 0.9


def test_every_template_has_its_heatmap_under_its_name(bank, photograph, encode):
    answer = bank.post("/activations", content=encode(photograph), params={"channels": "all"}).json()
    assert {layer["name"]: layer["receptive_field"]["size"] for layer in answer["layers"]} == {
        "templates-50x40": 40,
        "templates-30x60": 60,
    }
    assert [each["label"] for layer in answer["layers"] for each in layer["heatmaps"]] == ["eye", "nose", "ear"]
    assert answer["layers"][0]["shape"] == [2, 300 - 40 + 1, 451 - 50 + 1]
    assert answer["classes"][0]["score"] == pytest.approx(1, abs=1e-4) and answer["class_map"] is None


def test_the_raw_maps_are_those_of_the_matching(bank, photograph, encode):
    answer = bank.post(
        "/activations",
        content=encode(photograph),
        params={"channels": "all"},
        headers={"Accept": "application/x-npz"},
    )
    maps = np.load(io.BytesIO(answer.content))
    for name, channel, label in [
        ("templates-50x40", 0, "eye"),
        ("templates-50x40", 1, "nose"),
        ("templates-30x60", 0, "ear"),
    ]:
        expected = score_map(photograph, cut(photograph, label), "scs_centred").scores
        np.testing.assert_allclose(maps[name][channel], expected, rtol=0, atol=1e-4)


def test_the_picture_of_all_layers_is_drawn(bank, photograph, encode):
    answer = bank.post("/activations", content=encode(photograph), headers={"Accept": "image/png"})
    assert answer.status_code == 200 and answer.content.startswith(b"\x89PNG")


def test_features_of_a_box_are_found_in_the_maps(bank, photograph, encode):
    params = {"box": "170,95,50,40", "layers": "templates-50x40", "peaks": 1}
    (layer,) = bank.post("/activations", content=encode(photograph), params=params).json()["layers"]
    (peak,) = layer["match"]["peaks"]
    assert (peak["x"], peak["y"]) == (170, 95)


@pytest.mark.parametrize(
    "path, size, params, said",
    [
        ("/predict", (100, 50), {}, "needs 50x60; picture 'image' is 100x50"),
        ("/predict", (49, 80), {}, "needs 50x60"),
        ("/activations", (100, 80), {"class": "eye"}, "cat has no class maps"),
    ],
)
def test_what_a_bank_cannot_answer_is_said(bank, encode, path, size, params, said):
    answer = bank.post(path, content=encode(np.zeros((size[1], size[0], 3), np.uint8)), params=params)
    assert answer.status_code == 422 and said.replace("'image' ", "") in answer.json()["detail"].replace("'0' ", "")


def test_maps_that_would_not_fit_are_refused(bank_settings, photograph, encode):
    settings = bank_settings.model_copy(update={"max_analysed_pixels": 2000})
    with TestClient(create_app(settings)) as small:
        few = encode(photograph[:40, :50])
        assert small.post("/activations", content=few).status_code in (413, 422)


def test_the_card_and_the_list_of_models_show_a_bank(bank):
    card = bank.get("/models/cat").json()["card"]
    assert card["bank"] == {"method": "scs_centred", "p": 2.0, "q": 0.0} and card["labels"] == list(PLACES)


def test_the_command_writes_a_bank_that_predict_can_use(scs, files, tmp_path):
    made = scs("bank", "parts", *files, "--repository", "own")
    assert made.returncode == 0, made.stderr
    assert "3 templates, each found in itself" in made.stdout
    line = made.stdout.splitlines()[-1].removeprefix("try: scs ").replace("photo.jpg", "cat.png")
    shown = scs(*line.split())
    assert shown.returncode == 0 and "nose" in shown.stdout and "1.000" in shown.stdout and "%" not in shown.stdout
    assert "50 x 40 px" in scs("activations", "cat.png", "--model", "parts", "--repository", "own").stdout
    assert "parts" in scs("models", "--repository", "own").stdout
    assert json.loads(scs("bank", "parts", *files, "--repository", "own", "--json").stdout)["version"] == 2


def test_grey_templates_make_a_grey_bank_unless_colour_is_asked_for(scs, photograph, tmp_path):
    Image.fromarray(cut(photograph, "eye")).convert("L").save(tmp_path / "eye.png")
    channels = [
        json.loads(scs("bank", "eyes", "eye.png", "--repository", "own", "--json", *extra).stdout)["input"]["channels"]
        for extra in ((), ("--colour",), ("--grey",))
    ]
    assert channels == [1, 3, 1]


@pytest.mark.slow
def test_transparency_and_a_mask_file_say_the_same(scs, photograph, tmp_path):
    eye = cut(photograph, "eye")
    rows, columns = np.mgrid[:40, :50]
    opacity = np.clip(400 - (rows - 20) ** 2 - (columns - 25) ** 2, 0, 255).astype(np.uint8)
    Image.fromarray(np.dstack([eye, opacity])).save(tmp_path / "eye.png")
    Image.fromarray(eye).save(tmp_path / "opaque.png")
    Image.fromarray(opacity).save(tmp_path / "mask.png")
    Image.fromarray(photograph).save(tmp_path / "cat.png")
    scores = []
    for name, *more in (["eye.png"], ["opaque.png", "--mask", "mask.png"], ["opaque.png"]):
        written = scs("bank", "eye", name, *more, "--repository", "own")
        assert written.returncode == 0, written.stderr
        maps = scs("activations", "cat.png", "--model", "eye", "--repository", "own", "--out", "maps.npz", "--json")
        assert maps.returncode == 0, maps.stderr
        scores.append(np.load(tmp_path / "maps.npz")["templates"][0])
    expected = score_map(photograph, eye, "scs_centred", mask=opacity / 255).scores
    np.testing.assert_allclose(scores[0], expected, rtol=0, atol=1e-4)
    np.testing.assert_array_equal(scores[0], scores[1])
    assert np.abs(scores[0] - scores[2]).max() > 0.05


@pytest.mark.parametrize(
    "arguments, status, said",
    [
        (["parts", "eye.png"], 2, "--repository"),
        (["parts", "eye.png", "eye.png", "--repository", "own"], 2, "2 are called 'eye'"),
        (["parts", "none.png", "--repository", "own"], 1, "No such file"),
        (["parts", "text.txt", "--repository", "own"], 1, "text.txt"),
        (["Parts!", "eye.png", "--repository", "own"], 2, "'Parts!' came"),
        (["parts", "eye.png", "--p", "0.5", "--repository", "own"], 2, "'--p'"),
        (["parts", "eye.png", "--method", "ccorr", "--repository", "own"], 2, "ccorr"),
        (["parts", *(["eye.png"] * 3), "--mask", "eye.png", "--mask", "eye.png", "--repository", "own"], 2, "2 came"),
        (["parts", "eye.png", "--mask", "ear.png", "--repository", "own"], 1, "(60, 30)"),
    ],
)
def test_a_failure_is_one_line_and_a_status(scs, files, tmp_path, arguments, status, said):
    (tmp_path / "text.txt").write_text("hello")
    failed = scs("bank", *arguments)
    assert failed.returncode == status and failed.stderr.count("\n") == 1 and said in failed.stderr
    assert not (tmp_path / "own").exists()
