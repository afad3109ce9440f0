"""The writing of an imported network to a repository, whole or not at all."""

from __future__ import annotations

import re
from pathlib import Path

from models.cards.card import NAME_PATTERN
from models.cards.write import write_version
from models.imports.checking import Imported
from scs.errors import OptionError


def model_name(text: str) -> str:
    """Return a name that a model can have, made of a file's; ``model`` where nothing is left of it."""
    name = re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("._-")[:64]
    return name if re.fullmatch(NAME_PATTERN, name) else "model"


def write(imported: Imported, repository: Path) -> Path:
    """Write file and card beside where they belong, then move them there as one; return the folder.

    Raises:
        OptionError: the version is there already.
    """
    card = imported.card
    folder = repository / card.name / str(card.version)
    if folder.exists():
        raise OptionError(f"a version is a number that is not taken; {card.name} {card.version} is there")
    write_version(folder, imported.content, card)
    return folder
