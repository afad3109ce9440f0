import io
from pathlib import Path

import pytest

from scs.errors import OptionError
from service.cli.picture_files import STANDARD_INPUT, find_pictures, in_requests
from service.pictures.picture import MAX_PICTURES


@pytest.fixture
def folder(tmp_path, jpeg):
    (tmp_path / "sub").mkdir()
    for name in ("b.jpg", "sub/a.JPEG", "sub/unnamed", "broken.png"):
        (tmp_path / name).write_bytes(b"no picture" if name == "broken.png" else jpeg)
    (tmp_path / "notes.txt").write_text("BM is how a bitmap begins")
    (tmp_path / ".hidden.jpg").write_bytes(jpeg)
    return tmp_path


def test_a_folder_stands_for_the_pictures_in_it(folder):
    found = find_pictures([folder])
    assert [file.path.relative_to(folder).as_posix() for file in found] == [
        "b.jpg",
        "broken.png",
        "sub/a.JPEG",
        "sub/unnamed",
    ]
    assert [file.number for file in found] == [1, 2, 3, 4]
    assert found[2].name == str(folder / "sub" / "a.JPEG")


def test_what_is_named_is_taken_whatever_it_is(folder):
    assert [file.name for file in find_pictures([folder / "notes.txt", folder / "none.jpg"])] == [
        "notes.txt",
        "none.jpg",
    ]


def test_a_folder_without_pictures_is_a_mistake(tmp_path):
    with pytest.raises(OptionError, match="has no pictures in it"):
        find_pictures([tmp_path])


def test_a_dash_is_standard_input(monkeypatch, jpeg):
    (file,) = find_pictures([STANDARD_INPUT])
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(jpeg)))
    assert file.read().content == jpeg and file.name == "standard input"


def test_a_device_is_refused_before_it_is_read():
    (file,) = find_pictures([Path("/dev/zero")])
    with pytest.raises(OSError, match="A file or a pipe is needed, and this is a device: '/dev/zero'"):
        file.read()


def test_files_are_split_by_their_number_and_their_size(folder, monkeypatch):
    many = find_pictures([folder / "b.jpg"] * (2 * MAX_PICTURES + 1))
    assert [len(part) for part in in_requests(many)] == [MAX_PICTURES, MAX_PICTURES, 1]
    monkeypatch.setattr("service.cli.picture_files._MOST_BYTES", 2 * (folder / "b.jpg").stat().st_size)
    assert [len(part) for part in in_requests(many[:5])] == [2, 2, 1]
    assert not list(in_requests([]))
