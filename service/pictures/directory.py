"""The directory of tags of a TIFF file, which EXIF has too: read without the values, whatever sizes these claim."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

_CLASSIC, _BIG = 42, 43
_BYTES_OF = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_WHOLE = (1, 3, 4, 16)  # types of whole numbers

MOST_TAGS = 4096
_MOST_VALUES = 64  # of a tag that is read here
_SHARED = 2  # times that the bytes of a file may be values: some writers let tags share theirs
_FREE = 2**16


class Tag(NamedTuple):
    """A tag: its number and type, how many values it has, and where they are in the file."""

    number: int
    kind: int
    values: int
    start: int

    @property
    def size(self) -> int:
        """Bytes of its values, as it claims."""
        return self.values * _BYTES_OF.get(self.kind, 0)


class Directory:
    """The first directory of a TIFF file, or of an EXIF block.

    Args:
        data: from its byte order on.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._order = "little" if data[:2] == b"II" else "big"
        self._big = self._number(2, 2) == _BIG
        self.tags = list(self._read())

    def sizes(self, number: int) -> list[int]:
        """Return the whole numbers of every tag with this number: readers differ in which of two they take."""
        found = (tag for tag in self.tags if tag.number == number and tag.kind in _WHOLE)
        return [
            self._number(tag.start + index * _BYTES_OF[tag.kind], _BYTES_OF[tag.kind])
            for tag in found
            for index in range(min(tag.values, _MOST_VALUES))
        ]

    @property
    def is_sound(self) -> bool:
        """Whether it can be read in a time and memory that grow with the file, as values do not overlap."""
        held = sum(min(tag.size, len(self._data)) for tag in self.tags)
        return len(self.tags) <= MOST_TAGS and held <= _SHARED * len(self._data) + _FREE

    def _read(self) -> Iterator[Tag]:
        width, entry = (8, 20) if self._big else (4, 12)
        first = self._number(8 if self._big else 4, width)
        counted = 8 if self._big else 2
        count = min(self._number(first, counted), MOST_TAGS + 1)
        for place in range(first + counted, min(first + counted + count * entry, len(self._data)), entry):
            tag = Tag(
                self._number(place, 2), self._number(place + 2, 2), self._number(place + 4, width), place + 4 + width
            )
            yield tag if tag.size <= width else tag._replace(start=self._number(tag.start, width))

    def _number(self, place: int, length: int) -> int:
        return int.from_bytes(self._data[place : place + length], self._order)  # type: ignore[arg-type]
