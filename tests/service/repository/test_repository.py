import hashlib
import json
import logging
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from models.cards import catalogue
from models.runtime.load import load_model
from scs.errors import ModelError, OptionError, UnknownNameError
from service.repository.repository import ModelRepository


@pytest.fixture
def copied(repository, tmp_path):
    return shutil.copytree(repository, tmp_path / "models")


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), np.uint8)


def loaded(repository, default="shapes-scs"):
    store = ModelRepository(repository, "cpu", default, allow_torchscript=True)
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
    assert [state.name for state in store.states()] == ["shapes-conv", "shapes-script", "shapes-scs"]
    assert all(state.state == "READY" and state.model for state in store.states())
    assert store.ready()


def test_nothing_is_ready_before_it_is_loaded(repository):
    store = ModelRepository(repository, "cpu", "shapes-scs")
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
    change_card(folder, labels=[*card["labels"], "square"], accuracy=None)


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

    state = store.state("shapes-conv")
    assert (state.state, state.model) == ("UNAVAILABLE", None)
    assert reason in state.reason
    assert str(copied) not in state.reason
    assert "\n" not in state.reason
    assert state.required
    assert not store.ready()
    assert store.get().card.name == "shapes-scs"
    with pytest.raises(ModelError, match="shapes-conv 1 is not available"):
        store.get("shapes-conv")
    assert "shapes-conv 1 is not available" in caplog.text


def test_names_that_are_not_there_are_refused_with_those_that_are(repository):
    store = loaded(repository)
    with pytest.raises(UnknownNameError, match="no model 'cat'; there are: shapes-conv, shapes-script, shapes-scs"):
        store.get("cat")
    with pytest.raises(UnknownNameError, match="no version 3 of shapes-scs; there are: 1"):
        store.get("shapes-scs", 3)


def test_a_repository_that_is_not_there_holds_no_models(tmp_path):
    store = loaded(tmp_path / "nowhere")
    assert store.states() == []
    assert not store.ready()


def test_the_newest_version_that_can_be_used_answers_and_the_service_is_ready(repository, tmp_path):
    """Version 2 is broken; version 1 goes on answering where no version is named."""
    shutil.copytree(repository / "shapes-scs", tmp_path / "shapes-scs")
    shutil.copytree(tmp_path / "shapes-scs" / "1", tmp_path / "shapes-scs" / "2")
    store = loaded(tmp_path)
    assert store.get().card.version == 1
    with pytest.raises(ModelError, match="2 is not available"):
        store.get(version=2)


def add_version(repository, version, name="shapes-scs"):
    """Another version, of the same network, and the folder that it lies in."""
    folder = shutil.copytree(repository / name / "1", repository / name / str(version))
    change_card(folder, version=version)
    return folder


def write_labels(repository, labels, name="shapes-scs"):
    (repository / name / "labels.json").write_text(labels if isinstance(labels, str) else json.dumps(labels))


def test_a_label_names_a_version_and_the_default_label_the_one_that_answers(copied):
    add_version(copied, 2)
    write_labels(copied, {"canary": 2, "default": 1})
    store = loaded(copied)
    assert store.get().card.version == store.default_version("shapes-scs") == 1
    assert store.get("shapes-scs", "canary").card.version == store.get("shapes-scs", "2").card.version == 2
    assert store.aliases("shapes-scs") == {"canary": 2, "default": 1}
    with pytest.raises(UnknownNameError, match="no version stable of shapes-scs; there are: 1, 2, canary, default"):
        store.get("shapes-scs", "stable")


def test_labels_are_moved_all_at_once_and_taken_away(copied):
    add_version(copied, 2)
    write_labels(copied, {"stable": 1, "canary": 2})
    store = loaded(copied)
    assert store.move_aliases("shapes-scs", {"stable": 2, "canary": None, "default": 1}) == {"stable": 2, "default": 1}
    assert store.get("shapes-scs", "stable").card.version == 2
    assert store.get().card.version == 1
    store.move_aliases("shapes-scs", {"default": None})
    assert store.get().card.version == 2


