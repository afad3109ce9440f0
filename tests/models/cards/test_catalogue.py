"""Models are found by name and version, and a file is only trusted by its digest."""

import hashlib
from pathlib import Path

import pytest

import models
from models.cards.card import ModelCard, write_card
from models.cards.catalogue import bundled_repository, entries, find
from scs.errors import ModelError, UnknownNameError

CONTENT = b"a model, as far as a catalogue can tell"


def add(repository, name, version, changes=()):
    folder = repository / name / str(version)
    folder.mkdir(parents=True)
    fields = {
        "name": name,
        "version": version,
        "description": "",
        "format": "onnx",
        "sha256": hashlib.sha256(CONTENT).hexdigest(),
        "family": "scs",
        "parameters": 1,
        "input": {"width": 16, "height": 16, "channels": 3, "smallest": 4},
        "labels": ["disc"],
        "layers": [],
        "class_map": "class_map",
        "class_bias": [0.0],
    }
    card = ModelCard.model_validate(fields | dict(changes))
    write_card(card, folder / "card.json")
    (folder / card.file_name).write_bytes(CONTENT)
    return folder


@pytest.fixture
def repository(tmp_path):
    """Two models, one of them in three versions, in a folder with much else."""
    for name, version in (("shapes", 10), ("shapes", 2), ("shapes", 1), ("digits", 1)):
        add(tmp_path, name, version)
    for junk in ("shapes/0", "shapes/03", "shapes/v4", "shapes/-5", "shapes/latest", "empty", ".git/hooks"):
        (tmp_path / junk).mkdir(parents=True)
    (tmp_path / "README.md").touch()
    (tmp_path / "shapes" / "11").touch()
    return tmp_path


def test_every_version_is_listed_by_name_then_by_number_and_junk_is_passed_over(repository):
    assert [(entry.name, entry.version) for entry in entries(repository)] == [
        ("digits", 1),
        ("shapes", 1),
        ("shapes", 2),
        ("shapes", 10),
    ]


def test_a_folder_that_is_not_there_holds_no_models(tmp_path):
    assert list(entries(tmp_path / "missing")) == []
    with pytest.raises(UnknownNameError, match="no model 'shapes'; there are: none"):
        find(tmp_path / "missing", "shapes")


@pytest.mark.parametrize("asked, found", [(None, 10), (2, 2)])
def test_the_newest_version_is_found_unless_another_is_asked_for(repository, asked, found):
    entry = find(repository, "shapes", asked)
    assert (entry.version, entry.folder) == (found, repository / "shapes" / str(found))
    assert entry.card().version == found


def test_an_unknown_name_or_version_is_answered_with_the_known_ones(repository):
    with pytest.raises(UnknownNameError, match=r"\Ano model 'letters'; there are: digits, shapes\Z"):
        find(repository, "letters")
    with pytest.raises(UnknownNameError, match=r"\Ano version 3 of shapes; there are: 1, 2, 10\Z"):
        find(repository, "shapes", 3)


@pytest.mark.parametrize("file_format", ["onnx", "torchscript"])
def test_a_file_with_the_digest_of_its_card_is_handed_over_whole(file_format, tmp_path):
    add(tmp_path, "shapes", 1, {"format": file_format})
    assert find(tmp_path, "shapes").verified_bytes() == CONTENT


def test_a_file_with_another_digest_is_refused(tmp_path):
    folder = add(tmp_path, "shapes", 1)
    (folder / "model.onnx").write_bytes(CONTENT + b"!")
    needed, came = (hashlib.sha256(content).hexdigest()[:12] for content in (CONTENT, CONTENT + b"!"))
    with pytest.raises(ModelError, match=f"model.onnx of shapes 1 needs SHA-256 {needed}…; {came}… came"):
        find(tmp_path, "shapes").verified_bytes()


@pytest.mark.parametrize(
    "missing, message", [("card.json", "needs a card.json"), ("model.onnx", "shapes 1 needs a model.onnx")]
)
def test_a_missing_file_is_named(missing, message, tmp_path):
    (add(tmp_path, "shapes", 1) / missing).unlink()
    with pytest.raises(ModelError, match=f"{message}.*; there is none"):
        find(tmp_path, "shapes").verified_bytes()


@pytest.mark.parametrize("changes, whose", [({"name": "digits"}, "digits 1"), ({"version": 2}, "shapes 2")])
def test_a_card_of_another_name_or_version_is_refused(changes, whose, tmp_path):
    add(tmp_path, "shapes", 1, changes)
    with pytest.raises(ModelError, match=f"shapes version 1 needs its own card; it has one of {whose}"):
        find(tmp_path, "shapes").card()


def test_the_bundled_models_lie_inside_the_package():
    assert bundled_repository() == Path(models.__file__).parent / "repository"
    assert bundled_repository().is_dir()
