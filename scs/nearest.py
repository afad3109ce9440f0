"""The names that there are, for messages about one that there is not: all of a few, the nearest of many."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from difflib import get_close_matches
from heapq import nlargest

_MOST_LISTED = 40
_MOST_NEAREST = 5
_MOST_COMPARED = 200
_LONGEST = 100  # letters of a name that are compared: time grows with their square
_LEAST_ALIKE = 0.5  # of 1


def there_are(wanted: str, known: Sequence[str]) -> str:
    """Say which names there are.

    Args:
        wanted: the name that there is not.
        known: those there are.

    Returns:
        "there are: " and all names; or of more than 40 how many there are, and those that hold it or are most like it,
        whether capital or small.

    Example:
        >>> there_are("stem9", ["stem", "block1"])
        'there are: stem, block1'
        >>> there_are("taby cat", [f"class {i}" for i in range(999)] + ["tabby cat"])
        "there are 1000, the nearest is 'tabby cat'"
    """
    if len(known) <= _MOST_LISTED:
        return f"there are: {', '.join(known) or 'none'}"
    by_folded: dict[str, str] = {}
    for name in known:
        by_folded.setdefault(name[:_LONGEST].casefold(), name)
    near = _nearest(wanted[:_LONGEST].casefold(), by_folded)
    if not near:
        return f"there are {len(known)}, and none is like it"
    listed = ", ".join(f"'{by_folded[short][:_LONGEST]}'" for short in near)
    return f"there are {len(known)}, the nearest {'is' if len(near) == 1 else 'are'} {listed}"


def _nearest(wanted: str, known: Collection[str]) -> list[str]:
    """List names that hold a name, the shortest first, then those most like it."""
    holding = sorted((name for name in known if wanted and wanted in name), key=len)[:_MOST_NEAREST]
    # Comparing whole names takes long, and there may be a hundred thousand: those with no pair of letters in common
    # are not alike.
    pairs = _pairs(wanted)
    in_common = nlargest(_MOST_COMPARED, known, key=lambda name: len(pairs & _pairs(name)))
    alike = get_close_matches(wanted, in_common, _MOST_NEAREST, _LEAST_ALIKE)
    return [*dict.fromkeys([*holding, *alike])][:_MOST_NEAREST]


def _pairs(name: str) -> set[str]:
    return {name[i : i + 2] for i in range(len(name) - 1)}
