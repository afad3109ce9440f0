"""The aliases of a model's versions while it is served: read from ``labels.json``, and moved by request."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from models.cards.aliases import check_aliases, read_aliases
from scs.errors import UnknownNameError


@dataclass(frozen=True)
class Aliases:
    """The version that each alias of a model names.

    Args:
        current: as they are, moves by request included.
        written: as they were last read from the file, to see whether that has changed since.
    """

    current: Mapping[str, int] = field(default_factory=dict)
    written: Mapping[str, int] = field(default_factory=dict)

    def read_again(self, repository: Path, name: str, versions: Collection[int], *, afresh: bool) -> Aliases:
        """Reload the aliases from their file if it has changed; else keep them, moves by request included.

        Args:
            repository: folder of models.
            name: of the model.
            versions: those there are.
            afresh: whether to take the file in any case.

        Raises:
            ModelError: the file is broken, or names a version that there is not.
            OptionError, UnknownNameError: an alias that was moved names a version that is gone.
            OSError: the file cannot be read.
        """
        written = read_aliases(repository, repository / name, versions)
        current = written if afresh or written != self.written else self.current
        check_aliases(current, versions)
        return Aliases(current, written)

    def limited_to(self, versions: Collection[int]) -> Aliases:
        """Return the aliases whose versions are still there."""
        return replace(self, current={alias: number for alias, number in self.current.items() if number in versions})

    def moved(self, name: str, changes: Mapping[str, int | None], versions: Collection[int]) -> Aliases:
        """Return the aliases with some moved to other versions or taken away.

        Args:
            name: of the model, for messages.
            changes: the version that each shall name, or None to take it away.
            versions: those there are.

        Raises:
            UnknownNameError: there is no such version, or no such alias to take away.
            OptionError: an alias that cannot be one.
        """
        for alias, number in changes.items():
            if number is None and alias not in self.current:
                known = ", ".join(self.current) or "none"
                raise UnknownNameError(f"{name} has no label {alias[:64]!r}; there are: {known}")
        wanted = {alias: number for alias, number in changes.items() if number is not None}
        check_aliases(wanted, versions)
        kept = {alias: number for alias, number in self.current.items() if alias not in changes}
        return replace(self, current=kept | wanted)
