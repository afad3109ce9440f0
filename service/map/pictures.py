"""Tasks on pictures that fit into memory: read a few at a time, whatever they lie in."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

from scs.errors import ScsError
from service.api.files import NamedBytes
from service.map.inputs.find import find
from service.map.inputs.read import read
from service.map.listed import Listed
from service.map.run import Run
from service.map.task import Row, failed

_AT_ONCE = 32  # pictures that are read and decoded together
_BYTES_AT_ONCE = 24 * 2**20


class Numbered(NamedTuple):
    """A picture as it was read, not decoded, with its number in the list, from 0."""

    number: int
    file: NamedBytes


class PictureTask(ABC):
    """What the tasks on pictures have in common."""

    def listed(self, inputs: Iterable[str], names: BinaryIO, leave_out: Path) -> Iterator[Listed]:
        """Yield the pictures of inputs; see :func:`service.map.inputs.find.find`."""
        return find(inputs, names, leave_out)

    def rows(self, listed: Iterable[tuple[int, Listed]]) -> Iterator[Row]:
        """Yield a row for each picture; of one that cannot be read, by :func:`service.map.task.failed`."""
        held: list[Numbered] = []
        for number, each in listed:
            if each.error is not None:
                yield failed(number, each.name, each.error)
                continue
            try:
                held.append(Numbered(number, read(each)))
            except OSError as error:
                yield failed(number, each.name, error.strerror or str(error))
            except ScsError as error:
                yield failed(number, each.name, error)
            if len(held) == _AT_ONCE or sum(len(file.content) for _, file in held) >= _BYTES_AT_ONCE:
                yield from self.answer(held)
                held = []
        if held:
            yield from self.answer(held)

    @abstractmethod
    def answer(self, pictures: Sequence[Numbered]) -> Iterator[Row]:
        """Yield a row for each picture that was read."""

    def finish(self, run: Run) -> None:  # noqa: B027 - none of the tasks on pictures has more to do
        """Do nothing: the rows are all there is."""