@pytest.mark.parametrize(
    ("labels", "error", "words"),
    [
        ({"stable": 3}, UnknownNameError, "stable needs a version there is; 3 came and there are: 1, 2"),
        ({"Stable": 1}, OptionError, "a label is .*; 'Stable' came"),
        ({"1": 2}, OptionError, "a label is .*; '1' came"),
        ({"../x": 1}, OptionError, "a label is"),
        ({"canary": None}, UnknownNameError, "no label 'canary'; there are: none"),
        ({"canary": 2}, ModelError, "2 is not available"),
    ],
)
def test_a_label_that_cannot_be_moved_moves_none(copied, labels, error, words):
    replace_model(add_version(copied, 2), b"this is no graph")
    store = loaded(copied)
    with pytest.raises(error, match=words):
        store.move_aliases("shapes-scs", {"good": 1, **labels})
    assert store.aliases("shapes-scs") == {}


def test_moved_labels_stay_until_the_file_of_labels_changes(copied):
    add_version(copied, 2)
    write_labels(copied, {"stable": 1})
    store = loaded(copied)
    store.move_aliases("shapes-scs", {"stable": 2})
    store.reload()
    assert store.aliases("shapes-scs") == {"stable": 2}
    write_labels(copied, {"stable": 1, "old": 1})
    store.reload()
    assert store.aliases("shapes-scs") == {"stable": 1, "old": 1}


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ("{", "needs to be"),
        ("[]", "needs to be"),
        ('{"stable": "1"}', "needs to be"),
        ('{"stable": true}', "needs to be"),
        ({"stable": 9}, "stable needs a version there is; 9 came"),
        ({"7": 1}, "a label is"),
    ],
)
def test_with_broken_labels_nothing_new_is_taken_and_the_old_goes_on(copied, labels, words):
    store = loaded(copied)
    before = store.get()
    add_version(copied, 2)
    write_labels(copied, labels)
    with pytest.raises(ModelError, match=words):
        store.load("shapes-scs")
    assert store.get() is before
    assert words in store.state("shapes-scs", 1).reason
    assert store.state("shapes-scs", 2).state == "UNAVAILABLE"
    assert store.ready()


def test_what_is_unchanged_on_disk_is_not_loaded_again(copied):
    store = loaded(copied)
    before = {state.name: state.model for state in store.states()}
    (copied / "shapes-scs/1/model.onnx").touch()
    store.load("shapes-scs")
    store.reload()
    assert {state.name: state.model for state in store.states()} == before


def test_what_changed_is_loaded_and_requests_that_began_keep_what_they_had(copied, images):
    store = loaded(copied)
    before, other = store.get(), store.get("shapes-conv")
    logits = before.runtime.logits(images)
    replace_model(copied / "shapes-scs/1", (copied / "shapes-conv/1/model.onnx").read_bytes())
    conv_card = json.loads((copied / "shapes-conv/1/card.json").read_text())
    change_card(copied / "shapes-scs/1", layers=conv_card["layers"], class_bias=conv_card["class_bias"])
    store.load("shapes-scs")
    after = store.get()
    assert after is not before
    np.testing.assert_array_equal(before.runtime.logits(images), logits)
    np.testing.assert_array_equal(after.runtime.logits(images), other.runtime.logits(images))
    assert store.get("shapes-conv") is other


def test_a_card_that_changed_is_taken(copied):
    store = loaded(copied)
    change_card(copied / "shapes-scs/1", description="Told anew.")
    store.load("shapes-scs")
    assert store.get().card.description == "Told anew."


@pytest.mark.parametrize(("damage", "reason"), BROKEN.items(), ids=lambda each: getattr(each, "__name__", ""))
def test_a_reload_that_fails_keeps_the_old_version_and_says_why(copied, damage, reason):
    store = loaded(copied)
    before = store.get("shapes-conv")
    damage(copied / "shapes-conv/1")
    with pytest.raises(ModelError, match="shapes-conv was not loaded whole: version 1: "):
        store.load("shapes-conv")
    state = store.state("shapes-conv")
    assert (state.state, state.model) == ("READY", before)
    assert reason in state.reason
    assert store.ready()


def test_a_model_that_is_mended_loses_its_reason_and_the_service_gets_ready(copied):
    good = (copied / "shapes-conv/1/model.onnx").read_bytes()
    other_file(copied / "shapes-conv/1")
    store = loaded(copied)
    assert not store.ready()
    (copied / "shapes-conv/1/model.onnx").write_bytes(good)
    store.load("shapes-conv")
    assert store.ready()
    assert store.state("shapes-conv").reason is None


