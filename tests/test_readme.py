"""What the README says is so: its commands run as pasted, its tables are those of the code."""

import json
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from models.cards import catalogue
from service.settings import Settings

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
CURLS = [block for block in BLOCKS if block.startswith("curl")]
SCS_HERE = next(block for block in BLOCKS if block.startswith("scs predict"))


@pytest.fixture(scope="module")
def server(serve):
    """The service as ``make serve`` starts it: bundled models, default settings but for a free port."""
    with serve() as url:
        yield url


def run(command: str, folder: Path, url: str = "") -> str:
    """Run lines of shell as pasted, but for the port and the name of this Python's scs."""
    command = command.replace("http://127.0.0.1:8000", url)
    shell = f'set -e; scs() {{ "{sys.executable}" -m service.cli "$@"; }}\n{command}'
    (folder / "docs").symlink_to(ROOT / "docs")
    done = subprocess.run(["bash", "-c", shell], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_there_are_five_curl_lines():
    assert len(CURLS) == 5


def test_the_first_names_the_picture(server, tmp_path):
    answer = json.loads(run(CURLS[0], tmp_path, server))
    (prediction,) = answer["predictions"]
    assert prediction["name"] == "cat.jpg" and (prediction["width"], prediction["height"]) == (1024, 768)
    assert len(prediction["classes"]) == 3


def test_the_second_writes_a_picture_of_all_layers(server, tmp_path):
    run(CURLS[1], tmp_path, server)
    assert (tmp_path / "heat.png").read_bytes().startswith(b"\x89PNG")


def test_the_third_gives_two_channels_of_two_layers(server, tmp_path):
    answer = json.loads(run(CURLS[2], tmp_path, server))
    assert [(layer["name"], len(layer["heatmaps"])) for layer in answer["layers"]] == [("stem", 2), ("block2", 2)]


def test_the_fourth_finds_the_box_itself_first_and_then_the_other_eye(server, tmp_path):
    (layer,) = json.loads(run(CURLS[3], tmp_path, server))["layers"]
    first, second = layer["match"]["peaks"]
    assert first["score"] == pytest.approx(1, abs=1e-4)
    assert (first["x"], first["y"], first["width"], first["height"]) == (300, 230, 150, 120)
    centre = second["x"] + second["width"] / 2, second["y"] + second["height"] / 2
    assert abs(centre[0] - 750) < 50 and abs(centre[1] - 345) < 50, "where the other eye is, read off the photograph"


def test_the_fifth_finds_the_box_where_it_was_cut_out(server, tmp_path):
    first = json.loads(run(CURLS[4], tmp_path, server))["matches"][0]
    assert [first["x"], first["y"], first["angle"]] == pytest.approx([375, 290, 0], abs=0.5)
    assert first["present"]


def test_the_commands_without_a_server_work_as_pasted(tmp_path):
    shown = run(SCS_HERE, tmp_path)
    assert "cat.jpg" in shown and "make the logit" in shown and "mnist-conv" in shown
    assert "yes" in shown
    assert (tmp_path / "heat.png").exists() and (tmp_path / "found.png").exists()


def test_the_piece_of_python_runs():
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    names: dict[str, object] = {}
    exec(code, names)
    assert "layer" in names


def test_the_settings_table_is_that_of_the_code():
    rows = re.findall(r"^\| `(SCS_\w+)` \| (?:`(.*?)`|(.*?)) \|", README, re.MULTILINE)
    assert [name for name, *_ in rows] == [f"SCS_{field.upper()}" for field in Settings.model_fields]
    for name, default, words in rows:
        field = Settings.model_fields[name.removeprefix("SCS_").lower()]
        assert default == str(field.default) or (words and (field.default_factory or field.default in (None, ()))), name


def test_the_models_table_is_that_of_the_cards():
    rows = re.findall(r"^\| `([\w-]+)` \| ([\d,]+) \| ([\d.]+)% \| ([\d.]+) to ([\d.]+)% \|", README, re.MULTILINE)
    cards = [entry.card() for entry in catalogue.entries(catalogue.bundled_repository())]
    assert len(rows) == len(cards) == 4
    for card, (name, parameters, *figures) in zip(cards, rows, strict=True):
        assert (card.name, f"{card.parameters:,}") == (name, parameters)
        measured = card.accuracy
        assert figures == [f"{100 * value:.2f}" for value in (measured.accuracy, measured.low, measured.high)]


def test_the_makefile_has_the_two_commands():
    for target in ("serve", "test"):
        assert re.search(rf"^    make {target} ", README, re.MULTILINE)
        listed = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, env={**os.environ})
        assert listed.returncode == 0, listed.stderr


def test_files_that_are_linked_exist():
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target


def test_the_table_of_speeds_is_that_of_the_results():
    filled = runpy.run_path(str(ROOT / "docs" / "tables"))["filled"]
    assert filled(README) == README, "run: python docs/tables"
