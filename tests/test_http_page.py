"""What docs/http.md says is so: its requests run as pasted, its statuses are those of the table of errors."""

import json
import re
import subprocess
from pathlib import Path

import httpx2 as httpx
import pytest

from models.explain.methods import METHODS
from service.http.problems import STATUSES, kind_of, kinds

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "http.md").read_text()
KNOWN, FEATURES, PIXELS, CLASS = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)

GRAPH, ERROR = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def server(serve):
    with serve() as url:
        yield url


def ask(command, url):
    """Run a line of shell as pasted, but for the port."""
    shell = command.replace("http://127.0.0.1:8000", url)
    return json.loads(subprocess.run(["bash", "-c", shell], cwd=ROOT, capture_output=True, check=True).stdout)


def test_features_of_the_box_are_found_in_the_box_first_and_then_at_the_other_eye(server):
    (layer,) = ask(FEATURES, server)["layers"]
    first, second = layer["match"]["peaks"]
    assert first["score"] == pytest.approx(1, abs=1e-4)
    assert (first["x"], first["y"], first["width"], first["height"]) == (300, 230, 150, 120)
    centre = second["x"] + second["width"] / 2, second["y"] + second["height"] / 2
    assert abs(centre[0] - 750) < 50 and abs(centre[1] - 345) < 50, "where the other eye is, read off the photograph"


def test_a_picture_that_was_sent_is_asked_about_by_its_digest(server, tmp_path):
    first, *others = ask(KNOWN.replace("heatmaps.png", str(tmp_path / "heatmaps.png")), server)["matches"]
    assert (tmp_path / "heatmaps.png").stat().st_size
    assert [first["x"], first["y"]] == pytest.approx([375, 290], abs=0.5)
    assert first["present"] and others


def test_pixels_of_the_box_are_found_where_it_was_cut_out(server):
    first = ask(PIXELS, server)["matches"][0]
    assert [first["x"], first["y"], first["angle"]] == pytest.approx([375, 290, 0], abs=0.5)
    assert first["present"]


def test_a_class_is_explained_by_grad_cam_of_the_layer_named(server):
    seen = ask(CLASS, server)["class_map"]
    assert (seen["label"], seen["method"], seen["layer"], seen["exact"]) == ("cat", "gradcam", "block3", False)


def test_every_method_of_a_class_map_is_explained():
    explained = re.findall(
        r"^\| `([a-z]+)` \| ", PAGE.split("## Where is a class seen?")[1].split("## Errors")[0], re.MULTILINE
    )
    assert explained == ["method", *METHODS]


def test_the_graph_that_is_shown_is_how_that_of_a_bundled_network_begins(server):
    shown, came = json.loads(GRAPH), httpx.get(f"{server}/models/cifar10-scs/graph").json()
    assert shown["nodes"] == came["nodes"][: len(shown["nodes"])]
    assert shown["edges"] == came["edges"][: len(shown["edges"])]


def test_the_error_that_is_shown_is_the_one_that_comes(server):
    picture = (ROOT / "docs" / "pictures" / "cat.jpg").read_bytes()
    came = httpx.post(f"{server}/activations?layers=stem9", content=picture, headers={"Content-Type": "image/jpeg"})
    assert came.json() == json.loads(ERROR)


def test_every_status_of_an_error_is_explained():
    explained = {int(status) for status in re.findall(r"^\| (\d{3})", PAGE, re.MULTILINE)}
    assert {int(status) for status in STATUSES.values()} <= explained


def test_every_kind_of_problem_is_listed_with_its_status():
    listed = dict(re.findall(r"^\| `/problems/([a-z-]+)` \| (\d+) \|", PAGE, re.MULTILINE))
    assert set(listed) == kinds()
    for error, status in STATUSES.items():
        assert int(listed[kind_of(error.__new__(error))]) == status
