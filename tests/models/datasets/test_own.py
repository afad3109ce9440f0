"""Somebody's own pictures are read from folders, tables and arrays alike, split fairly, or refused in a sentence."""

import subprocess
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models.datasets.labelled import SPLITS
from models.datasets.own import open_own
from models.datasets.splits import split_pictures
from scs.errors import DataError

COUNTS = {"bolt": 20, "nut": 7, "10": 3, "9": 3}


def write(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (5, 6, 3), np.uint8)).save(path)


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "parts"
    for name, count in COUNTS.items():
        for i in range(count):
            write(root / name / f"{i}.png", 100 * len(name) + i)
    write(root / "nut" / "deeper" / "still.png", 1)
    (root / "nut" / ".DS_Store").write_bytes(b"of a file manager")
    (root / "nut" / "Thumbs.db").write_bytes(b"of another")
    (root / "README").write_text("beside the folders")
    return root


@pytest.fixture
def table(folder):
    path = folder.parent / "parts.csv"
    rows = [(file.relative_to(folder.parent), file.relative_to(folder).parts[0]) for file in folder.rglob("*.png")]
    path.write_text("\ufeffLabel;Path\n" + "".join(f"{label};{file}\n" for file, label in sorted(rows)))
    return path


@pytest.fixture
def arrays(tmp_path):
    labels = np.repeat([*COUNTS], [*COUNTS.values()])
    path = tmp_path / "parts.npz"
    np.savez(path, x=np.random.default_rng(0).integers(0, 256, (len(labels), 5, 6), np.uint8), y=labels)
    return path


def test_folders_tables_and_arrays_say_the_same(folder, table, arrays):
    for source, nuts in ((folder, 8), (table, 8), (arrays, 7)):
        data = open_own(source)
        assert data.name == "parts"
        assert data.classes == ("9", "10", "bolt", "nut"), "numbers by their size, then names"
        assert Counter(data.classes[each.label] for each in data.pictures) == COUNTS | {"nut": nuts}
        assert {bytes(each.read()[:6]) for each in data.pictures} <= {b"\x89PNG\r\n", b"\x93NUMPY"}


def test_the_digest_is_that_of_a_list_that_anybody_can_make(folder):
    (folder / "nut" / ".DS_Store").unlink()
    (folder / "nut" / "Thumbs.db").unlink()
    (folder / "README").unlink()
    command = "find . -type f | sed 's|^./||' | LC_ALL=C sort | xargs sha256sum | sha256sum"
    made = subprocess.run(command, shell=True, cwd=folder, capture_output=True, text=True, check=True).stdout
    assert open_own(folder).sha256 == made.split()[0]


def test_the_digest_tells_other_pictures_other_names_and_other_labels(folder, table):
    digests = {open_own(folder).sha256, open_own(table).sha256}
    (folder / "nut" / "0.png").rename(folder / "bolt" / "was a nut.png")
    digests.add(open_own(folder).sha256)
    write(folder / "bolt" / "0.png", 7)
    digests.add(open_own(folder).sha256)
    table.write_text(table.read_text().replace("was a nut", "0").replace("nut;parts/nut/1.png", "bolt;parts/nut/1.png"))
    (folder / "bolt" / "was a nut.png").rename(folder / "nut" / "0.png")
    digests.add(open_own(table).sha256)
    assert len(digests) == 5


def test_a_link_that_leads_nowhere_is_a_picture_that_cannot_be_read(folder):
    before = open_own(folder)
    (folder / "nut" / "moved.png").symlink_to("elsewhere.png")
    (folder / "nut" / ".moved.png").symlink_to("elsewhere.png")
    data = open_own(folder)
    assert len(data.pictures) == len(before.pictures) + 1 and data.sha256 != before.sha256
    (moved,) = (each for each in data.pictures if each.name == "nut/moved.png")
    with pytest.raises(FileNotFoundError):
        moved.read()


def test_a_split_takes_of_every_class_and_the_seed_decides_it(folder):
    data = open_own(folder)
    parts, drawn = split_pictures(data, 0)
    assert drawn
    assert sorted(i for part in parts.values() for i in part) == list(range(len(data.pictures)))
    of = {name: Counter(data.classes[data.pictures[i].label] for i in parts[name]) for name in SPLITS}
    assert of["test"] == of["validation"] == {"bolt": 3, "nut": 1, "10": 1, "9": 1}
    assert split_pictures(data, 0)[0] == parts
    assert split_pictures(data, 1)[0] != parts


def test_a_split_that_is_there_is_kept_and_what_is_missing_is_drawn_from_the_pictures_to_train_on(folder, tmp_path):
    root = tmp_path / "split"
    for part in ("train", "test"):
        (root / part).mkdir(parents=True)
        for name in ("bolt", "nut"):
            (folder / name).rename(root / part / name) if part == "train" else write(root / part / name / "a.png", 3)
    data = open_own(root)
    parts, drawn = split_pictures(data, 0)
    assert drawn and {data.pictures[i].name for i in parts["test"]} == {"test/bolt/a.png", "test/nut/a.png"}
    assert {data.pictures[i].name.split("/")[0] for i in parts["validation"]} == {"train"}
    write(root / "val" / "nut" / "b.png", 5)
    parts, drawn = split_pictures(open_own(root), 0)
    assert not drawn and len(parts["validation"]) == 1


