"""What lies in a repository is read, and nothing else, wherever links lead."""

import json
import os
import shutil

import pytest

from models.cards.card import LARGEST_CARD
from models.cards.catalogue import LARGEST_MODEL, entries, find, misnamed, names, versions
from models.cards.confined import read_confined
from scs.errors import ModelError


@pytest.fixture
def copied(repository, tmp_path):
    shutil.copytree(repository / "shapes-scs", tmp_path / "models" / "shapes-scs")
    return tmp_path / "models"


@pytest.fixture
def outside(repository, tmp_path):
    """The same model, elsewhere."""
    return shutil.copytree(repository / "shapes-scs", tmp_path / "elsewhere" / "shapes-scs")


def replace_by_link(inner, outer):
    shutil.rmtree(inner) if inner.is_dir() else inner.unlink()
    inner.symlink_to(outer)


def read(repository):
    entry = find(repository, "shapes-scs", 1)
    return entry.verified_bytes(entry.card())


@pytest.mark.parametrize("part", ["", "1", "1/card.json", "1/model.onnx"])
def test_a_link_out_of_the_repository_is_not_followed(copied, outside, part):
    replace_by_link(copied / "shapes-scs" / part, outside / part)
    with pytest.raises(ModelError, match=r"\A(card.json|model.onnx) needs to lie inside .* a link leads out of it\Z"):
        read(copied)


def test_a_relative_link_out_of_the_repository_is_not_followed_either(copied, outside):
    replace_by_link(copied / "shapes-scs/1/model.onnx", "../../../elsewhere/shapes-scs/1/model.onnx")
    with pytest.raises(ModelError, match="a link leads out of it"):
        read(copied)


def test_labels_are_not_read_from_elsewhere(copied, outside):
    (outside / "labels.json").write_text('{"stable": 1}')
    (copied / "shapes-scs" / "labels.json").symlink_to(outside / "labels.json")
    with pytest.raises(ModelError, match="labels.json needs to lie inside"):
        find(copied, "shapes-scs", "stable")


@pytest.mark.parametrize("part", ["shapes-scs", "shapes-scs/1", "shapes-scs/1/card.json", "shapes-scs/1/model.onnx"])
def test_links_inside_the_repository_are_followed(copied, part):
    """As in a volume of Kubernetes, whose files are links into a hidden folder that is replaced as one."""
    kept = copied / ".kept"
    (copied / part).rename(kept)
    (copied / part).symlink_to(kept)
    assert read(copied)


def test_a_repository_may_itself_be_a_link(copied, tmp_path):
    (tmp_path / "link").symlink_to(copied)
    assert read(tmp_path / "link")


def test_a_neighbour_whose_name_begins_alike_is_elsewhere(copied, tmp_path):
    (tmp_path / "models-2").write_text("secret")
    (copied / "file").symlink_to(tmp_path / "models-2")
    with pytest.raises(ModelError, match="file needs to lie inside"):
        read_confined(copied, copied / "file", 100)


def test_a_link_round_in_a_circle_cannot_be_read(copied):
    (copied / "a").symlink_to(copied / "b")
    (copied / "b").symlink_to(copied / "a")
    with pytest.raises(OSError, match="symbolic links"):
        read_confined(copied, copied / "a", 100)


def test_a_repository_may_be_a_link_whose_text_leads_elsewhere_here(copied, tmp_path, monkeypatch):
    """As KServe's link to ``/proc/7/root/models``: the system follows it into another container, its text does not."""
    link = tmp_path / "link"
    link.symlink_to(copied)
    (copied / "shapes-scs/1/model.onnx").rename(copied / "shapes-scs/1/.kept")
    (copied / "shapes-scs/1/model.onnx").symlink_to(".kept")
    really = os.path.realpath
    monkeypatch.setattr(os.path, "realpath", lambda path, **_: really(path).replace(str(copied), "/models"))
    assert read(link)


def test_a_link_into_the_repository_may_have_any_spelling(copied, tmp_path):
    (tmp_path / "link").symlink_to(copied)
    (copied / "shapes-scs/1/model.onnx").rename(copied / "kept")
    (copied / "shapes-scs/1/model.onnx").symlink_to(tmp_path / "link/kept")
    assert read(copied)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs a system with pipes that have names")
def test_a_pipe_is_not_waited_for(copied):
    (copied / "shapes-scs/1/model.onnx").unlink()
    os.mkfifo(copied / "shapes-scs/1/model.onnx")
    with pytest.raises(ModelError, match="model.onnx cannot be read: it is not a file"):
        read(copied)


@pytest.mark.parametrize(("file", "most"), [("card.json", LARGEST_CARD), ("model.onnx", LARGEST_MODEL)])
def test_a_file_that_is_too_large_is_not_read(copied, file, most):
    with (copied / "shapes-scs/1" / file).open("r+b") as opened:
        opened.truncate(most + 1)  # a hole: it takes no room
    with pytest.raises(ModelError, match=f"{file} may have {most} bytes; it has {most + 1}"):
        read(copied)


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../elsewhere", "/", "shapes-scs/1", "./shapes-scs", "shapes-scs\0", "shapes-scs\n", "*"]
)
def test_a_name_that_is_a_path_is_no_name(copied, outside, name):
    assert versions(copied, name) == []


def test_folders_whose_names_no_model_can_have_are_passed_over_and_named(copied):
    for name in ("Shapes", "a b", ".hidden", "ü", "x" * 65, "-dash", "new\nline"):
        shutil.copytree(copied / "shapes-scs", copied / name)
    assert names(copied) == ["shapes-scs"]
    assert [entry.name for entry in entries(copied)] == ["shapes-scs"]
    assert misnamed(copied) == ["-dash", "Shapes", "a b", "new\nline", "x" * 65, "ü"]


def test_versions_are_whole_numbers_from_1_as_they_are_written(copied):
    for name in ("0", "01", "-1", "1.5", "1e3", "٣", "9" * 19, "9" * 18, "2 "):
        (copied / "shapes-scs" / name).mkdir()
    assert [entry.version for entry in versions(copied, "shapes-scs")] == [1, int("9" * 18)]


@pytest.mark.parametrize("field", ["name", "sha256"])
@pytest.mark.parametrize("value", ["../x", "a/b", "/etc/passwd", "x\0", "", "%2e%2e", "x\n"])
def test_a_card_with_a_path_for_a_name_or_a_digest_is_no_card(copied, field, value):
    path = copied / "shapes-scs/1/card.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), field: value}))
    with pytest.raises(ModelError, match=f"card.json is not a model's card: {field}: "):
        read(copied)


@pytest.mark.parametrize("key", ["file_name", "file", "../../x\ny"])
def test_a_card_names_no_file(copied, key):
    path = copied / "shapes-scs/1/card.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), key: "../../secret"}))
    with pytest.raises(ModelError, match="card.json is not a model's card: .*extra inputs are not permitted") as error:
        read(copied)
    assert "\n" not in str(error.value)
