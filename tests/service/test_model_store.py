import hashlib
import json
import logging
import shutil

import numpy as np
import pytest

from models.catalogue import find
from scs.errors import ModelError, UnknownNameError
from service.model_store import LoadedModel, ModelStore, Unavailable, load_entry


@pytest.fixture
def copied(repository, tmp_path):
    return shutil.copytree(repository, tmp_path / "models")


def loaded(repository, default="shapes-scs"):
    store = ModelStore(repository, "cpu", default)
    store.load_all()
    return store


def change_card(folder, **changes):
    path = folder / "card.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def replace_model(folder, content):
    """A model file whose digest is the one on the card, whatever it holds."""
    (folder / "model.onnx").write_bytes(content)
    change_card(folder, sha256=hashlib.sha256(content).hexdigest())


def test_every_version_of_every_model_is_loaded(repository):
    store = loaded(repository)
    assert [entry.name for entry in store.states()] == ["shapes-conv", "shapes-script", "shapes-scs"]
    assert all(isinstance(state, LoadedModel) for state in store.states().values())
    assert store.ready()


def test_nothing_is_ready_before_it_is_loaded(repository):
    store = ModelStore(repository, "cpu", "shapes-scs")
    assert not store.ready()
    with pytest.raises(UnknownNameError, match="there are: none"):
        store.get()


def test_the_default_model_answers_when_none_is_named(repository):
    assert loaded(repository).get().card.name == "shapes-scs"
    assert loaded(repository, "shapes-conv").get().card.name == "shapes-conv"


def test_the_newest_version_is_the_highest_number_and_not_the_last_by_alphabet(copied):
    for version in (2, 10):
        shutil.copytree(copied / "shapes-scs/1", copied / f"shapes-scs/{version}")
        change_card(copied / f"shapes-scs/{version}", version=version)
    store = loaded(copied)
    assert store.get().card.version == 10
    assert store.get(version=2).card.version == 2


def test_a_model_that_runs_has_answered_a_blank_image(repository):
    model = load_entry(find(repository, "shapes-scs"), "cpu")
    assert model.runtime.logits(np.zeros((2, 5, 9, 3), np.uint8)).shape == (2, 3)


def not_onnx(folder):
    replace_model(folder, b"this is no graph")


def no_file(folder):
    (folder / "model.onnx").unlink()


def other_file(folder):
    (folder / "model.onnx").write_bytes(b"this is another")


def no_card(folder):
    (folder / "card.json").unlink()


def card_of_another(folder):
    change_card(folder, name="shapes-scs")


def unknown_tensor(folder):
    card = json.loads((folder / "card.json").read_text())
    card["layers"][0]["tensor"] = "nowhere"
    change_card(folder, layers=card["layers"])


def another_class(folder):
    card = json.loads((folder / "card.json").read_text())
    change_card(folder, labels=[*card["labels"], "square"])


def grey_input(folder):
    card = json.loads((folder / "card.json").read_text())
    change_card(folder, input={**card["input"], "channels": 1})


def card_that_cannot_be_read(folder):
    (folder / "card.json").unlink()
    (folder / "card.json").mkdir()


def file_that_cannot_be_read(folder):
    (folder / "model.onnx").unlink()
    (folder / "model.onnx").mkdir()


BROKEN = {
    not_onnx: "could not be loaded",
    no_file: "needs a model.onnx; there is none",
    other_file: "needs SHA-256",
    no_card: "needs a card.json",
    card_of_another: "it has one of shapes-scs 1",
    unknown_tensor: "'nowhere'",
    another_class: "logits of 4 classes",
    grey_input: "needs the input",
    card_that_cannot_be_read: "cannot be read",
    file_that_cannot_be_read: "cannot be read",
}


@pytest.mark.parametrize(("damage", "reason"), BROKEN.items(), ids=lambda each: getattr(each, "__name__", ""))
def test_a_broken_model_is_kept_with_its_reason_and_the_rest_is_loaded(copied, caplog, damage, reason):
    damage(copied / "shapes-conv/1")
    with caplog.at_level(logging.WARNING):
        store = loaded(copied)

    _, state = store.state("shapes-conv")
    assert isinstance(state, Unavailable)
    assert reason in state.reason
    assert str(copied) not in state.reason
    assert "\n" not in state.reason
    assert state.required
    assert not store.ready()
    assert store.get().card.name == "shapes-scs"
    with pytest.raises(ModelError, match="shapes-conv 1 is not available"):
        store.get("shapes-conv")
    assert "shapes-conv 1 is not available" in caplog.text


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
    monkeypatch.setattr("service.model_store.load_model", lambda *_: Stub(logits))
    with pytest.raises(ModelError, match=reason):
        load_entry(find(repository, "shapes-scs"), "cpu")


def test_names_that_are_not_there_are_refused_with_those_that_are(repository):
    store = loaded(repository)
    with pytest.raises(UnknownNameError, match="no model 'cat'; there are: shapes-conv, shapes-script, shapes-scs"):
        store.get("cat")
    with pytest.raises(UnknownNameError, match="no version 3 of shapes-scs; there are: 1"):
        store.get("shapes-scs", 3)


def test_a_repository_that_is_not_there_holds_no_models(tmp_path):
    store = loaded(tmp_path / "nowhere")
    assert store.states() == {}
    assert not store.ready()


def test_the_newest_version_that_can_be_used_answers_and_the_service_is_ready(repository, tmp_path):
    """Version 2 is broken; version 1 goes on answering where no version is named."""
    shutil.copytree(repository / "shapes-scs", tmp_path / "shapes-scs")
    shutil.copytree(tmp_path / "shapes-scs" / "1", tmp_path / "shapes-scs" / "2")
    store = ModelStore(tmp_path, "cpu", "shapes-scs")
    store.load_all()
    assert store.get().card.version == 1
    with pytest.raises(ModelError, match="2 is not available"):
        store.get(version=2)
