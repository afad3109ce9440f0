"""Small trained models, made once a run, and pictures that ship with the test dependencies."""

import io
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import httpx2 as httpx
import hypothesis
import numpy as np
import pytest
import skimage.data
import uvicorn
from fastapi import FastAPI
from fastapi.testclient import TestClient
from PIL import Image

from models.cards.card import Format
from models.datasets.dataset import Dataset
from models.export.export import export_runs
from models.onnx import native
from models.onnx.native.build import BuildError, build, compiler, is_current
from models.training.recipes import Recipe
from models.training.train import train
from service.app import create_app
from service.http.server.early_answers import EarlyAnswers
from service.http.server.protocol import protocol_for
from service.settings import Settings

hypothesis.settings.register_profile("no time limits", deadline=None)  # a first call may compile, on a busy machine
hypothesis.settings.load_profile("no time limits")

FAMILIES = ("scs", "conv")
os.environ["SCS_ALLOWED_HOSTS"] = "testserver"  # the `Host` of the test client; `serve` starts without it


def make_shapes(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Pictures (count, 16, 16, 3) of a disc, a bar or a cross somewhere, and which it is."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 3, count)
    rows, columns = np.mgrid[:16, :16]
    images = random.integers(0, 60, (count, 16, 16, 3))
    for image, label in zip(images, labels, strict=True):
        down, right = np.abs(rows - random.integers(5, 11)), np.abs(columns - random.integers(5, 11))
        drawn = [down**2 + right**2 < 10, (down < 2) & (right < 5), (down == right) & (down < 5)][label]
        image[drawn] += random.integers(100, 190, 3)
    return images.astype(np.uint8), labels.astype(np.int64)


@pytest.fixture(scope="session")
def native_library(tmp_path_factory) -> Path:
    """The native library: the one that `make native` built, else one that is built now."""
    if native.LIBRARY.exists() and is_current():
        return native.LIBRARY
    try:
        compiler()
    except BuildError as error:
        pytest.skip(f"needs `make native` to have run: {error}")
    built = tmp_path_factory.mktemp("native") / native.LIBRARY.name
    build(built)
    return built


@pytest.fixture(scope="session")
def shapes() -> Dataset:
    return Dataset("shapes", *make_shapes(600, 0), *make_shapes(150, 1), classes=("disc", "bar", "cross"))


@pytest.fixture(scope="session")
def runs(shapes, tmp_path_factory) -> dict[str, list[Path]]:
    """Two finished trainings of each family, with different seeds."""
    folders: dict[str, list[Path]] = {}
    for family in FAMILIES:
        recipe = Recipe("shapes", family, (8, 12, 16), (1, 1), epochs=6, batch_size=30, shift=1)
        folders[family] = [tmp_path_factory.mktemp(f"{family}-{seed}") for seed in (0, 1)]
        for seed, folder in enumerate(folders[family]):
            train(recipe, shapes, folder, seed, note="drawn for the tests")
    return folders


@pytest.fixture(scope="session")
def repository(shapes, runs, tmp_path_factory) -> Path:
    """A folder with shapes-scs and shapes-conv as ONNX, and the first also as TorchScript, shapes-script."""
    folder = tmp_path_factory.mktemp("repository")
    for family in FAMILIES:
        export_runs(f"shapes-{family}", runs[family], shapes, folder, version=1)
    export_runs("shapes-script", runs["scs"], shapes, folder, version=1, file_format="torchscript")
    return folder


@pytest.fixture(scope="session")
def blurred_repository(shapes, tmp_path_factory) -> Path:
    """A folder with networks that blur before they halve: shapes-scs as ONNX, shapes-conv as TorchScript."""
    folder = tmp_path_factory.mktemp("blurred")
    formats: dict[str, Format] = {"scs": "onnx", "conv": "torchscript"}
    for family, file_format in formats.items():
        recipe = Recipe("shapes", family, (8, 12, 16), (1, 1), epochs=6, batch_size=30, shift=1, blur=True)
        run = tmp_path_factory.mktemp(f"blurred-{family}")
        train(recipe, shapes, run)
        export_runs(f"shapes-{family}", [run], shapes, folder, version=1, file_format=file_format)
    return folder


@pytest.fixture(scope="session")
def settings(repository) -> Settings:
    return Settings(model_repository=repository, default_model="shapes-scs", device="cpu", allow_torchscript=True)


@pytest.fixture(scope="session")
def client(settings):
    """The whole service over the small models."""
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def in_threads(monkeypatch):
    """Have applications that are made from now on do their work in threads, where a test can take its parts away."""
    monkeypatch.setattr("service.workers.pools.HAS_PROCESSES", False)


@pytest.fixture
def threaded_client(settings, in_threads):
    """The whole service over the small models, its work done by threads."""
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="session")
def photograph() -> np.ndarray:
    """A cat, (300, 451, 3) uint8, from scikit-image."""
    return skimage.data.chelsea()


def _encode(pixels: np.ndarray | Image.Image, kind: str = "PNG", **options: object) -> bytes:
    picture = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.fixture(scope="session")
def encode() -> Callable[..., bytes]:
    """A picture, or its pixels, as the bytes of a file."""
    return _encode


@pytest.fixture(scope="session")
def jpeg(photograph) -> bytes:
    return _encode(photograph, "JPEG", quality=90)


@pytest.fixture(scope="session")
def serve_app() -> Callable[..., AbstractContextManager[str]]:
    """Serve an application on a free port, from a thread; the context is its address."""

    @contextmanager
    def serving(app: FastAPI, body_timeout_s: float = 30.0, send_timeout_s: float = 30.0) -> Iterator[str]:
        services = app.state.services
        early_answers = EarlyAnswers(services.metrics, services.settings.cors_origins, services.shedder)
        http = protocol_for(body_timeout_s, send_timeout_s, early_answers)
        server = uvicorn.Server(uvicorn.Config(app, port=0, http=http, ws="none", log_config=None, lifespan="on"))
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            while not server.started:
                assert thread.is_alive(), "the server stopped before it had started"
                time.sleep(0.01)
            yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()

    return serving


@pytest.fixture(scope="session")
def serve() -> Callable[..., AbstractContextManager[str]]:
    """Run ``scs serve`` with these variables and no other ``SCS_`` ones, on a free port unless one is given.

    The context is its address.
    """

    @contextmanager
    def serving(port: int = 0, **variables: str) -> Iterator[str]:
        if not port:
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                port = free.getsockname()[1]
        others = {key: value for key, value in os.environ.items() if not key.startswith("SCS_")}
        command = [sys.executable, "-m", "service.cli", "serve", "--port", str(port)]
        url = f"http://127.0.0.1:{port}"
        with tempfile.TemporaryFile("w+") as log:  # not a pipe, which is full after some hundred requests
            process = subprocess.Popen(command, env={**others, **variables}, stderr=log)
            try:
                _wait_until_ready(url, process)
                yield url
            finally:
                process.terminate()
                process.wait(timeout=30)
            assert process.returncode == 0, "an ordinary stop is not a failure"
            log.seek(0)
            assert re.search("models run on (cpu|cuda)", log.read())

    return serving


def _wait_until_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        assert process.poll() is None, "the server stopped by itself"
        try:
            if httpx.get(f"{url}/v2/health/ready").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError("the server did not get ready")
