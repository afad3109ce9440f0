"""The writing of an imported network to a repository, whole or not at all."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path

from models.cards.card import CARD_FILE, NAME_PATTERN, write_card
from models.imports.importing import Imported
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
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(dir=folder.parent, prefix="."))
    try:
        (unfinished / card.file_name).write_bytes(imported.content)
        write_card(card, unfinished / CARD_FILE)
        unfinished.chmod(0o755)
        os.rename(unfinished, folder)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    return folder
