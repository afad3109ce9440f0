"""What changes on disk is taken when a signal says so, or when two looks have found it the same."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import httpx2 as httpx
import pytest
from fastapi.testclient import TestClient

from models.cards import catalogue
from service.app import create_app
from service.repository.reload import Reloading


@pytest.fixture
def copied(repository, tmp_path):
    shutil.copytree(repository / "shapes-scs", tmp_path / "models" / "shapes-scs")
    return tmp_path / "models"


def add_version(repository, version):
    """Write a version elsewhere, then move it there as one."""
    unfinished = shutil.copytree(repository / "shapes-scs" / "1", repository / ".unfinished")
    card = unfinished / "card.json"
    card.write_text(json.dumps({**json.loads(card.read_text()), "version": version}))
    unfinished.rename(repository / "shapes-scs" / str(version))


def wait_until(true):
    for _ in range(600):
        if true():
            return
        time.sleep(0.1)
    raise AssertionError("that did not happen within a minute")


class Store:
    """Notes what it is asked for."""

    def __init__(self, folder):
        self.folder, self.reloaded = folder, []

    def reload(self, names):
        self.reloaded.append(set(names))
        if "cursed" in names:
            raise RuntimeError("nobody foresaw this")


def looked_at(monkeypatch, tmp_path, looks):
    """What a store is asked to reload where the files look so, one look after the other."""
    looks = iter(looks)
    done = asyncio.Event()

    def look(repository):
        try:
            seen = next(looks)
        except StopIteration:
            done.set()
            return {}
        if isinstance(seen, Exception):
            raise seen
        return {name: ((name, 1, 1, mark),) for name, mark in seen.items()}

    async def poll():
        store = Store(tmp_path)
        async with Reloading(store, poll_s=0.001):
            await asyncio.wait_for(done.wait(), 60)
            return list(store.reloaded)

    monkeypatch.setattr(catalogue, "signatures", look)
    return asyncio.run(poll())


@pytest.mark.parametrize(
    ("looks", "reloaded"),
    [
        ([{"a": 1}, {"a": 1}, {"a": 1}], []),
        ([{"a": 1}, {"a": 2}], []),
        ([{"a": 1}, {"a": 2}, {"a": 2}, {"a": 2}], [{"a"}]),
        ([{"a": 1}, {"a": 2}, {"a": 3}, {"a": 4}, {"a": 4}, {"a": 4}], [{"a"}]),
        ([{"a": 1}, {"a": 2}, {"a": 1}, {"a": 1}], []),
        ([{"a": 1, "b": 1}, {"a": 2, "b": 1}, {"a": 2, "b": 2}, {"a": 2, "b": 2}], [{"a"}, {"b"}]),
        ([{}, {"a": 1}, {"a": 1}, {}, {}], [{"a"}, {"a"}]),
        ([{"a": 1}, {"a": 2}, OSError(5, "input/output error"), {"a": 2}], [{"a"}]),
        ([OSError(5, "input/output error"), {"a": 1}, {"a": 1}], [{"a"}]),
        ([{}, {"cursed": 1}, {"cursed": 1}, {"cursed": 1}, {"cursed": 2}, {"cursed": 2}], [{"cursed"}, {"cursed"}]),
    ],
)
def test_a_change_is_taken_once_two_looks_have_found_it_the_same(monkeypatch, tmp_path, looks, reloaded):
    assert looked_at(monkeypatch, tmp_path, looks) == reloaded


def test_signatures_change_with_card_file_labels_and_versions(copied):
    seen = [catalogue.signatures(copied)]

    def changed():
        seen.append(catalogue.signatures(copied))
        return seen[-1] != seen[-2]

    assert not changed()
    os.utime(copied / "shapes-scs/1/card.json", (1, 1))
    assert changed()
    (copied / "shapes-scs/1/model.onnx").write_bytes(b"shorter")
    assert changed()
    (copied / "shapes-scs/labels.json").write_text("{}")
    assert changed()
    shutil.copytree(copied / "shapes-scs/1", copied / "shapes-scs/2")
    assert changed()
    (copied / "shapes-scs/1/notes.txt").touch()
    assert not changed()


def test_a_version_that_is_copied_there_is_served_where_the_files_are_looked_at(settings, copied, jpeg):
    looking = settings.model_copy(update={"model_repository": copied, "repository_poll_s": 0.1})
    with TestClient(create_app(looking)) as client:
        assert client.post("/predict", content=jpeg).json()["version"] == 1
        add_version(copied, 2)
        wait_until(lambda: client.post("/predict", content=jpeg).json()["version"] == 2)
        shutil.rmtree(copied / "shapes-scs/2")
        wait_until(lambda: client.post("/predict", content=jpeg).json()["version"] == 1)


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="needs a system with SIGHUP")
def test_sighup_takes_what_has_changed_and_the_process_goes_on(copied, jpeg):
    environment = {key: value for key, value in os.environ.items() if not key.startswith("SCS_")}
    environment |= {"SCS_MODEL_REPOSITORY": str(copied), "SCS_DEFAULT_MODEL": "shapes-scs", "SCS_DEVICE": "cpu"}
    command = [sys.executable, "-m", "service.cli", "serve", "--port", "0"]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        url = next(line.split()[-5] for line in process.stderr if "running on" in line.lower())
        with httpx.Client(base_url=url, timeout=60) as client:
            wait_until(lambda: client.get("/v2/health/ready").status_code == 200)
            assert client.post("/predict", content=jpeg).json()["version"] == 1
            add_version(copied, 2)
            (copied / "shapes-scs/1/model.onnx").write_bytes(b"broken")
            process.send_signal(signal.SIGHUP)
            wait_until(lambda: client.post("/predict", content=jpeg).json()["version"] == 2)
            assert client.post("/predict?version=1", content=jpeg).status_code == 200
            assert "SHA-256" in client.get("/models/shapes-scs?version=1").json()["reason"]
            assert client.get("/v2/health/ready").status_code == 200
    finally:
        process.terminate()
        _, log = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "SIGHUP: the repository is read again" in log
