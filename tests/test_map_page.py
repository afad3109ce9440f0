"""What docs/map.md says is so: its commands run as they are written, its options exist."""

import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import tifffile
from PIL import Image
from typer.testing import CliRunner

from service.cli.main import app
from service.settings import Settings

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "map.md").read_text()
COMMANDS = re.findall(r"scs map .*", "\n".join(re.findall(r"```(?:sh|text)\n(.*?)```", PAGE, re.DOTALL)))


@pytest.mark.parametrize("task", ["predict", "activations", "match"])
def test_options_that_are_named_exist(task):
    shown = CliRunner().invoke(app, ["map", task, "--help"], env={"COLUMNS": "200"}).stdout
    named = {
        option for line in COMMANDS if line.startswith(f"scs map {task}") for option in re.findall(r"--[\w-]+", line)
    }
    assert named and all(option in shown for option in named), named


def test_limits_that_are_named_exist():
    named = set(re.findall(r"`(SCS_\w+)`", PAGE))
    assert named and {name.removeprefix("SCS_").lower() for name in named} <= set(Settings.model_fields)


@pytest.fixture
def material(tmp_path):
    """What the page's commands are given: photographs, archives of them, and a slide."""
    pa = pytest.importorskip("pyarrow", reason="needs the extra `map`")
    import pyarrow.parquet as pq
    import zarr

    (tmp_path / "photos").mkdir()
    for name in ("chelsea", "coffee"):
        Image.fromarray(getattr(skimage.data, name)()).save(tmp_path / "photos" / f"{name}.jpg", quality=95)
    Image.fromarray(skimage.data.chelsea()[100:140, 150:210]).save(tmp_path / "eye.png")
    with tarfile.open(tmp_path / "shard.tar", "w") as tar:
        tar.add(tmp_path / "eye.png", "0001.png")
    pq.write_table(pa.table({"image": [(tmp_path / "eye.png").read_bytes()]}), tmp_path / "pictures.parquet")
    zarr.create_array(tmp_path / "pictures.zarr", data=np.zeros((2, 32, 32, 3), np.uint8))
    slide = np.tile(skimage.data.astronaut(), (2, 3, 1))
    tifffile.imwrite(tmp_path / "slide.tif", slide, tile=(256, 256), photometric="rgb", compression="zlib")
    Image.fromarray(slide[100:140, 200:260]).save(tmp_path / "cell.png")
    return tmp_path


@pytest.mark.slow
def test_the_commands_run_as_they_are_written(material):
    import pyarrow.dataset
    import pyarrow.parquet as pq

    commands = "".join(re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL))
    script = f"set -e\nscs() {{ '{sys.executable}' -m service.cli \"$@\"; }}\n{commands}"
    environment = {**os.environ, "SCS_MAX_PIXELS": "1000000"}
    done = subprocess.run(["bash", "-c", script], cwd=material, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(" 0 failed") == len(commands.split("scs map ")) - 1 == 7

    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    there: dict = {}
    exec(code.replace('"classes/parts"', f'"{material}/classes/parts"'), there)
    assert there["table"].num_rows == 2 and there["table"]["error"].null_count == 2
    rows = {
        name: pyarrow.dataset.dataset(material / name / "parts").count_rows()
        for name in ("found", "seen", "mixed", "listed")
    }
    assert rows == {"found": 2, "seen": 2, "mixed": 2 + 1 + 1 + 2, "listed": 2}
    (cells,) = pq.read_table(material / "cells" / "slides" / "slides.parquet").to_pylist()
    assert cells["failed"] == 0 and len(cells["matches"]) == 5
    assert (material / "cells" / cells["maps"] / "0").is_dir() and (material / "cells" / cells["geojson"]).exists()