def test_a_broken_model_that_comes_later_does_not_make_the_service_unready(copied):
    store = loaded(copied)
    shutil.copytree(copied / "shapes-conv", copied / "late")
    with pytest.raises(ModelError, match="it has one of shapes-conv 1"):
        store.load("late")
    assert store.state("late").state == "UNAVAILABLE"
    assert store.ready()


def test_others_answer_and_the_service_is_ready_while_a_model_is_loaded(copied, monkeypatch):
    store = loaded(copied)
    before = store.get()
    shutil.copytree(copied / "shapes-conv", copied / "late")
    change_card(copied / "late/1", name="late")
    change_card(copied / "shapes-scs/1", description="Told anew.")
    seen = []

    def watch(*arguments):
        seen.append((store.ready(), store.get() is before, [s.state for s in store.states() if s.name == "late"]))
        return load_model(*arguments)

    monkeypatch.setattr("service.repository.loader.load_model", watch)
    store.reload()
    assert seen == [(True, True, ["LOADING"]), (True, True, ["READY"])]
    assert store.get() is not before
    assert store.is_ready("late")


def test_a_model_that_is_being_loaded_says_so(copied, monkeypatch):
    store = loaded(copied)
    store.unload("shapes-conv")

    def ask(*arguments):
        with pytest.raises(ModelError, match="it is being loaded"):
            store.get("shapes-conv")
        return load_model(*arguments)

    monkeypatch.setattr("service.repository.loader.load_model", ask)
    store.load("shapes-conv")


def test_an_unloaded_model_says_so_and_stays_so_until_it_is_loaded(copied):
    write_labels(copied, {"stable": 1}, "shapes-conv")
    store = loaded(copied)
    store.move_aliases("shapes-conv", {"canary": 1})
    store.unload("shapes-conv")
    store.reload()
    assert not store.is_ready("shapes-conv")
    for version in (None, 1, "stable"):
        with pytest.raises(ModelError, match="shapes-conv 1 is not available: it was unloaded"):
            store.get("shapes-conv", version)
    assert store.ready(), "it was the operator's wish"
    store.load("shapes-conv")
    assert store.get("shapes-conv", "stable")
    assert store.aliases("shapes-conv") == {"stable": 1}


def test_the_service_is_not_ready_without_its_default_model(copied):
    store = loaded(copied)
    store.unload("shapes-scs")
    assert not store.ready()


def test_new_models_and_versions_come_with_a_reload_and_those_that_have_gone_go(copied):
    store = loaded(copied)
    add_version(copied, 2)
    shutil.copytree(copied / "shapes-conv", copied / "late")
    change_card(copied / "late/1", name="late")
    shutil.rmtree(copied / "shapes-conv")
    assert [(s.name, s.version, s.state) for s in store.index() if s.state != "READY"] == [
        ("late", 1, "UNAVAILABLE"),
        ("shapes-scs", 2, "UNAVAILABLE"),
    ]
    store.reload()
    assert [(s.name, s.version) for s in store.states()] == [
        ("late", 1),
        ("shapes-script", 1),
        ("shapes-scs", 1),
        ("shapes-scs", 2),
    ]
    assert store.get().card.version == 2
    shutil.rmtree(copied / "shapes-scs/2")
    store.load("shapes-scs")
    assert store.get().card.version == 1


def test_a_repository_that_has_gone_takes_no_model_with_it(copied):
    store = loaded(copied)
    copied.rename(copied.with_name("elsewhere"))
    store.reload()
    assert store.ready()
    assert len(store.states()) == 3


@pytest.mark.parametrize("name", ["cat", "../models", "..", ".", "", "/etc", "shapes-scs/1", "shapes-scs\0", "a\nb"])
def test_what_is_not_on_disk_is_not_loaded_and_not_unloaded(copied, name):
    store = loaded(copied)
    with pytest.raises(UnknownNameError, match=r"\Ano model .* there are: shapes-conv, shapes-script, shapes-scs\Z"):
        store.load(name)
    with pytest.raises(UnknownNameError, match=r"\Ano model .* there are: shapes-conv, shapes-script, shapes-scs\Z"):
        store.unload(name)


def test_loads_of_one_model_at_once_load_it_once(copied, monkeypatch):
    store = loaded(copied)
    store.unload("shapes-conv")
    count = []
    monkeypatch.setattr("service.repository.loader.load_model", lambda *given: count.append(1) or load_model(*given))
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(store.load, ["shapes-conv"] * 8))
    assert len(count) == 1


