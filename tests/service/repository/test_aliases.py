import pytest

from scs.errors import ModelError, OptionError, UnknownNameError
from service.repository.aliases import Aliases

NO_ALIASES = Aliases()


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "cat").mkdir()
    return tmp_path


def write(folder, text):
    (folder / "cat/labels.json").write_text(text)


def read(folder, aliases=NO_ALIASES, versions=(1, 2), afresh=False):
    return aliases.read_again(folder, "cat", versions, afresh=afresh)


def test_a_model_without_a_file_has_no_aliases(folder):
    assert read(folder) == Aliases({}, {})


def test_what_was_moved_stays_while_the_file_is_the_same_unless_it_is_read_afresh(folder):
    write(folder, '{"stable": 1}')
    moved = read(folder).moved("cat", {"stable": 2}, (1, 2))
    assert read(folder, moved).current == {"stable": 2}
    assert read(folder, moved, afresh=True).current == {"stable": 1}
    write(folder, '{"stable": 1, "old": 1}')
    assert read(folder, moved).current == {"stable": 1, "old": 1}


def test_a_broken_file_is_refused(folder):
    write(folder, '{"stable": 3}')
    with pytest.raises(ModelError, match="stable needs a version there is; 3 came and there are: 1, 2"):
        read(folder)


def test_what_was_moved_to_a_version_that_is_gone_is_refused(folder):
    with pytest.raises(UnknownNameError, match="stable needs a version there is; 2 came"):
        read(folder, Aliases({"stable": 2}), versions=(1,))


def test_aliases_are_moved_added_and_taken_away():
    moved = Aliases({"stable": 1, "canary": 2}).moved("cat", {"stable": 2, "canary": None, "new": 1}, (1, 2))
    assert moved.current == {"stable": 2, "new": 1}


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"other": None}, UnknownNameError, "cat has no label 'other'; there are: stable"),
        ({"stable": 3}, UnknownNameError, "stable needs a version there is; 3 came"),
        ({"3": 1}, OptionError, "a label is up to 64 of .*; '3' came"),
    ],
)
def test_aliases_that_cannot_be_moved_are_refused(changes, error, words):
    with pytest.raises(error, match=words):
        Aliases({"stable": 1}).moved("cat", changes, (1, 2))


def test_aliases_of_versions_that_are_gone_are_dropped():
    assert Aliases({"stable": 1, "canary": 2}, {"stable": 1}).limited_to((2,)) == Aliases({"canary": 2}, {"stable": 1})
