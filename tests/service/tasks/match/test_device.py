"""Where matches run. Torch's own CPU stands for a GPU, so that everything but the GPU itself is the real thing."""

import io
import logging

import numpy as np
import pytest
import skimage.data
import torch
from fastapi.testclient import TestClient

import scs.matching.scores
import service.services
import service.workers.pools
from scs.errors import MissingPackageError
from scs.matching.scoring import torch_scores
from service.api.files import MatchUpload, NamedBytes
from service.api.match import MatchOptions
from service.app import create_app
from service.settings import Settings
from service.tasks.match import device
from service.tasks.match.device import cuda_match_obstacle, device_for
from service.tasks.match.find import best_map, find_matches

SCENE = skimage.data.chelsea()[50:230, 60:330]
METHODS = ["sqdiff", "sqdiff_normed", "ccorr", "ccorr_normed", "ccoeff", "ccoeff_normed", "scs", "scs_centred"]


@pytest.fixture(autouse=True)
def asked_anew():
    """Nothing is remembered from test to test, and torch has one thread: several wait for each other at every step."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    device._torch_obstacle.cache_clear()
    yield
    device._torch_obstacle.cache_clear()
    torch.set_num_threads(threads)


@pytest.fixture
def stand_in(monkeypatch):
    """Torch's CPU in place of CUDA; the list says what was asked for."""
    asked = []

    def usable_device(name):
        asked.append(name)
        return torch.device("cpu")

    monkeypatch.setattr(torch_scores, "usable_device", usable_device)
    return asked


@pytest.fixture
def without_torch(monkeypatch):
    def refuse(name):
        raise MissingPackageError(f"device '{name}' needs torch, which is not installed")

    monkeypatch.setattr(scs.matching.scores, "check_device", refuse)


@pytest.fixture
def cuda_client(monkeypatch):
    """The service with ``SCS_DEVICE=cuda``, its networks on the CPU."""
    monkeypatch.setattr(service.services, "choose_device", lambda wish, obstacle_of: "cpu")
    monkeypatch.setattr(service.workers.pools, "HAS_PROCESSES", False)  # what stands for a GPU is in this process
    return lambda: TestClient(create_app(Settings(device="cuda")))


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def upload(masked=False, count=5):
    corners = [(50 + 10 * i, 60 + 20 * i) for i in range(count)]
    parts = [SCENE[row : row + 40, column : column + 50] for row, column in corners]
    masks = [NamedBytes("mask", npy(np.tri(40, 50, 20, np.uint8)), True)] if masked else []
    return MatchUpload(
        NamedBytes("scene", npy(SCENE), True),
        [NamedBytes(str(i), npy(part), True) for i, part in enumerate(parts)],
        masks,
        None,
    )


def tolerance(scores):
    """What the documentation allows: 1e-5 of normalised scores, and of the range of others."""
    return 1e-5 * max(1.0, float(np.abs(scores).max()))


def files():
    sent = upload(count=1)
    parts = {"scene": sent.scene.content, "template": sent.templates[0].content}
    return [(name, (f"{name}.npy", content, "application/x-npy")) for name, content in parts.items()]


@pytest.mark.parametrize("masked", [False, True], ids=["whole", "masked"])
@pytest.mark.parametrize("method", METHODS)
def test_matches_on_a_device_are_those_of_the_cpu(method, masked, stand_in):
    here, there = (
        find_matches(upload(masked), MatchOptions(method=method, top=2), Settings(device=wish))
        for wish in ("cpu", "cuda")
    )
    assert (here.device, there.device) == ("cpu", "cuda")
    assert set(stand_in) == {"cuda"}
    # Templates that were cut out of the scene tie for the best score: compare each one's matches, best first.
    for mine, other in zip(*(sorted(found.matches, key=lambda m: m.template) for found in (here, there)), strict=True):
        assert other.template == mine.template and other.present == mine.present
        assert (other.x, other.y) == pytest.approx((mine.x, mine.y), abs=0.01)
        assert other.score == pytest.approx(mine.score, rel=1e-5, abs=tolerance(best_map(here)[0].scores))


def test_the_map_of_a_match_is_computed_on_its_device_too(stand_in):
    here, there = (
        find_matches(upload(count=1), MatchOptions(method="ccoeff"), Settings(device=wish)) for wish in ("cpu", "cuda")
    )
    stand_in.clear()
    mine, other = best_map(here)[0].scores, best_map(there)[0].scores
    assert stand_in == ["cuda"]
    np.testing.assert_allclose(other, mine, rtol=0, atol=tolerance(mine))


@pytest.mark.parametrize("options", [{"angles": "-10:10"}, {"scales": "0.9:1.1"}, {"method": "parts"}])
def test_poses_and_parts_are_looked_for_on_the_cpu_and_the_answer_says_so(options, stand_in):
    found = find_matches(upload(count=1), MatchOptions(**options), Settings(device="cuda"))
    assert found.device == "cpu" and found.matches
    best_map(found)
    assert not stand_in


def test_torch_is_asked_once_and_only_where_cuda_is_asked_for(monkeypatch):
    asked = []
    monkeypatch.setattr(scs.matching.scores, "check_device", asked.append)
    assert [device_for(MatchOptions(), wish) for wish in ("cpu", "auto")] == ["cpu", "cpu"]
    assert "SCS_DEVICE is cpu" in cuda_match_obstacle("cpu") and "only where" in cuda_match_obstacle("auto")
    assert not asked
    assert [device_for(MatchOptions(), "cuda") for _ in range(2)] == ["cuda", "cuda"]
    assert asked == ["cuda"]


def test_without_torch_matches_run_on_the_cpu_and_say_so(without_torch, cuda_client, caplog):
    with caplog.at_level(logging.INFO, "service.app"), cuda_client() as client:
        assert client.post("/match", files=files()).json()["device"] == "cpu"
    assert "matches run on cpu: device 'cuda' needs torch, which is not installed" in caplog.text


@pytest.mark.skipif(torch.cuda.is_available(), reason="this torch can use CUDA")
def test_a_torch_that_cannot_use_cuda_is_passed_over_with_its_own_reason():
    assert cuda_match_obstacle("cuda").startswith("device 'cuda' cannot be used by torch here: ")
    assert device_for(MatchOptions(), "cuda") == "cpu"


def test_over_http_the_answer_and_the_log_say_that_matches_run_on_cuda(stand_in, cuda_client, caplog):
    with caplog.at_level(logging.INFO, "service.app"), cuda_client() as client:
        upright, posed = (client.post("/match", files=files(), params=sent).json() for sent in ({}, {"angles": "0,5"}))
    assert (upright["device"], posed["device"]) == ("cuda", "cpu")
    assert "matches run on cuda" in caplog.text
    best = upright["matches"][0]
    assert (best["x"], best["y"]) == pytest.approx((85, 70), abs=0.05) and best["present"]
