"""What docs/training.md says is so: its commands and options exist, its code runs."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models.training.recipes import RECIPES

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "training.md").read_text()


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
    for heading, of in (("### What is chosen", "train"), ("## Evaluate", "evaluate")):
        if command == of:
            (section,) = re.findall(rf"^{heading}$(.*?)^##", PAGE, re.MULTILINE | re.DOTALL)
            rows = re.findall(r"^\| (`--.*?) \|", section, re.MULTILINE)
            options |= {option for row in rows for option in re.findall(r"`(--[\w-]+)`", row)}
    assert all(option in help_page for option in options), options


@pytest.mark.slow
@pytest.mark.timeout(1200)  # two trainings, of which one runs a network for pictures of 224 pixels
def test_the_commands_for_own_pictures_run_as_they_are_written(tmp_path):
    random = np.random.default_rng(0)
    for name, colour in {"hex": (200, 60, 60), "cross": (60, 60, 200), "slotted": (60, 200, 60)}.items():
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(8):
            image = random.integers(0, 50, (34, 40 + i, 3)) + np.array(colour)
            Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(tmp_path / "photos" / name / f"{i}.jpg")
    blocks = re.findall(r"```sh\n(.*?)```", PAGE.partition("### What it takes")[0], re.DOTALL)
    commands = [line for block in blocks for line in block.splitlines() if not line.endswith("serve")]
    assert len(commands) == 8
    script = "\n".join(commands).replace("\nscs ", f"\n{sys.executable} -m service.cli ")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(["sh", "-ec", script], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-500:]
    assert done.stdout.count("% on photos") == 2 and "of 3 right" in done.stdout, "one of eight of each class"
    assert (tmp_path / "measured" / "wrong.png").is_file()


def test_the_piece_of_python_runs():
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, object] = {}
    exec(code, names)
    assert "layer" in names
