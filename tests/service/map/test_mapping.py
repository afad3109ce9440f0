"""A run over many pictures has a row for each, whatever happens to it."""

import json
import os
import signal
import subprocess
import sys
import time

import pyarrow.dataset
import pytest
from PIL import Image

from scs.errors import OptionError, RunError
from service.api.files import NamedBytes, Upload
from service.api.predict import PredictOptions
from service.cli.local_models import open_model, predict_here
from service.map.predict import PredictTask
from service.map.processes import map_here

from .conftest import MODEL


def rows_of(run) -> list[dict]:
    return pyarrow.dataset.dataset(run.rows_folder).sort_by("number").to_table().to_pylist()


def test_every_picture_has_the_row_that_scs_predict_would_give_it(pictures, mapped, settings):
    run = mapped(pictures)
    rows = rows_of(run)
    files = [NamedBytes(str(path), path.read_bytes()) for path in sorted(pictures.iterdir())]
    options = PredictOptions(model=MODEL, top_k=3, partial=True)
    answer = predict_here(open_model(settings, MODEL, None), Upload(files), options, settings)
    assert [row["name"] for row in rows] == [file.name for file in files]
    done = [row for row in rows if row["error"] is None]
    expected = [each.model_dump() for each in answer.predictions]
    assert [{key: row[key] for key in ("name", "width", "height", "classes")} for row in done] == expected
    assert [(row["label"], row["probability"]) for row in done] == [
        (each["classes"][0]["label"], each["classes"][0]["probability"]) for each in expected
    ]
    failures = [(row["name"], row["error"]) for row in rows if row["error"] is not None]
    assert failures == [(each.name, each.detail) for each in answer.failures] == list(run.failures())
    assert run.counts() == (41, 2)


def test_a_run_that_was_stopped_goes_on_and_does_nothing_twice(pictures, mapped):
    began = []

    def stop_early(task, run):
        run.write_part(1, [{"number": 0, "name": "kept"}], pyarrow.schema([("number", "int64"), ("name", "string")]))
        (run.rows_folder / ".part-000002.parquet.77.tmp").write_bytes(b"half")
        began.append(run)

    mapped(pictures, do=stop_early)
    (run,) = began
    (pictures / "later.png").write_bytes(b"came later")
    try:
        assert run.pending() == [part for part in range(run.parts) if part != 1]
        mapped(pictures)
        assert not list(run.rows_folder.glob(".*")), "what was left half-written is cleared away"
        others = [row for row in rows_of(run) if row["name"] != "kept"]
        numbers = [row["number"] for row in others]
        assert numbers == [number for number in range(41) if number not in run.numbers(1)]
    finally:
        (pictures / "later.png").unlink()


def test_a_run_that_is_done_is_left_as_it_is(pictures, mapped):
    run = mapped(pictures)
    before = {file.name: file.stat().st_mtime_ns for file in run.rows_folder.iterdir()}
    mapped(pictures)
    assert {file.name: file.stat().st_mtime_ns for file in run.rows_folder.iterdir()} == before


def test_a_folder_of_another_run_is_refused(pictures, mapped, settings):
    mapped(pictures, do=lambda task, run: None)
    other = PredictTask.of(settings, PredictOptions(model=MODEL, top_k=1, partial=True))
    with pytest.raises(OptionError, match=r'has another run: its options is .*"top_k": 3.*; name another --out'):
        mapped(pictures, task=other)
    other = PredictTask.of(settings, PredictOptions(model="cifar10-scs", top_k=3, partial=True))
    with pytest.raises(OptionError, match="its model is .*cifar10-conv.*, not .*cifar10-scs"):
        mapped(pictures, task=other)
    with pytest.raises(OptionError, match="its inputs is"):
        mapped(pictures / "00.png")


def test_a_folder_with_other_files_is_refused_and_left_alone(pictures, mapped, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(OptionError, match=r"has other files in it, such as mine\.txt"):
        mapped(pictures, out=tmp_path)
    with pytest.raises(OptionError, match="--out is a folder; .* is a file"):
        mapped(pictures, out=tmp_path / "mine.txt")
    assert [each.name for each in tmp_path.iterdir()] == ["mine.txt"]


def test_inputs_without_pictures_leave_nothing_behind(mapped, tmp_path):
    (tmp_path / "empty").mkdir()
    for given, why in (("empty", "has no pictures in it"), ("missing", "there is no file or folder")):
        with pytest.raises(OptionError, match=why):
            mapped(tmp_path / given)
    with pytest.raises(OptionError, match="pictures are needed; none were listed"):
        mapped("-", names=b"\n\n")
    assert [each.name for each in tmp_path.iterdir()] == ["empty"]


def test_a_folder_of_pictures_that_cannot_be_read_is_named(mapped, tmp_path, monkeypatch):
    def refuse(folder):
        raise PermissionError(13, "Permission denied", str(folder))

    (tmp_path / "secret").mkdir()
    monkeypatch.setattr("service.map.inputs.find.files_in", refuse)
    with pytest.raises(OptionError, match="secret cannot be read: Permission denied"):
        mapped(tmp_path / "secret", out=tmp_path / "out" / "new")
    assert not (tmp_path / "out" / "new").exists()


def test_two_runs_do_not_work_on_one_folder(pictures, mapped):
    def meanwhile(task, run):
        with pytest.raises(RunError, match="another process is at work on"):
            mapped(pictures)

    mapped(pictures, do=meanwhile)


def test_a_folder_that_cannot_be_written_to_is_named(pictures, mapped, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("service.map.run.os.replace", full)
    with pytest.raises(RunError, match="out cannot be written to: No space left on device; what is done there stays"):
        mapped(pictures)


def test_a_picture_that_takes_too_much_memory_fails_alone(mapped, task, tmp_path):
    folder = tmp_path / "large"
    folder.mkdir()
    for number in range(4):
        size = (9000, 5000) if number == 2 else (32, 32)
        Image.new("RGB", size, "red").save(folder / f"{number}.png")
    run = mapped(folder, do=lambda task, run: map_here(task, run, 1, 100 * 2**20, lambda done: None))
    ((name, why),) = run.failures()
    assert name.endswith("2.png") and "needs more memory than the 100 MiB that one may take" in why
    assert run.counts() == (4, 1)


COMMAND = [sys.executable, "-m", "service.cli", "map", "predict", "--model", MODEL, "--processes", "2", "--json"]


@pytest.mark.slow
def test_a_run_that_is_killed_again_and_again_loses_no_picture_and_does_none_twice(pictures, tmp_path):
    """From the command line, which says how many failed and has 1 for its exit status."""
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(3000):
        (folder / f"{number}.png").symlink_to(pictures / f"{number % 40:02d}.png")
    command = [*COMMAND, folder, "--out", tmp_path / "out"]
    for kills in range(40):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        parts = tmp_path / "out" / "parts"
        before = len(list(parts.glob("part*"))) if parts.exists() else 0
        while process.poll() is None and kills < 3:
            if parts.exists() and len(list(parts.glob("part*"))) > before + 2:
                os.kill(process.pid, signal.SIGKILL)
                process.wait()
            time.sleep(0.01)
        said, failures = process.communicate()
        if process.returncode >= 0:
            break
    assert process.returncode == 1, failures
    assert json.loads(said) == {"rows": 3000, "failed": 75, "out": str(tmp_path / "out")}
    assert failures.decode().splitlines()[-1] == "scs: and 65 more; the rows have them, in the column error"
    numbers = pyarrow.dataset.dataset(parts).to_table(columns=["number"])["number"].to_pylist()
    assert sorted(numbers) == list(range(3000))
    assert kills == 3
