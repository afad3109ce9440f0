"""What is loaded is what the version policy names, and what it leaves out says so."""

import json
import logging
import shutil

import pytest

from scs.errors import ModelError, OptionError
from service.repository.policy import VersionPolicy
from service.repository.repository import ModelRepository


@pytest.fixture
def three(repository, tmp_path):
    """A folder with versions 1, 2 and 3 of a model."""
    for number in (1, 2, 3):
        add(repository, tmp_path / "models", number)
    return tmp_path / "models"


def add(repository, folder, number):
    copied = shutil.copytree(repository / "shapes-scs/1", folder / f"shapes-scs/{number}")
    card = json.loads((copied / "card.json").read_text())
    (copied / "card.json").write_text(json.dumps(card | {"version": number}))


def loaded(folder, policy):
    store = ModelRepository(folder, "cpu", "shapes-scs", policy=VersionPolicy(policy))
    store.load_all()
    return store


def usable(store):
    return [state.version for state in store.states() if state.model]


@pytest.mark.parametrize(
    ("policy", "versions"), [("all", [1, 2, 3]), ("latest", [3]), ("1,3", [1, 3]), ("2, 7", [2]), ("7", [])]
)
def test_the_versions_that_the_policy_names_are_loaded_and_no_others(three, policy, versions):
    store = loaded(three, policy)
    assert usable(store) == versions
    assert store.ready() is bool(versions)
    if versions:
        assert store.get().card.version == max(versions)


@pytest.mark.parametrize("text", ["", "newest", "1;2", "0", "1,", "all,1"])
def test_another_policy_is_refused(text):
    with pytest.raises(OptionError, match="versions are 'all', 'latest', or numbers"):
        VersionPolicy(text)


def test_a_version_that_is_left_out_says_why(three):
    store = loaded(three, "latest")
    with pytest.raises(ModelError, match="shapes-scs 1 is not available: SCS_VERSIONS=latest leaves it out"):
        store.get("shapes-scs", 1)
    store.load("shapes-scs")  # what is left out is no failure of a load


def test_a_label_of_a_version_that_is_left_out_answers_with_no_other(three, caplog):
    (three / "shapes-scs/labels.json").write_text('{"stable": 1, "canary": 3}')
    with caplog.at_level(logging.WARNING):
        store = loaded(three, "latest")
    assert "label stable of shapes-scs names version 1, which cannot be used: SCS_VERSIONS=latest" in caplog.text
    assert store.get("shapes-scs", "canary").card.version == store.get("shapes-scs").card.version == 3
    with pytest.raises(ModelError, match="SCS_VERSIONS=latest leaves it out"):
        store.get("shapes-scs", "stable")


def test_a_newer_version_takes_the_place_of_the_latest(three, repository):
    store = loaded(three, "latest")
    add(repository, three, 4)
    store.reload()
    assert usable(store) == [4]


def test_a_newer_version_that_fails_leaves_the_latest_answering(three, repository):
    store = loaded(three, "latest")
    add(repository, three, 4)
    (three / "shapes-scs/4/model.onnx").write_bytes(b"another")
    store.reload()
    assert usable(store) == [3] and store.get().card.version == 3
    shutil.copy(three / "shapes-scs/3/model.onnx", three / "shapes-scs/4/model.onnx")
    store.reload()
    assert usable(store) == [4]
