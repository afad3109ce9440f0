"""Text from elsewhere as it is shown to people: what a terminal would obey is written out."""

from __future__ import annotations

import unicodedata

_JOINERS = "\u200c\u200d"  # which change no line and no terminal, and which emoji and several scripts need
_OBEYED = {"Cc", "Cf", "Cs", "Zl", "Zp"}


def printable(text: object, keep: str = "") -> str:
    r"""Return text with every character written out that a terminal obeys or cannot show.

    These are control characters, line breaks among them, marks that change the direction of writing, and what is not
    Unicode, as in a file's name whose bytes are not UTF-8.

    Args:
        text: anything that is to be shown.
        keep: characters that stay as they are.

    Example:
        >>> print(printable("a\x1b[31mred\nbad\udcff"))
        a\x1b[31mred\nbad\xff
    """
    whole = str(text)
    if whole.isascii() and whole.isprintable():
        return whole
    return "".join(letter if letter in keep or not is_obeyed(letter) else _written_out(letter) for letter in whole)


def is_obeyed(letter: str) -> bool:
    """Return whether a terminal obeys a character, or it cannot be written at all."""
    return letter not in _JOINERS and unicodedata.category(letter) in _OBEYED


def _written_out(letter: str) -> str:
    if "\udc80" <= letter <= "\udcff":  # a byte of a name, as Python keeps those that are not UTF-8
        return f"\\x{ord(letter) - 0xDC00:02x}"
    return letter.encode("unicode_escape", "surrogatepass").decode("ascii")
