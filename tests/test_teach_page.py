"""What docs/teach.md says is so: its commands run as pasted, its options exist, its tables are those of the results."""

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from tests.service.cli.test_teach import lay

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "teach.md").read_text()
README = (ROOT / "README.md").read_text()


def shell(commands: str, folder: Path, **environment: str) -> str:
    script = f'set -e; scs() {{ "{sys.executable}" -m service.cli "$@"; }}\n{commands}'
    variables = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200", **environment}
    done = subprocess.run(["bash", "-c", script], cwd=folder, env=variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-500:]
    return done.stdout


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """A newcomer's folder: ten photographs to teach, two to ask, and some that come later."""
    folder = tmp_path_factory.mktemp("newcomer")
    lay(folder / "photos", {"rocket": 3, "cup of coffee": 4, "cat": 3})
    lay(folder / "more", {"brick": 2, "cat": 1}, first=10)
    for name in ("cat", "brick"):
        lay(folder / "one", {name: 1}, first=20)
        (folder / "new").mkdir(exist_ok=True)
        (folder / "one" / name / "20.png").rename(folder / "new" / f"{name}.jpg")
    return folder


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_commands_of_the_page_and_of_the_readme_run_as_they_are_pasted(photographs):
    pytest.importorskip("efficientnet_lite_pytorch")
    (commands,) = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    told = shell(commands.replace("SCS_DEFAULT_MODEL=things scs serve\n", ""), photographs)
    assert "each picture left out once: 10 of 10" in told and "each picture left out once: 13 of 13" in told
    assert re.search(r"brick\.jpg *│ none of these", told) and re.search(r"cat\.jpg *│ cat", told)
    for picture in ("taught/confusion.png", "taught/hardest.png", "heat.png"):
        assert (photographs / picture).read_bytes().startswith(b"\x89PNG")

    (pasted,) = re.findall(r"```sh\n([^`]*scs teach .*?)```", README, re.DOTALL)
    said = dict(re.findall(r"(\S+\.jpg): ([\w ]+)", pasted))
    assert said == {"brick.jpg": "none of these", "cat.jpg": "cat"}
    told = shell(pasted, photographs)
    for name, label in said.items():
        assert re.search(rf"{re.escape(name)} *│ {label}", told)


def test_its_options_are_those_of_the_command():
    help_page = shell("scs teach --help", ROOT)
    rows = re.findall(r"^\| `(--[\w-]+)` \|", PAGE, re.MULTILINE)
    assert len(rows) == 7 and all(option in help_page for option in rows)


def test_its_tables_are_those_of_the_results():
    filled = runpy.run_path(str(ROOT / "docs" / "tables"))["filled"]
    assert filled(PAGE) == PAGE, "run: python docs/tables"
