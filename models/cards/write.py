"""Write a version of a model to disk: its file and its card, whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from models.cards.card import CARD_FILE, ModelCard, write_card


def write_version(folder: Path, content: bytes, card: ModelCard, beside: Mapping[str, bytes] | None = None) -> None:
    """Write file and card beside where they belong, then move them there as one.

    Args:
        folder: of the version; its parent is made where it is missing.
        content: of the model's file.
        card: of the model.
        beside: other files that belong to it, by their names.

    Raises:
        OSError: it cannot be written, or there is such a folder with something in it.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(dir=folder.parent, prefix="."))
    try:
        (unfinished / card.file_name).write_bytes(content)
        for name, other in (beside or {}).items():
            (unfinished / name).write_bytes(other)
        write_card(card, unfinished / CARD_FILE)
        unfinished.chmod(0o755)
        os.rename(unfinished, folder)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
