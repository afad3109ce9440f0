"""A folder of small pictures, two of which cannot be read, and runs over it in this process."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("pyarrow", reason="needs the extra `map`")

from service.api.predict import PredictOptions
from service.map.mapping import map_pictures
from service.map.predict import PredictTask
from service.map.processes import map_here, prepare
from service.map.run import Run
from service.map.task import Task
from service.settings import Settings

MODEL = "cifar10-conv"


@pytest.fixture(autouse=True)
def variables(monkeypatch):
    """Those that a run sets for its processes are as they were, afterwards; so is the priority of what is forked."""
    monkeypatch.setattr("service.map.processes.keep_priority", prepare)
    for name in (
        "SCS_THREADS",
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "NUMBA_NUM_THREADS",
        "OPENCV_FOR_THREADS_NUM",
    ):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("ARROW_DEFAULT_MEMORY_POOL", "system")


@pytest.fixture(scope="session")
def settings() -> Settings:
    return Settings(device="cpu")


@pytest.fixture(scope="session")
def pictures(tmp_path_factory) -> Path:
    """Forty small pictures, one of which is cut off, and a file that is none."""
    folder = tmp_path_factory.mktemp("pictures")
    random = np.random.default_rng(0)
    for number in range(40):
        Image.fromarray(random.integers(0, 256, (24 + number % 3, 32, 3), np.uint8)).save(folder / f"{number:02d}.png")
    whole = (folder / "07.png").read_bytes()
    (folder / "07.png").write_bytes(whole[:900])
    (folder / "none.jpg").write_bytes(b"no picture")
    return folder


@pytest.fixture
def task(settings) -> PredictTask:
    return PredictTask.of(settings, PredictOptions(model=MODEL, top_k=3, partial=True))


@pytest.fixture
def mapped(task, tmp_path) -> Callable[..., Run]:
    """Run a task in this process's workers."""

    def run(*inputs: object, task: Task = task, out: Path = tmp_path / "out", names: bytes = b"", **options) -> Run:
        def do(task: Task, run: Run) -> None:
            map_here(task, run, 2, 2**31, lambda done: None)

        given = [str(each) for each in inputs]
        return map_pictures("predict", task, given, out, options.get("do", do), io.BytesIO(names), 2)

    return run
