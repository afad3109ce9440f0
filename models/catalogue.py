"""The models on disk: a folder a name, in it a folder a version, in that a model file and its card."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from models.card import CARD_FILE, ModelCard, read_card
from scs.errors import ModelError, UnknownNameError


@dataclass(frozen=True)
class Entry:
    """A version of a model on disk; the card is read, and the file checked, only when asked for."""

    name: str
    version: int
    folder: Path

    def card(self) -> ModelCard:
        """The card.

        Raises:
            ModelError: there is none, it is not a card, or it belongs to another name or version.
        """
        card = read_card(self.folder / CARD_FILE)
        if (card.name, card.version) != (self.name, self.version):
            raise ModelError(
                f"{self.name} version {self.version} needs its own card; it has one of {card.name} {card.version}"
            )
        return card

    def verified_bytes(self) -> bytes:
        """The model file, whole, after its SHA-256 was found to be the one on the card.

        Raises:
            ModelError: no card, no file, or another digest.
        """
        card = self.card()
        try:
            content = (self.folder / card.file_name).read_bytes()
        except FileNotFoundError:
            raise ModelError(f"{self.name} {self.version} needs a {card.file_name}; there is none") from None
        came = hashlib.sha256(content).hexdigest()
        if came != card.sha256:
            raise ModelError(
                f"{card.file_name} of {self.name} {self.version} needs SHA-256 {card.sha256[:12]}…; {came[:12]}… came"
            )
        return content


def bundled_repository() -> Path:
    """The folder of the models that come with this package, however it was installed."""
    return Path(str(files("models"))) / "repository"


def entries(repository: Path) -> Iterator[Entry]:
    """Every version of every model, by name, then by version; folders that are not versions are passed over."""
    folders = sorted(repository.iterdir()) if repository.is_dir() else []
    for folder in folders:
        versions = [int(child.name) for child in folder.iterdir() if _is_version(child)] if folder.is_dir() else []
        for version in sorted(versions):
            yield Entry(folder.name, version, folder / str(version))


def find(repository: Path, name: str, version: int | None = None) -> Entry:
    """One version of a model; the newest unless told.

    Raises:
        UnknownNameError: the message names what there is.
    """
    found = list(entries(repository))
    versions = [entry for entry in found if entry.name == name]
    if not versions:
        names = ", ".join(dict.fromkeys(entry.name for entry in found)) or "none"
        raise UnknownNameError(f"no model '{name}'; there are: {names}")
    if version is None:
        return versions[-1]
    for entry in versions:
        if entry.version == version:
            return entry
    known = ", ".join(str(entry.version) for entry in versions)
    raise UnknownNameError(f"no version {version} of {name}; there are: {known}")


def _is_version(folder: Path) -> bool:
    return folder.is_dir() and re.fullmatch("[1-9][0-9]*", folder.name) is not None
