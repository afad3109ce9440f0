"""The store of a folder's models, where they are loaded, reloaded and unloaded, and their aliases moved."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from models.cards import catalogue
from models.cards.card import ModelCard
from models.cards.catalogue import Entry
from models.runtime.load import Device
from models.runtime.memory import trim_heap
from scs.errors import ForbiddenError, MissingPackageError, ModelError, ScsError, UnknownNameError
from scs.nearest import there_are
from service.repository.loader import TryOut, load_entry, try_entry
from service.repository.policy import VersionPolicy
from service.repository.table import ModelTable, Versions, VersionState
from service.repository.trial import Remembering

_log = logging.getLogger(__name__)

UNLOADED = "it was unloaded"
_TRIALS = 4  # models that are tried out at a time; one whose trial does not end leaves room for others


class ModelRepository(ModelTable):
    """Every version of every model of a repository.

    Changes are made one at a time, on the thread that asks for them; who asks for a model never waits for one.

    Args:
        folder: of models.
        device: where they run.
        default_model: the one that answers when none is named.
        allow_torchscript: whether models are loaded whose files are programs.
        policy: which versions are loaded; all unless given.
        try_out: see :func:`service.repository.loader.load_entry`.
    """

    def __init__(
        self,
        folder: Path,
        device: Device,
        default_model: str,
        allow_torchscript: bool = False,
        policy: VersionPolicy = VersionPolicy(),  # noqa: B008 (it cannot be changed)
        try_out: TryOut | None = None,
    ) -> None:
        super().__init__(default_model)
        self.folder, self.device, self.allow_torchscript, self.policy = folder, device, allow_torchscript, policy
        self._try_out = try_out
        self._changing = threading.Lock()

    def index(self) -> list[VersionState]:
        """List every version that is known here, and those on disk that were not loaded yet."""
        known = {(state.name, state.version): state for state in self.states()}
        try:
            for entry in catalogue.entries(self.folder):
                absent = VersionState(entry.name, entry.version, reason="it was not loaded yet")
                known.setdefault((entry.name, entry.version), absent)
        except OSError as error:
            _log.error("the repository cannot be read: %s", error.strerror)
        return [state for _, state in sorted(known.items())]

    def load_all(self) -> None:
        """Load every model of the repository; keep one that fails as unavailable, with its reason."""
        for name in catalogue.misnamed(self.folder):
            _log.warning("folder %r is passed over: a model's name is of a-z, 0-9, '.', '_' and '-'", name)
        names = catalogue.names(self.folder)
        with self._changing:
            for name in names:
                self._announce(name)
        for name, tried in self._tried(names):
            with self._changing:
                self._load(name, tried, required=True)
        trim_heap()

    def load(self, name: str) -> None:
        """Load a model, or what has changed of it, and drop the versions that have gone.

        A version that fails leaves the one that was there answering, with the reason in its state; one whose card and
        file are those that are loaded stays as it is.

        Raises:
            UnknownNameError: there is no such model on disk.
            ModelError: not all of it could be loaded; the message says why.
        """
        ((_, tried),) = self._tried([name])
        with self._changing:
            if not self._load(name, tried, required=False):
                raise self._unknown(name)
            states = self.versions_of(name).states.values()
        trim_heap()
        failed = [f"version {state.version}: {state.reason}" for state in states if state.reason and state.wanted]
        if failed:
            raise ModelError(f"{name} was not loaded whole: {'; '.join(failed)}")

    def unload(self, name: str) -> None:
        """Unload every version of a model; requests that have begun are answered.

        Raises:
            UnknownNameError: there is no such model.
        """
        with self._changing:
            self.put(name, _without_models(self.versions_of(name)))
        trim_heap()
        _log.info("%s was unloaded", name)

    def reload(self, names: Collection[str] | None = None) -> None:
        """Reload what has changed on disk: load new and changed versions, drop those that have gone.

        What was unloaded stays so. What fails is logged, and kept with its reason.

        Args:
            names: models to look at; all unless given.
        """
        if not self.folder.is_dir():
            _log.error("nothing is reloaded: the repository cannot be read")
            return
        for name, tried in self._tried(
            sorted({*self.names(), *catalogue.names(self.folder)} if names is None else names)
        ):
            with self._changing:
                self._reload(name, tried)
        trim_heap()

    def move_aliases(self, name: str, changes: Mapping[str, int | None]) -> dict[str, int]:
        """Move aliases to other versions, all at once, until ``labels.json`` is changed or the model loaded anew.

        Args:
            name: of a model.
            changes: the version that each shall name, or None to take it away.

        Returns:
            All aliases of the model, and the version of each.

        Raises:
            UnknownNameError: there is no such model, version, or alias to take away.
            OptionError: an alias that cannot be one.
            ModelError: a version that cannot be used.
        """
        with self._changing:
            versions = self.versions_of(name)
            aliases = versions.aliases.moved(name, changes, versions.states)
            for number in changes.values():
                if number is not None:
                    self.get(name, number)
            self.put(name, replace(versions, aliases=aliases))
        _log.info("labels of %s: %s", name, aliases.current)
        return dict(aliases.current)

    def _reload(self, name: str, tried: TryOut | None) -> None:
        there = name in catalogue.names(self.folder)
        known = self.find(name)
        if there and known is not None and known.unloaded:
            return
        if not there or not self._load(name, tried, required=False):
            self.put(name, None)
            _log.info("%s has gone", name)

    def _tried(self, names: Collection[str]) -> Iterator[tuple[str, TryOut | None]]:
        """Try models out, several at a time, and yield each with what came of it: one that hangs holds up no other."""
        if self._try_out is None:
            yield from ((name, None) for name in names)
            return
        with ThreadPoolExecutor(_TRIALS, thread_name_prefix="trials") as threads:
            trials = {threads.submit(self._try, name, Remembering(self._try_out)): name for name in names}
            for trial in as_completed(trials):
                yield trials[trial], trial.result()

    def _try(self, name: str, remembering: Remembering) -> Remembering:
        known = self.find(name)
        if known is not None and known.unloaded:
            return remembering
        with suppress(OSError):
            for entry in catalogue.versions(self.folder, name):
                with suppress(ScsError, OSError):  # raised again, and said, when it is loaded
                    try_entry(entry, self.allow_torchscript, remembering)
        return remembering

    def _load(self, name: str, tried: TryOut | None, required: bool) -> bool:
        """Load what has changed of one model; return False where there is nothing on disk."""
        try:
            entries = {entry.version: entry for entry in catalogue.versions(self.folder, name)}
        except OSError as error:
            self._note_unreadable(name, error)
            return self.find(name) is not None
        for sentence in catalogue.misplaced(self.folder, name):
            _log.warning("%s", sentence)
        if not entries:
            return False
        chosen = self.policy.choose(entries)
        known, begun, there = self._begin(name, entries, chosen)
        try:
            aliases = known.aliases.read_again(self.folder, name, entries, afresh=known.unloaded)
        except (ScsError, OSError) as error:
            # Without its aliases nobody knows which version should answer, so nothing of the new is taken.
            states = {number: _failed(state, _why(error), required) for number, state in begun.items()}
            self.put(name, replace(known, states=_by_number(there | states), unloaded=False))
            _log.warning("%s is not loaded: %s", name, _why(error))
            return True
        states = {
            number: self._load_version(entries[number], begun[number], tried, required) for number in sorted(chosen)
        }
        states = _by_number(states | self._left_out(name, entries.keys() - chosen, states, known))
        broken = [alias for alias, number in aliases.current.items() if not states[number].is_usable_or_unwanted]
        if broken and any(state.model for state in known.states.values()):
            _log.warning("labels of %s stay as they were: %s would name a version that cannot be used", name, broken[0])
            aliases = known.aliases.limited_to(states)  # the file is read again once that version has been mended
        self._warn_of_aliases(name, states, aliases.current)
        self.put(name, Versions(states, aliases))
        return True

    def _note_unreadable(self, name: str, error: OSError) -> None:
        """Say that a model's folder cannot be read; what was loaded of it goes on as it was."""
        _log.error("the folder of %s cannot be read: %s", name, error.strerror)
        known = self.find(name)
        if known is not None:
            reason = f"its folder cannot be read: {error.strerror}"
            states = {number: _failed(state, reason, required=False) for number, state in known.states.items()}
            self.put(name, replace(known, states=states))

    def _unknown(self, name: str) -> ScsError:
        """Return why there is nothing to load of a model."""
        try:
            catalogue.versions(self.folder, name)
            known = [*dict.fromkeys(entry.name for entry in catalogue.entries(self.folder))]
        except OSError as error:
            return ModelError(f"{name[:64]} was not loaded: its folder cannot be read: {error.strerror}")
        is_there = name in catalogue.names(self.folder)
        misplaced = "".join(f"; {sentence}" for sentence in catalogue.misplaced(self.folder, name)) if is_there else ""
        return UnknownNameError(f"no model {name[:64]!r} in the repository; {there_are(name, known)}{misplaced}")

    def _announce(self, name: str) -> None:
        """Say that a model is being loaded, before its turn has come."""
        with suppress(OSError):  # said when its turn comes
            if entries := {entry.version: entry for entry in catalogue.versions(self.folder, name)}:
                self._begin(name, entries, self.policy.choose(entries))

    def _begin(
        self, name: str, entries: Mapping[int, Entry], chosen: Collection[int]
    ) -> tuple[Versions, dict[int, VersionState], dict[int, VersionState]]:
        """Say that versions of a model are being loaded.

        Returns:
            What was known of the model, the states of the versions that are being loaded, and those of all others.
        """
        known = self.find(name) or Versions({})
        begun = {number: _begin(known.states.get(number, VersionState(name, number))) for number in chosen}
        there = self._absent(name, entries) | dict(known.states)
        self.put(name, replace(known, states=_by_number(there | begun)))
        return known, begun, there

    def _left_out(
        self, name: str, numbers: Collection[int], chosen: Mapping[int, VersionState], known: Versions
    ) -> dict[int, VersionState]:
        """Return the states of versions that the policy leaves out; they answer until one that it chooses can."""
        if not any(state.model for state in chosen.values()):
            kept = {number: known.states[number] for number in numbers if number in known.states}
            if any(state.model for state in kept.values()):
                numbers = [number for number in numbers if number not in kept]
                return kept | self._absent(name, numbers)
        return self._absent(name, numbers)

    def _absent(self, name: str, numbers: Collection[int]) -> dict[int, VersionState]:
        reason = self.policy.reason()
        return {number: VersionState(name, number, reason=reason, wanted=False) for number in numbers}

    def _warn_of_aliases(self, name: str, states: Mapping[int, VersionState], aliases: Mapping[str, int]) -> None:
        for alias, number in aliases.items():
            if not states[number].wanted:
                reason = self.policy.reason()
                _log.warning("label %s of %s names version %d, which cannot be used: %s", alias, name, number, reason)

    def _load_version(self, entry: Entry, known: VersionState, tried: TryOut | None, required: bool) -> VersionState:
        try:
            loaded = load_entry(entry, self.device, self.allow_torchscript, known.model, tried)
        except (ScsError, OSError) as error:
            optional = isinstance(error, MissingPackageError | ForbiddenError)
            failed = _failed(known, _why(error), required and not optional)
            what = "goes on as it was" if failed.model else "is not available"
            _log.warning("%s %d %s: %s", entry.name, entry.version, what, failed.reason)
            return failed if failed.model else replace(failed, card=_or_none(entry.card))
        if loaded is not known.model:
            _log.info("%s %d is ready on %s", entry.name, entry.version, loaded.runtime.device)
        return VersionState(entry.name, entry.version, loaded.card, loaded)


def _begin(state: VersionState) -> VersionState:
    return state if state.model else replace(state, loading=True, reason=None, wanted=True)


def _by_number(states: Mapping[int, VersionState]) -> dict[int, VersionState]:
    return dict(sorted(states.items()))


def _without_models(versions: Versions) -> Versions:
    states = {
        number: replace(state, model=None, reason=UNLOADED, required=False, wanted=False)
        for number, state in versions.states.items()
    }
    return replace(versions, states=states, unloaded=True)


def _failed(state: VersionState, reason: str, required: bool) -> VersionState:
    """Return the state of a version that failed to load; a model that was loaded before keeps answering."""
    needed = state.model is None and (required or state.required)
    return replace(state, reason=reason, required=needed, loading=False)


def _why(error: ScsError | OSError) -> str:
    return str(error) if isinstance(error, ScsError) else f"its files cannot be read: {error.strerror}"


def _or_none(read: Callable[[], ModelCard]) -> ModelCard | None:
    try:
        return read()
    except (ScsError, OSError):
        return None
