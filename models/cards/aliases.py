"""Aliases of a model's versions, such as ``stable`` and ``canary``, kept in its folder as ``labels.json``.

Users know them as *labels*; the code says *aliases*, since a model's labels are its classes.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from models.cards.confined import read_confined
from scs.errors import ModelError, OptionError, UnknownNameError

ALIASES_FILE = "labels.json"
DEFAULT_ALIAS = "default"  # the version of this alias answers where none is asked for
ALIAS_PATTERN = r"^[a-z][a-z0-9._-]{0,63}$"  # not a number, which would be a version
_MOST_BYTES = 2**16
_KIND = TypeAdapter(dict[str, Annotated[int, Field(strict=True)]])


def read_aliases(root: Path, folder: Path, versions: Collection[int]) -> dict[str, int]:
    """Read the aliases in a model's folder, none where it has no such file.

    Args:
        root: the repository.
        folder: the model's.
        versions: those there are.

    Raises:
        ModelError: the file is not ``{alias: version}``, or names a version that there is not.
    """
    try:
        aliases = _KIND.validate_json(read_confined(root, folder / ALIASES_FILE, _MOST_BYTES))
        check_aliases(aliases, versions)
    except FileNotFoundError:
        return {}
    except ValidationError:
        raise ModelError(f'{ALIASES_FILE} needs to be {{"label": version, …}}; something else came') from None
    except (OptionError, UnknownNameError) as error:
        raise ModelError(f"{ALIASES_FILE}: {error}") from None
    return aliases


def check_aliases(aliases: Mapping[str, int], versions: Collection[int]) -> None:
    """Check that aliases are well-formed and that their versions exist.

    Raises:
        OptionError: an alias that cannot be one.
        UnknownNameError: a version that there is not.
    """
    for alias, version in aliases.items():
        if not re.fullmatch(ALIAS_PATTERN, alias):
            raise OptionError(f"a label is up to 64 of a-z, 0-9, '.', '_' and '-', a letter first; {alias[:60]!r} came")
        if version not in versions:
            known = ", ".join(map(str, sorted(versions))) or "none"
            raise UnknownNameError(f"{alias} needs a version there is; {version} came and there are: {known}")
