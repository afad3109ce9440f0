"""The changes of the models since the start, so that a worker that is restarted makes them as well."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from service.cluster.member import Change

MODEL_CHANGES = ("load", "unload", "move_aliases")  # each of one model, whose name is the first argument


class Journal:
    """What was asked for of each model since it was last loaded, in order; short, however much is asked for."""

    def __init__(self) -> None:
        self._of: dict[str, tuple[Change, ...]] = {}

    def note(self, call: str, args: tuple[Any, ...]) -> Callable[[], None]:
        """Note a change; return what takes it back, for one that could not be made."""
        if call not in MODEL_CHANGES:
            return lambda: None
        name = args[0]
        before = self._of.get(name, ())
        if call == "load":  # what lies on disk, which a new worker takes anyway
            self._of[name] = ()
        elif call == "unload":
            self._of[name] = ((call, args),)
        elif before and before[-1][0] == call:  # labels of which some were moved before
            self._of[name] = *before[:-1], (call, (name, {**before[-1][1][1], **args[1]}))
        else:
            self._of[name] = *before, (call, args)
        return lambda: self._of.update({name: before})

    def changes(self) -> list[Change]:
        """List what has to be done after everything was loaded from disk."""
        return [change for changes in self._of.values() for change in changes]
