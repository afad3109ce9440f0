"""The models on disk: a folder ``<name>/<version>/`` for each version, with a model file and its card."""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import BinaryIO

from models.cards.aliases import ALIASES_FILE, DEFAULT_ALIAS, read_aliases
from models.cards.card import CARD_FILE, MODEL_FILES, NAME_PATTERN, ModelCard, read_card
from models.cards.confined import open_confined
from scs.errors import ModelError, UnknownNameError
from scs.nearest import there_are

LARGEST_MODEL = 2**31 - 1  # bytes: what one ONNX file can have
Signature = tuple[tuple[str, int, int, int], ...]
_VERSION_FILES = (CARD_FILE, *MODEL_FILES.values())
_VERSION_PATTERN = "[1-9][0-9]{0,17}"


@dataclass(frozen=True)
class Entry:
    """A version of a model on disk; the card is read, and the file checked, only when asked for."""

    name: str
    version: int
    folder: Path

    @property
    def repository(self) -> Path:
        """The folder of all models, which no link of the entry may lead out of."""
        return self.folder.parents[1]

    def card(self) -> ModelCard:
        """Read the card.

        Raises:
            ModelError: there is none, it is not a card, or it belongs to another name or version.
        """
        card = read_card(self.folder / CARD_FILE, self.repository)
        if (card.name, card.version) != (self.name, self.version):
            raise ModelError(
                f"{self.name} version {self.version} needs its own card; it has one of {card.name} {card.version}"
            )
        return card

    def open_model(self, card: ModelCard) -> BinaryIO:
        """Open the model file.

        Raises:
            ModelError: there is none, or it lies elsewhere.
        """
        try:
            return open_confined(self.repository, self.folder / card.file_name, LARGEST_MODEL)
        except FileNotFoundError:
            raise ModelError(f"{self.name} {self.version} needs a {card.file_name}; there is none") from None

    def verified_bytes(self, card: ModelCard | None = None) -> bytes:
        """Read the whole model file, after checking that its SHA-256 is the one on the card.

        Args:
            card: the one on disk unless given.

        Raises:
            ModelError: no card, no file, or another digest.
        """
        card = card or self.card()
        with self.open_model(card) as file:
            return verified(file.read(LARGEST_MODEL), card)


def verified(content: bytes, card: ModelCard) -> bytes:
    """Return a model file's bytes, once their SHA-256 has been checked.

    Raises:
        ModelError: it is not the one on the card.
    """
    came = hashlib.sha256(content).hexdigest()
    if came != card.sha256:
        raise ModelError(
            f"{card.file_name} of {card.name} {card.version} needs SHA-256 {card.sha256[:12]}…; {came[:12]}… came"
        )
    return content


def bundled_repository() -> Path:
    """Return the folder of the models that come with this package, however it was installed."""
    return Path(str(files("models"))) / "repository"


def names(repository: Path) -> list[str]:
    """List the folders that may hold a model, sorted, skipping those whose names no model can have."""
    return [name for name in _folders(repository) if re.fullmatch(NAME_PATTERN, name)]


def misnamed(repository: Path) -> list[str]:
    """List the folders that are not hidden but are skipped, because no model can have their names."""
    return [name for name in _folders(repository) if not re.fullmatch(NAME_PATTERN, name) and name[0] != "."]


def misplaced(repository: Path, name: str) -> list[str]:
    """Describe what lies in a model's folder, looks like a version of it, and is none; nothing where it is unreadable.

    A name from elsewhere is looked up among those there are, as by :func:`versions`.
    """
    if name not in names(repository):
        return []
    found = []
    with contextlib.suppress(OSError):
        children = sorted(child.name for child in (repository / name).iterdir() if child.name[0] != ".")
        files = [child for child in children if child in _VERSION_FILES]
        if files:
            found.append(f"{name}/{files[0]} lies in no version's folder: its place is {name}/1/{files[0]}")
        for child in children:
            holds_model = any((repository / name / child / file).exists() for file in _VERSION_FILES)
            if holds_model and not re.fullmatch(_VERSION_PATTERN, child):
                found.append(f"{name}/{child} is no version: a version's folder is a number from 1, such as {name}/1")
    return found


def versions(repository: Path, name: str) -> list[Entry]:
    """List the versions of a model, by number; none where there is no such model.

    A name from elsewhere is looked up among those there are, and no path is made of it before it was found.
    """
    return _versions(repository / name, name) if name in names(repository) else []


def entries(repository: Path) -> Iterator[Entry]:
    """Yield every version of every model, by name, then by version, but for those of folders that cannot be read."""
    for name in names(repository):
        with contextlib.suppress(OSError):
            yield from _versions(repository / name, name)


def signatures(repository: Path) -> dict[str, Signature]:
    """Return names, inodes, sizes and times of each model's files, which tell a change without reading the files."""
    return {name: _signature(repository / name, name) for name in names(repository)}


def find(repository: Path, name: str, version: int | str | None = None) -> Entry:
    """Find a version of a model by its number or alias.

    Args:
        repository: folder of models.
        name: of the model.
        version: a number or an alias; unless told, the version of the alias ``default``, or the newest.

    Raises:
        UnknownNameError: the message names what there is.
        ModelError: the aliases cannot be read.
    """
    found = {entry.version: entry for entry in versions(repository, name)}
    if not found:
        known = [*dict.fromkeys(entry.name for entry in entries(repository))]
        raise UnknownNameError(f"no model {name[:64]!r}; {there_are(name, known)}")
    ways = {str(number): number for number in found} | read_aliases(repository, repository / name, found)
    number = ways.get(DEFAULT_ALIAS, max(found)) if version is None else ways.get(str(version))
    if number is None:
        raise UnknownNameError(f"no version {str(version)[:64]} of {name}; {there_are(str(version), [*ways])}")
    return found[number]


def _folders(repository: Path) -> list[str]:
    return sorted(child.name for child in repository.iterdir() if child.is_dir()) if repository.is_dir() else []


def _versions(folder: Path, name: str) -> list[Entry]:
    """List the versions in a model's folder, skipping folders that are not versions."""
    found = [child for child in folder.iterdir() if re.fullmatch(_VERSION_PATTERN, child.name) and child.is_dir()]
    return [Entry(name, int(child.name), child) for child in sorted(found, key=lambda child: int(child.name))]


def _signature(folder: Path, name: str) -> Signature:
    paths = [folder / ALIASES_FILE]
    with contextlib.suppress(OSError):  # a folder that cannot be read has no versions, as long as that lasts
        for entry in _versions(folder, name):
            paths += [entry.folder / file for file in _VERSION_FILES]
    found = []
    for path in paths:
        with contextlib.suppress(OSError):  # not there, or no longer
            status = path.stat()
            found.append((str(path.relative_to(folder)), status.st_ino, status.st_size, status.st_mtime_ns))
    return tuple(found)
