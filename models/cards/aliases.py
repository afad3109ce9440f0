"""Names for versions of a model, such as ``stable`` and ``canary``, kept in its folder as ``labels.json``."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from models.cards.confined import read_confined
from scs.errors import ModelError, OptionError, UnknownNameError

LABELS_FILE = "labels.json"
DEFAULT_LABEL = "default"  # the version of this label answers where none is asked for
LABEL_PATTERN = r"^[a-z][a-z0-9._-]{0,63}$"  # not a number, which would be a version
_MOST_BYTES = 2**16
_KIND = TypeAdapter(dict[str, Annotated[int, Field(strict=True)]])


def read_labels(root: Path, folder: Path, versions: Collection[int]) -> dict[str, int]:
    """The labels in a model's folder, none where it has no such file.

    Args:
        root: the repository.
        folder: the model's.
        versions: those there are.

    Raises:
        ModelError: the file is not ``{label: version}``, or names a version that there is not.
    """
    try:
        labels = _KIND.validate_json(read_confined(root, folder / LABELS_FILE, _MOST_BYTES))
        check_labels(labels, versions)
    except FileNotFoundError:
        return {}
    except ValidationError:
        raise ModelError(f'{LABELS_FILE} needs to be {{"label": version, …}}; something else came') from None
    except (OptionError, UnknownNameError) as error:
        raise ModelError(f"{LABELS_FILE}: {error}") from None
    return labels


def check_labels(labels: Mapping[str, int], versions: Collection[int]) -> None:
    """Make sure that labels are well-formed and that their versions exist.

    Raises:
        OptionError: a label that cannot be one.
        UnknownNameError: a version that there is not.
    """
    for label, version in labels.items():
        if not re.fullmatch(LABEL_PATTERN, label):
            raise OptionError(f"a label is up to 64 of a-z, 0-9, '.', '_' and '-', a letter first; {label[:60]!r} came")
        if version not in versions:
            known = ", ".join(map(str, sorted(versions))) or "none"
            raise UnknownNameError(f"{label} needs a version there is; {version} came and there are: {known}")
