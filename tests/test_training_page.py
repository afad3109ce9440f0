"""What docs/training.md says is so: its commands and options exist, its code runs."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from models.training.recipes import RECIPES

PAGE = (Path(__file__).parent.parent / "docs" / "training.md").read_text()


def test_every_model_to_train_is_named():
    named = {
        name
        for row in re.findall(r"^\| \S*MNIST .*|^\| CIFAR.*", PAGE, re.MULTILINE)
        for name in re.findall(r"`(.*?)`", row)
    }
    assert named | {f"{name}-blurred" for name in named} == set(RECIPES)


@pytest.mark.parametrize("command", ["train", "export", "evaluate"])
def test_options_that_are_named_exist(command):
    help_page = subprocess.run(
        [sys.executable, "-m", "service.cli", command, "--help"], capture_output=True, text=True, check=True
    ).stdout
    named = re.findall(rf"^scs {command} .*", PAGE, re.MULTILINE)
    assert named
    options = {option for line in named for option in re.findall(r"--[\w-]+", line)}
    if command == "evaluate":
        options |= set(re.findall(r"^\| `(--\w+)`", PAGE, re.MULTILINE))
    assert all(option in help_page for option in options), options


def test_the_piece_of_python_runs():
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, object] = {}
    exec(code, names)
    assert "layer" in names
