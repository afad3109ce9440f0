import numpy as np
import pytest

from models.cards.catalogue import find
from scs.errors import ForbiddenError, ModelError
from service.repository.loader import load_entry


class Stub:
    """A runtime that loads, whose logits are made by a function of ours."""

    device = "cpu"

    def __init__(self, logits):
        self.logits = logits

    def layers(self, images, names):
        return {}


def no_answer(images):
    raise RuntimeError("out of memory")


@pytest.mark.parametrize(
    ("logits", "reason"),
    [
        (no_answer, "did not answer a blank image: out of memory"),
        (lambda images: np.zeros((1, 7), np.float32), r"needs 3 logits an image; \(1, 7\) came"),
    ],
)
def test_a_model_that_does_not_answer_a_blank_image_cannot_be_used(repository, monkeypatch, logits, reason):
    monkeypatch.setattr("service.repository.loader.load_model", lambda *_: Stub(logits))
    with pytest.raises(ModelError, match=reason):
        load_entry(find(repository, "shapes-scs"), "cpu", allow_torchscript=False)


def test_what_is_loaded_already_and_unchanged_is_given_back(repository):
    entry = find(repository, "shapes-scs")
    loaded = load_entry(entry, "cpu", allow_torchscript=False)
    assert load_entry(entry, "cpu", False, loaded) is loaded


def test_torchscript_is_refused_unless_it_is_allowed(repository):
    with pytest.raises(ForbiddenError, match="shapes-script 1 is TorchScript, .* SCS_ALLOW_TORCHSCRIPT=true"):
        load_entry(find(repository, "shapes-script"), "cpu", allow_torchscript=False)


def test_a_model_that_runs_has_answered_a_blank_image(repository):
    model = load_entry(find(repository, "shapes-scs"), "cpu", allow_torchscript=False)
    assert model.runtime.logits(np.zeros((2, 5, 9, 3), np.uint8)).shape == (2, 3)
