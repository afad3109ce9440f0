"""``scs lab``, run as a user runs it."""

import json
import subprocess
import sys


def lab(folder, *arguments):
    command = [sys.executable, "-m", "service.cli", "lab", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_without_a_topic_it_lists_them(tmp_path):
    assert "signal" in lab(tmp_path) and "signal" in json.loads(lab(tmp_path, "--json"))


def test_a_topic_prints_its_figures_and_writes_its_pictures(tmp_path):
    assert "Pearson's r" in lab(tmp_path, "signal", "--quick")
    assert (tmp_path / "lab-out" / "signal" / "responses.png").read_bytes().startswith(b"\x89PNG")


def test_figures_for_programs_are_those_that_it_writes(tmp_path):
    figures = json.loads(lab(tmp_path, "signal", "--quick", "--out", "own", "--json"))["signal"]
    assert figures["quick"] and figures == json.loads((tmp_path / "own" / "signal" / "figures.json").read_text())
