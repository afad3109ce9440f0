"""What the README says is so: its commands run as pasted and print what it shows, its tables are those of the code."""

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from models.cards import catalogue

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
ASKED = re.findall(r"```sh\n(curl .*?)```(?:\n\n```(?:json|text)\n(.*?)```)?", README, re.DOTALL)
SCS_HERE = re.findall(r"```sh\n(scs predict.*?)```", README, re.DOTALL)[0]
NUMBER = r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?"
LONGEST = 150  # lines: two minutes


@pytest.fixture(scope="module")
def server(serve):
    """The service as ``make serve`` starts it: bundled models, default settings but for a free port."""
    with serve() as url:
        yield url


def run(command: str, folder: Path, url: str = "") -> str:
    """Run lines of shell as pasted, but for the port and the name of this Python and its scs."""
    command = command.replace("http://127.0.0.1:8000", url).replace(".venv/bin/python", f'"{sys.executable}"')
    shell = f'set -e; scs() {{ "{sys.executable}" -m service.cli "$@"; }}\n{command}'
    (folder / "docs").symlink_to(ROOT / "docs")
    done = subprocess.run(["bash", "-c", shell], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def assert_shown(shown: str, printed: str) -> None:
    """Compare an output with the one on the page: an ellipsis is anything, numbers agree to the digits that are shown.

    Space does not count, so that the page may break lines.
    """
    shown, printed = ("".join(text.split()) for text in (shown, printed))
    pieces = re.split(f"({NUMBER}|…)", shown)
    pattern = "".join(
        ".*?" if piece == "…" else f"({NUMBER})" if re.fullmatch(NUMBER, piece) else re.escape(piece)
        for piece in pieces
    )
    found = re.fullmatch(pattern, printed, re.DOTALL)
    assert found, f"the page shows\n{shown}\nbut this came:\n{printed}"
    numbers = [float(piece) for piece in pieces if re.fullmatch(NUMBER, piece)]
    assert [float(number) for number in found.groups()] == pytest.approx(numbers, rel=0.02, abs=1e-3)


def test_it_is_read_in_two_minutes():
    assert README.count("\n") <= LONGEST


def test_there_are_four_things_to_ask():
    assert len(ASKED) == 4 and sum(bool(shown) for _, shown in ASKED) == 3, "and one answers with a picture"


@pytest.mark.parametrize(("command", "shown"), ASKED)
def test_what_is_asked_answers_as_shown_and_pours_nothing_into_a_terminal(server, tmp_path, command, shown):
    printed = run(command, tmp_path, server)
    assert len(printed) < 2000
    assert_shown(shown, printed)
    for picture in re.findall(r"-o (\S+\.png)", command):
        assert (tmp_path / picture).read_bytes().startswith(b"\x89PNG")


def test_a_number_that_is_not_the_one_shown_is_noticed():
    assert_shown("{1.50…, a\n b}", "{1.5012, ab}")
    with pytest.raises(AssertionError):
        assert_shown("{1.5…}", "{1.6}")
    with pytest.raises(AssertionError, match="the page shows"):
        assert_shown("{a…}", "{b}")


def test_the_commands_without_a_server_work_as_pasted(tmp_path):
    shown = run(SCS_HERE, tmp_path)
    assert "cat.jpg" in shown and "make the logit" in shown and "yes" in shown and "class_map" in shown
    assert (tmp_path / "heat.png").exists() and (tmp_path / "found.png").exists()


def test_the_models_table_is_that_of_the_cards():
    rows = re.findall(r"^\| `([\w-]+)` \| ([\d,]+) \| ([\d.]+)% \| ([\d.]+) to ([\d.]+)% \|", README, re.MULTILINE)
    cards = [entry.card() for entry in catalogue.entries(catalogue.bundled_repository())]
    assert len(rows) == len(cards) == 6
    for card, (name, parameters, *figures) in zip(cards, rows, strict=True):
        assert (card.name, f"{card.parameters:,}") == (name, parameters)
        measured = card.accuracy
        assert figures == [f"{100 * value:.2f}" for value in (measured.accuracy, measured.low, measured.high)]


def test_the_makefile_has_the_two_commands():
    for target in ("serve", "test"):
        assert re.search(rf"^    make {target} ", README, re.MULTILINE)
        listed = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, env={**os.environ})
        assert listed.returncode == 0, listed.stderr


def test_the_table_of_speeds_is_that_of_the_results():
    filled = runpy.run_path(str(ROOT / "docs" / "tables"))["filled"]
    assert filled(README) == README, "run: python docs/tables"