def test_a_folder_called_like_a_published_data_set_is_not_called_so(folder):
    assert open_own(folder.rename(folder.parent / "cifar10")).name == "own cifar10"


def arrays_of(path: Path, **changed: np.ndarray) -> Path:
    np.savez(path, **({"x": np.zeros((6, 4, 4), np.uint8), "y": np.array([0, 0, 0, 1, 1, 1])} | changed))
    return path


def text(path: Path, content: str) -> Path:
    path.write_text(content)
    return path


MISTAKES = {
    "one class": (lambda at: (write(at / "only" / "0.png", 0), at)[1], "2 classes or more; .* has one, 'only'"),
    "no folders": (lambda at: (write(at / "0.png", 0), at)[1], "a folder for each class, .*; there are no folders"),
    "nothing there": (lambda at: at / "gone", "there is no '.*gone'"),
    "another kind": (lambda at: text(at / "a.txt", ""), "a .csv or an .npz; 'a.txt' came"),
    "no columns": (lambda at: text(at / "a.csv", "file,class\n"), "the columns path and label; it has file, class"),
    "empty table": (lambda at: text(at / "a.csv", ""), "the columns path and label; it has nothing"),
    "no rows": (lambda at: text(at / "a.csv", "path,label\n"), "a row for each picture; it has none"),
    "no label": (lambda at: text(at / "a.csv", "path,label\nx.png,\n"), "a label in every row; line 2 has none"),
    "short row": (lambda at: text(at / "a.csv", "path,label\nx.png\n"), "a label in every row; line 2 has none"),
    "no file": (lambda at: text(at / "a.csv", "path,label\nx.png,a\n"), "files that are not there: x.png"),
    "strange split": (lambda at: text(at / "a.csv", "path,label,split\nx,a,b\n"), "train, val or test; line 2 .* 'b'"),
    "no arrays": (lambda at: text(at / "a.npz", "no"), "should be an .npz file"),
    "other arrays": (
        lambda at: (np.savez(at / "a.npz", z=[1]), at / "a.npz")[1],
        "should hold x and y, .* holds z",
    ),
    "no labels": (lambda at: (np.savez(at / "a.npz", x=[1]), at / "a.npz")[1], "should hold x and y, but has no y"),
    "floats": (lambda at: arrays_of(at / "a.npz", x=np.zeros((6, 4, 4))), r"uint8, but is \(6, 4, 4\) float64"),
    "few labels": (lambda at: arrays_of(at / "a.npz", y=np.zeros(5, int)), r"each of the 6 images .* \(5,\) int64"),
    "float labels": (lambda at: arrays_of(at / "a.npz", y=np.zeros(6)), r"a whole number or a name .* float64"),
    "few names": (lambda at: arrays_of(at / "a.npz", classes=np.array(["a"])), "2 classes or more; a.npz has one, 'a'"),
    "large label": (
        lambda at: arrays_of(at / "a.npz", classes=np.array(["a", "b"]), y=np.array([0, 1, 2, 0, 1, 2])),
        r"labels should be in 0..1, but are in 0..2",
    ),
    "control": (
        lambda at: arrays_of(at / "a.npz", y=np.array(["a", "b\x1b", "c", "a", "b", "c"])),
        r"a class's name is text that can be shown; a.npz has 'b\\x1b'",
    ),
}


@pytest.mark.parametrize("make, said", MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_told_in_a_sentence(make, said, tmp_path):
    with pytest.raises(DataError, match=said):
        open_own(make(tmp_path))


def test_an_empty_class_is_named(folder):
    (folder / "washer").mkdir()
    with pytest.raises(DataError, match="every class needs pictures; the folder 'washer' of parts is empty"):
        open_own(folder)


def test_a_class_with_too_few_pictures_is_named(folder):
    (folder / "9" / "0.png").unlink()
    with pytest.raises(DataError, match=r"a class needs 3 pictures .*; '9' of parts has 2"):
        split_pictures(open_own(folder), 0)


def test_a_class_that_is_only_tested_is_named(folder):
    for part in ("train", "val", "test"):
        write(folder / part / ("bolt" if part == "train" else "nut") / "a.png", 0)
        write(folder / part / "washer" / "a.png", 0)
    for name in COUNTS:
        for file in (*(folder / name).rglob("*.png"), *(folder / name).glob(".*")):
            file.unlink()
    root = folder.parent / "split"
    root.mkdir()
    for part in ("train", "val", "test"):
        (folder / part).rename(root / part)
    with pytest.raises(DataError, match="every class needs a picture to train on; 'nut' of split has none"):
        split_pictures(open_own(root), 0)
