"""The policy of which versions of a model are loaded."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from scs.errors import OptionError

_NUMBERS = r"[1-9][0-9]{0,17}(\s*,\s*[1-9][0-9]{0,17})*"


@dataclass(frozen=True)
class VersionPolicy:
    """Which versions of each model are loaded.

    Args:
        text: ``all``, ``latest``, or numbers with commas between them; as it is set.

    Raises:
        OptionError: anything else.
    """

    text: str = "all"

    def __post_init__(self) -> None:
        if self.text not in ("all", "latest") and not re.fullmatch(_NUMBERS, self.text):
            raise OptionError(f"versions are 'all', 'latest', or numbers like '1,3'; '{self.text[:60]}' came")

    def choose(self, versions: Collection[int]) -> set[int]:
        """Return those of a model's versions that are to be loaded."""
        if self.text == "all":
            return set(versions)
        if self.text == "latest":
            return {max(versions)} if versions else set()
        return {int(number) for number in self.text.split(",")} & set(versions)

    def reason(self) -> str:
        """Return why a version that is not chosen cannot be used."""
        return f"SCS_VERSIONS={self.text} leaves it out"
