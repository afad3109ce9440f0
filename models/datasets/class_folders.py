"""Labelled pictures in folders: ``photos/CLASS/*.jpg``, or ``photos/train/CLASS/*.jpg`` with ``val`` and ``test``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from models.datasets.labelled import (
    FEWEST_CLASSES,
    SPLIT_NAMES,
    LabelledPicture,
    LabelledPictures,
    SplitName,
    checked_classes,
    digest_of_files,
)
from scs.errors import DataError
from scs.printable import printable

_NO_PICTURES = ("thumbs.db", "desktop.ini")  # that Windows leaves in folders of pictures


def read_class_folders(root: Path, fewest: int = FEWEST_CLASSES) -> LabelledPictures:
    """Read a folder that has a folder for each class, whose files, at any depth, are its pictures.

    Where its folders are called ``train``, ``val`` and ``test``, each of these has a folder for each class. Files that
    begin with a dot are left alone, and so are those beside the folders. A link that leads nowhere is a picture that
    cannot be read.

    Args:
        root: the folder.
        fewest: classes that there have to be.

    Returns:
        The pictures in the order of their paths. The digest is that of the list of all files, which
        ``find . -type f | sort | xargs sha256sum`` prints for plain names, less the ``./``.

    Raises:
        DataError: there are fewer classes, or one has no files.
    """
    inside = _folders(root)
    if inside and {*inside} <= SPLIT_NAMES.keys():
        parts: dict[SplitName | None, Path] = {SPLIT_NAMES[name]: path for name, path in inside.items()}
        if len(parts) < len(inside):
            raise DataError(f"a split needs one folder of each kind; {root.name} has {', '.join(inside)}")
    else:
        parts = {None: root}
    of_parts = {split: _folders(part) for split, part in parts.items()}
    if not any(of_parts.values()):
        raise DataError(
            f"pictures lie in a folder for each class, such as {root.name}/CLASS/1.jpg; there are no folders"
        )
    classes = checked_classes(root.name, [name for folders in of_parts.values() for name in folders], fewest)
    index = {name: number for number, name in enumerate(classes)}
    found: list[tuple[Path, LabelledPicture]] = []
    for split, folders in of_parts.items():
        found += _pictures(root, split, folders, index)
    found.sort(key=lambda pair: pair[1].name)
    digest = digest_of_files(root, [path for path, _ in found])
    return LabelledPictures(root.resolve().name, tuple(picture for _, picture in found), classes, digest)


def _folders(root: Path) -> dict[str, Path]:
    try:
        return {path.name: path for path in sorted(root.iterdir()) if path.is_dir() and not path.name.startswith(".")}
    except OSError as error:
        raise DataError(f"{root.name} cannot be read: {error.strerror or error}") from None


def _pictures(
    root: Path, split: SplitName | None, folders: Mapping[str, Path], index: Mapping[str, int]
) -> list[tuple[Path, LabelledPicture]]:
    found = []
    for name, folder in folders.items():
        files = [path for path in sorted(folder.rglob("*")) if _counts(path, folder)]
        if not files:
            raise DataError(f"every class needs pictures; the folder '{name[:60]}' of {root.name} is empty")
        for path in files:
            shown = printable(path.relative_to(root).as_posix())
            found.append((path, LabelledPicture(shown, index[name], split, path.read_bytes)))
    return found


def _counts(path: Path, folder: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
    leads_nowhere = path.is_symlink() and not path.exists()
    return (path.is_file() or leads_nowhere) and not hidden and path.name.lower() not in _NO_PICTURES
