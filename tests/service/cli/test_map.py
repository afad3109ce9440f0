"""``scs map`` as a user runs it."""

import json
import sys

import pyarrow.dataset
import pytest
from PIL import Image

from service.cli.main import main
from service.map.processes import prepare


@pytest.fixture
def scs(tmp_path, monkeypatch, capsys):
    """Run ``scs`` in this process; its exit status, and what it printed."""
    for name in (
        "SCS_THREADS",
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "NUMBA_NUM_THREADS",
        "OPENCV_FOR_THREADS_NUM",
    ):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("ARROW_DEFAULT_MEMORY_POOL", "system")
    monkeypatch.setattr("service.map.processes.keep_priority", prepare)  # or the tests that follow have it, too
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["scs", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code, *capsys.readouterr()

    return run


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("a.png", "b\nc.png"):
        Image.new("RGB", (32, 32), "red").save(tmp_path / "in" / name)
    return tmp_path / "in"


@pytest.mark.parametrize("task", ["predict", "activations", "match"])
def test_every_task_has_help_with_an_example(scs, task):
    status, shown, _ = scs("map", task, "--help")
    assert status == 0 and f"Example: scs map {task}" in " ".join(shown.split())


def test_a_run_says_what_failed_and_its_exit_status_is_1_then(scs, folder, tmp_path):
    assert scs("map", "predict", "in", "--out", "out") == (0, "2 of 2 done, 0 failed; rows in out/parts\n", "")
    (folder / "bad\n.png").write_bytes(b"no picture")
    status, said, failures = scs("map", "predict", "in", "--out", "new", "--json")
    assert (status, json.loads(said)) == (1, {"rows": 3, "failed": 1, "out": "new"})
    assert failures.startswith(r"scs: in/bad\n.png: an image (JPEG") and failures.count("\n") == 1
    names = pyarrow.dataset.dataset(tmp_path / "new" / "parts").to_table()["name"].to_pylist()
    assert names == ["in/a.png", "in/b\nc.png", "in/bad\n.png"]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("predict", "missing"), "there is no file or folder 'missing'"),
        (("predict", "in", "--model", "no"), "no model 'no'"),
        (("predict", "in", "--out", "in"), "in has other files in it, such as a.png"),
        (("predict", "in", "--out", "/proc/out"), "/proc/out cannot be written to: No such file or directory"),
        (("match", "in", "--template", "in/a.png", "--level", "1"), "--level and --background are for slides"),
        (("activations", "in", "--layers", "no"), "no layer 'no'"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_exit_status_2(scs, folder, tmp_path, arguments, why):
    out = () if "--out" in arguments else ("--out", "out")
    status, said, failure = scs("map", *arguments, *out)
    assert (status, said, failure.count("\n")) == (2, "", 1) and why in failure
    assert not (tmp_path / "out").exists()


def test_a_package_that_is_missing_is_named_with_its_extra(scs, folder, monkeypatch):
    for name in [name for name in sys.modules if name.startswith(("service.map.", "pyarrow"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    _, _, failure = scs("map", "predict", "in", "--out", "out")
    assert failure == "scs: scs map needs pyarrow, which is not installed: pip install 'scs-serve[map]'\n"
