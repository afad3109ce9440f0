"""Changes of the models while they serve (hot reload): by request, by ``SIGHUP``, or by changed files."""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar

from models.cards import catalogue
from service.repository.repository import ModelRepository

_log = logging.getLogger(__name__)

_CHANGES = 8  # that may be asked for at a time; the store itself makes them one after the other

P = ParamSpec("P")
T = TypeVar("T")


class Reloading:
    """The changes of a store, made on threads of their own, one after the other once each was tried (hot reload).

    A context: while it lasts, ``SIGHUP`` has the store take what has changed on disk, and so has a look at the files
    every so often, where that is asked for.

    Args:
        store: whose models are changed.
        poll_s: seconds between two looks at the files; 0: none. What has changed is taken once two looks have found
            it the same: nobody is writing it any more.
    """

    _has_signals = True  # whether SIGHUP comes to this process

    def __init__(self, store: ModelRepository, poll_s: float) -> None:
        self.store, self.poll_s = store, poll_s
        self._polling: asyncio.Task[None] | None = None
        self._threads = ThreadPoolExecutor(_CHANGES, thread_name_prefix="models")

    async def run(self, change: Callable[P, T], *args: P.args, **options: P.kwargs) -> T:
        """Run a change on a thread; return its result, or raise its exception."""
        return await asyncio.wrap_future(self._threads.submit(change, *args, **options))

    async def change(self, method: str, *args: Any) -> Any:
        """Change the store by one of its methods; return its result, or raise its exception."""
        return await self.run(getattr(self.store, method), *args)

    async def load_all(self) -> None:
        """Load every model of the store."""
        await self.run(self.store.load_all)

    async def __aenter__(self) -> Self:
        """Start to handle ``SIGHUP`` and to poll the files."""
        if self.poll_s:
            self._polling = asyncio.create_task(self._poll())
        if self._has_signals and _can_have_signals():
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._reload)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop, and cancel the changes that have not begun."""
        if self._polling is not None:
            self._polling.cancel()
        if self._has_signals and _can_have_signals():
            asyncio.get_running_loop().remove_signal_handler(signal.SIGHUP)
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _poll(self) -> None:
        seen = await self._look() or {}
        taken: dict[str, catalogue.Signature | None] = dict(seen)
        while True:
            await asyncio.sleep(self.poll_s)
            now = await self._look()
            if now is None:
                continue
            changed = {name for name in {*now, *taken} if now.get(name) != taken.get(name)}
            settled = {name for name in changed if now.get(name) == seen.get(name)}
            if settled:
                _log.info("changed on disk: %s", ", ".join(sorted(settled)))
                await self._reload_changed(settled)
                taken |= {name: now.get(name) for name in settled}
            seen = now

    async def _reload_changed(self, names: Collection[str]) -> None:
        await self.run(self._try_to_reload, names)

    async def _look(self) -> dict[str, catalogue.Signature] | None:
        try:
            return await self.run(catalogue.signatures, self.store.folder)
        except OSError as error:
            _log.error("the repository cannot be looked at: %s", error.strerror)
            return None

    def _reload(self) -> None:
        _log.info("SIGHUP: the repository is read again")
        self._threads.submit(self._try_to_reload)

    def _try_to_reload(self, names: Collection[str] | None = None) -> None:
        try:
            self.store.reload(names)
        except Exception:  # nobody waits for it
            _log.exception("the repository could not be read again")


def _can_have_signals() -> bool:
    return hasattr(signal, "SIGHUP") and threading.current_thread() is threading.main_thread()
