"""The cache of pictures by the digest of their bytes, and of their feature maps by network; lives in the service."""

from __future__ import annotations

import asyncio
import hashlib
import time
import weakref
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from scs.errors import UnknownNameError
from service.api.files import NamedBytes
from service.memory_budget import MemoryBudget
from service.picture_cache.kept import KeptMaps
from service.repository.loader import LoadedModel

PREFIX = "sha256:"
_LARGEST_SHARE = 0.5  # of the cache, for one picture or the maps of one run
_AT_ONCE = 2**18  # bytes that are hashed on the event loop; more are hashed on a thread

_Key = tuple[object, ...]


@dataclass(frozen=True, eq=False)
class _Entry:
    content: NamedBytes | KeptMaps
    nbytes: int
    until: float  # on the clock of time.monotonic


class PictureCache:
    """A bounded cache of pictures and of their feature maps; what was not asked for longest goes first.

    Maps lie in anonymous files that workers are handed: they survive a worker that is killed, and whichever worker is
    free can answer. They are forgotten with the model that made them. What is kept counts in the memory budget, and
    is given up where a request needs the room. Methods are called on the event loop.

    Args:
        most_bytes: of all that is kept; 0 keeps nothing.
        seconds: that something is kept after it was last asked for.
        memory: the budget of the process.
    """

    def __init__(self, most_bytes: int, seconds: float, memory: MemoryBudget) -> None:
        self._most = min(most_bytes, memory.total // 2) if seconds else 0
        self._seconds, self._memory = seconds, memory
        self._entries: OrderedDict[_Key, _Entry] = OrderedDict()
        self._watched: dict[int, weakref.finalize[..., LoadedModel]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self.nbytes = 0
        memory.on_shortage = self._make_room

    @property
    def most_of_one(self) -> int:
        """Most bytes of one picture, or of the maps of one run."""
        return int(self._most * _LARGEST_SHARE)

    async def remember(self, file: NamedBytes) -> NamedBytes:
        """Keep a picture that was sent, and return it with its digest."""
        size = len(file.content)
        if file.digest is not None or size > self.most_of_one:
            return file
        digest = _digest(file.content) if size <= _AT_ONCE else await asyncio.to_thread(_digest, file.content)
        named = replace(file, digest=digest)
        self._put(("picture", digest), named, size)
        return named

    def picture(self, name: str) -> NamedBytes:
        """Return a picture by ``sha256:`` and the digest of its bytes.

        Raises:
            UnknownNameError: it is not kept, or not any more.
        """
        entry = self._get(("picture", name.removeprefix(PREFIX)))
        if entry is None or not isinstance(entry.content, NamedBytes):
            raise UnknownNameError(
                f"no picture {name[: len(PREFIX) + 12]}… is known here, or not any more: pictures are kept for "
                f"{self._seconds:g} seconds where there is room; send its bytes"
            )
        return entry.content

    def maps(self, model: LoadedModel, files: Sequence[NamedBytes]) -> list[KeptMaps]:
        """Return all the maps of pictures that a model has made."""
        digests = {file.digest for file in files} - {None}
        keys = [key for key in self._entries if key[0] == id(model) and key[1] in digests]
        entries = [self._get(key) for key in keys]
        return [entry.content for entry in entries if entry is not None and isinstance(entry.content, KeptMaps)]

    def keep(self, model: LoadedModel, made: Sequence[KeptMaps]) -> None:
        """Keep maps that a model has made."""
        for each in made:
            if id(model) not in self._watched:
                loop = asyncio.get_running_loop()
                self._watched[id(model)] = weakref.finalize(model, _call_soon, loop, self._forget_model, id(model))
            self._put((id(model), each.digest, each.view, frozenset(each.maps.places)), each, each.maps.nbytes)

    def close(self) -> None:
        """Forget everything."""
        for watched in self._watched.values():
            watched.detach()
        self._watched.clear()
        self._drop(list(self._entries))
        if self._timer is not None:
            self._timer.cancel()

    def _get(self, key: _Key) -> _Entry | None:
        self._expire()
        entry = self._entries.get(key)
        if entry is not None:
            self._entries[key] = replace(entry, until=time.monotonic() + self._seconds)
            self._entries.move_to_end(key)
        return entry

    def _put(self, key: _Key, content: NamedBytes | KeptMaps, nbytes: int) -> None:
        if self._get(key) is not None or nbytes > self.most_of_one:
            return
        self._make_room(self.nbytes + nbytes - self._most)
        self._make_room(self._memory.taken + nbytes - self._memory.total)
        if self._memory.taken + nbytes > self._memory.total:
            return  # requests need all there is
        self._memory.hold(nbytes)
        self.nbytes += nbytes
        self._entries[key] = _Entry(content, nbytes, time.monotonic() + self._seconds)
        self._look_again()

    def _make_room(self, count: int) -> None:
        """Forget what was not asked for longest, until so many bytes are free."""
        while count > 0 and self._entries:
            key, entry = next(iter(self._entries.items()))
            count -= entry.nbytes
            self._drop([key])

    def _forget_model(self, number: int) -> None:
        self._watched.pop(number, None)
        self._drop([key for key in self._entries if key[0] == number])

    def _drop(self, keys: Sequence[_Key]) -> None:
        for key in keys:
            entry = self._entries.pop(key)
            self.nbytes -= entry.nbytes
            self._memory.give(entry.nbytes)

    def _expire(self) -> None:
        now = time.monotonic()
        while self._entries and next(iter(self._entries.values())).until <= now:
            self._drop([next(iter(self._entries))])

    def _look_again(self) -> None:
        """Have what is over forgotten even if nobody asks any more."""
        if self._timer is None and self._entries:
            left = next(iter(self._entries.values())).until - time.monotonic()
            self._timer = asyncio.get_running_loop().call_later(max(left, 0.0), self._end_of_time)

    def _end_of_time(self) -> None:
        self._timer = None
        self._expire()
        self._look_again()


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _call_soon(loop: asyncio.AbstractEventLoop, forget: object, number: int) -> None:
    """Call on the event loop: an object may be freed on any thread."""
    with suppress(RuntimeError):  # the loop was closed
        loop.call_soon_threadsafe(forget, number)  # type: ignore[arg-type]
