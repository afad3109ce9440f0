"""Changes of the models while they serve: on a thread of their own, by request or by ``SIGHUP``."""

from __future__ import annotations

import asyncio
import logging
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import ParamSpec, Self, TypeVar

from service.model_store import ModelStore

_log = logging.getLogger(__name__)
P = ParamSpec("P")
T = TypeVar("T")


class Reloading:
    """Makes every change of a store, one after the other: those who wait take no thread from requests.

    A context: while it lasts, ``SIGHUP`` has the store take what has changed on disk.

    Args:
        store: whose models are changed.
    """

    def __init__(self, store: ModelStore) -> None:
        self.store = store
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="models")

    async def run(self, change: Callable[P, T], *args: P.args, **options: P.kwargs) -> T:
        """Make a change when those before it have been made; what it raises is raised here."""
        return await asyncio.wrap_future(self._thread.submit(change, *args, **options))

    async def __aenter__(self) -> Self:
        """Begin to listen."""
        if _can_have_signals():
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._reload)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening; changes that have not begun are not made."""
        if _can_have_signals():
            asyncio.get_running_loop().remove_signal_handler(signal.SIGHUP)
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _reload(self) -> None:
        _log.info("SIGHUP: the repository is read again")
        self._thread.submit(self._try_to_reload)

    def _try_to_reload(self) -> None:
        try:
            self.store.reload()
        except Exception:  # nobody waits for it
            _log.exception("the repository could not be read again")


def _can_have_signals() -> bool:
    return hasattr(signal, "SIGHUP") and threading.current_thread() is threading.main_thread()