def test_torchscript_is_loaded_only_where_it_is_allowed(copied):
    store = ModelRepository(copied, "cpu", "shapes-scs")
    store.load_all()
    assert store.ready()
    with pytest.raises(ModelError, match="shapes-script 1 is TorchScript, .* SCS_ALLOW_TORCHSCRIPT=true"):
        store.get("shapes-script")
    assert store.state("shapes-script").card.format == "torchscript"
    with pytest.raises(ModelError, match="SCS_ALLOW_TORCHSCRIPT"):
        store.load("shapes-script")


def test_labels_that_name_a_version_which_cannot_be_used_are_taken_once_it_can(copied):
    store = loaded(copied)
    add_version(copied, 2)
    whole = (copied / "shapes-scs/2/model.onnx").read_bytes()
    (copied / "shapes-scs/2/model.onnx").write_bytes(b"junk")
    write_labels(copied, {"default": 2})
    with suppress(ModelError):
        store.load("shapes-scs")
    assert store.get().card.version == 1 and store.ready()
    (copied / "shapes-scs/2/model.onnx").write_bytes(whole)
    store.load("shapes-scs")
    assert store.get().card.version == 2


@pytest.fixture
def locked(monkeypatch):
    """Folders that nobody may list, whoever runs the tests."""
    folders, iterdir = set(), Path.iterdir

    def list_unless_locked(folder):
        if folder in folders:
            raise PermissionError(13, "Permission denied", str(folder))
        return iterdir(folder)

    monkeypatch.setattr(Path, "iterdir", list_unless_locked)
    return folders


def test_a_folder_that_cannot_be_read_costs_one_model(copied, locked, caplog):
    locked.add(copied / "shapes-conv")
    store = loaded(copied)
    assert "the folder of shapes-conv cannot be read: Permission denied" in caplog.text
    assert {state.name for state in store.index()} == {"shapes-scs", "shapes-script"}
    with pytest.raises(UnknownNameError, match="no model 'nothing' in the repository; there are: shapes-scr"):
        store.load("nothing")
    with pytest.raises(ModelError, match="shapes-conv was not loaded: its folder cannot be read: Permission denied"):
        store.load("shapes-conv")
    store.reload()
    store.load("shapes-scs")
    assert set(catalogue.signatures(copied)) == {"shapes-conv", "shapes-scs", "shapes-script"}
    locked.clear()
    store.reload()
    assert store.get("shapes-conv")


def test_a_folder_that_cannot_be_read_any_more_leaves_what_was_loaded_of_it(copied, locked):
    store = loaded(copied)
    locked.add(copied / "shapes-conv")
    with pytest.raises(ModelError, match="version 1: its folder cannot be read: Permission denied"):
        store.load("shapes-conv")
    assert store.get("shapes-conv") and "cannot be read" in store.state("shapes-conv").reason
    locked.clear()
    store.load("shapes-conv")
    assert store.state("shapes-conv").reason is None


def test_a_repository_that_cannot_be_read_any_more_leaves_all_that_was_loaded(copied, locked):
    store = loaded(copied)
    locked.add(copied)
    assert len(store.index()) == 3
    with pytest.raises(ModelError, match="its folder cannot be read"):
        store.load("shapes-conv")
    assert store.get("shapes-conv") and store.ready()


def test_what_lies_where_no_version_does_is_named_as_what_it_is(copied, caplog):
    shutil.copytree(copied / "shapes-conv/1", copied / "flat")
    shutil.copytree(copied / "shapes-conv/1", copied / "vee/v1")
    shutil.copytree(copied / "shapes-conv/1", copied / "shapes-conv/01")
    (copied / "vee/notes").mkdir()
    store = loaded(copied)
    assert "flat/card.json lies in no version's folder: its place is flat/1/card.json" in caplog.text
    assert "vee/v1 is no version: a version's folder is a number from 1, such as vee/1" in caplog.text
    assert "shapes-conv/01 is no version" in caplog.text
    assert "notes" not in caplog.text
    assert store.get("shapes-conv")
    with pytest.raises(UnknownNameError, match="no model 'vee' in the repository; .*; vee/v1 is no version"):
        store.load("vee")
