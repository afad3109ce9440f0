"""Gradients of models that run in other processes are those of the same model in this one."""

import numpy as np
import pytest

from models.cards.catalogue import bundled_repository, find
from models.runtime.load import load_model
from scs.errors import GradientError
from service.repository.device.model import DeviceModel, Place
from service.repository.worker_model import WorkerModel
from service.workers.channel import OpenFile

IMAGES = np.random.default_rng(0).integers(0, 256, (2, 28, 28, 1), np.uint8)
DIRECTION = np.eye(10, dtype=np.float32)[[3, 7]]


@pytest.fixture(scope="module")
def entry():
    return find(bundled_repository(), "mnist-conv")


@pytest.fixture(params=["a worker", "a device"])
def elsewhere(entry, request):
    card = entry.card()
    with entry.open_model(card) as file:
        if request.param == "a worker":
            yield WorkerModel(card, file, seconds=60, memory=None, kernels=None)
        else:  # whose process is not even asked
            yield DeviceModel(card, OpenFile(file.fileno()), Place(b"nowhere", "cuda", 1, 60))


def test_gradients_are_those_of_the_model_here(entry, elsewhere):
    here = load_model(entry.verified_bytes(), entry.card(), "cpu").gradients(IMAGES, "block3", DIRECTION)
    there = elsewhere.gradients(IMAGES, "block3", DIRECTION)
    assert np.abs(here.gradients).max() > 0
    for name in ("logits", "maps", "gradients"):
        assert getattr(there, name) == pytest.approx(getattr(here, name), abs=1e-5)


def test_why_there_is_none_is_said_here(elsewhere):
    with pytest.raises(GradientError, match="was not computed"):
        elsewhere.gradients(IMAGES[..., [0, 0]], "block3", DIRECTION)
