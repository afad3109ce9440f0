"""Changes of the models in every worker process, when one of them is asked."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection
from typing import Any

from scs.errors import ScsError
from service.cluster.member import Member
from service.repository.reload import Reloading
from service.repository.repository import ModelRepository

_log = logging.getLogger(__name__)


class ReloadingTogether(Reloading):
    """The changes of a store, made in every worker before whoever asked for them is answered.

    The supervisor hands them on, to one worker after the other. It has `SIGHUP`, too, and the first worker looks at the
    files. A worker that was just started makes changes only after it has loaded everything from disk, and has made
    those of before.

    Args:
        store, poll_s: as :class:`Reloading`.
        member: this process among the workers.
    """

    _has_signals = False

    def __init__(self, store: ModelRepository, poll_s: float, member: Member) -> None:
        super().__init__(store, poll_s if member.index == 0 else 0.0)
        self._member = member
        self._has_caught_up = asyncio.Event()
        for method in ("load", "unload", "move_aliases"):
            member.handlers[method] = self._handler(method)
        member.handlers["reload"] = self._handler("reload")

    async def change(self, method: str, *args: Any) -> Any:
        """Have every worker change its store; return this one's result, or raise the first exception."""
        results = [outcome.result() for outcome in await self._member.ask_all(method, *args)]
        return results[0] if results else None

    async def load_all(self) -> None:
        """Load every model from disk, and make the changes that were made in the other workers."""
        await super().load_all()
        for method, args in self._member.changes:
            try:
                await super().change(method, *args)
            except ScsError as error:
                _log.warning("%s of %s was not repeated: %s", method, args[0], error)
        self._member.board.note_loaded(self._member.index)
        self._has_caught_up.set()

    async def _reload_changed(self, names: Collection[str]) -> None:
        try:
            await self.change("reload", names)
        except Exception:  # nobody waits for it
            _log.exception("the repository could not be read again")

    def _handler(self, method: str) -> Any:
        async def make(*args: Any) -> Any:
            await self._has_caught_up.wait()
            return await super(ReloadingTogether, self).change(method, *args)

        return make
