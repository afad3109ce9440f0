"""The models of a repository: which versions are loaded, which of them answers, and why others do not."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from models.cards import catalogue
from models.cards.aliases import DEFAULT_LABEL, check_labels, read_labels
from models.cards.card import ModelCard
from models.cards.catalogue import Entry
from models.runtime.load import Device, RunnableModel, load_model
from models.runtime.memory import trim_heap
from scs.errors import ForbiddenError, MissingPackageError, ModelError, ScsError, UnknownNameError
from service.api.models import State

_log = logging.getLogger(__name__)

UNLOADED = "it was unloaded"


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A model that has answered a warm-up. It is replaced and never changed: who began with it may end with it."""

    card: ModelCard
    runtime: RunnableModel


@dataclass(frozen=True)
class VersionState:
    """What is known of one version of a model.

    Args:
        name: of the model.
        version: its number.
        card: the one that was last read.
        model: what answers, if anything does.
        reason: why nothing does; or, where something does, why what is on disk by now was not taken.
        required: whether the service is not ready without it: it should have been there from the start.
        loading: whether it is being loaded for the first time.
    """

    name: str
    version: int
    card: ModelCard | None = None
    model: LoadedModel | None = None
    reason: str | None = None
    required: bool = False
    loading: bool = False

    @property
    def state(self) -> State:
        """As the repository extension calls it."""
        if self.model is not None:
            return "READY"
        return "LOADING" if self.loading else "UNAVAILABLE"


@dataclass(frozen=True)
class _Versions:
    """All of one name. ``written`` are the labels as they were last read, ``labels`` as they have been moved since."""

    states: Mapping[int, VersionState]
    labels: Mapping[str, int] = field(default_factory=dict)
    written: Mapping[str, int] = field(default_factory=dict)
    unloaded: bool = False

    def default(self) -> int:
        """The version that answers where none is named: the one labelled so, or the newest that can."""
        usable = [number for number, state in self.states.items() if state.model is not None]
        return self.labels.get(DEFAULT_LABEL, max(usable or self.states))

    def ways(self) -> Iterator[tuple[int | str | None, int]]:
        """Each way to ask for a version, and the version."""
        yield None, self.default()
        for number in self.states:
            yield number, number
            yield str(number), number
        yield from self.labels.items()


@dataclass(frozen=True)
class _View:
    """All there is at one moment; replaced whole, so that nobody sees half a change."""

    versions: Mapping[str, _Versions]
    usable: Mapping[tuple[str | None, int | str | None], LoadedModel]


class ModelStore:
    """Every version of every model of a repository.

    Changes are made one at a time, on the thread that asks for them; who asks for a model never waits for one.

    Args:
        repository: folder of models.
        device: where they run.
        default_model: the one that answers when none is named.
        allow_torchscript: whether models are loaded whose files are programs.
    """

    def __init__(self, repository: Path, device: Device, default_model: str, allow_torchscript: bool = False) -> None:
        self.repository, self.device, self.default_model = repository, device, default_model
        self.allow_torchscript = allow_torchscript
        self._view = _View({}, {})
        self._changing = threading.Lock()

    def get(self, name: str | None = None, version: int | str | None = None) -> LoadedModel:
        """A model that can be used.

        Args:
            name: the default model unless given.
            version: a number or a label; unless given, the version labelled ``default``, or the newest that can be
                used.

        Raises:
            UnknownNameError: there is no such model or version.
            ModelError: it is there and cannot be used; the message says why.
        """
        model = self._view.usable.get((name or None, version))
        if model is None:
            state = self.state(name, version)
            if state.model is None:
                why = "it is being loaded" if state.loading else state.reason
                raise ModelError(f"{state.name} {state.version} is not available: {why}")
            model = state.model  # it has come in between
        return model

    def ready(self) -> bool:
        """Whether the default model and every model that should load here has answered its warm-up."""
        missing = any(state.required and state.model is None for state in self.states())
        return not missing and (self.default_model, None) in self._view.usable

    def is_ready(self, name: str, version: int | str | None = None) -> bool:
        """Whether a model can be used.

        Raises:
            UnknownNameError: there is no such model or version.
        """
        return self.state(name, version).model is not None

    def states(self) -> list[VersionState]:
        """Every version of every model, by name and version."""
        return [state for _, versions in sorted(self._view.versions.items()) for state in versions.states.values()]

    def state(self, name: str | None = None, version: int | str | None = None) -> VersionState:
        """One version of a model, chosen as :meth:`get` does.

        Raises:
            UnknownNameError: there is no such model or version.
        """
        name = name or self.default_model
        versions = self._known(name)
        chosen = dict(versions.ways())
        if version not in chosen:
            known = ", ".join(dict.fromkeys(str(key) for key in chosen if key is not None))
            raise UnknownNameError(f"no version {str(version)[:64]} of {name}; there are: {known}")
        return versions.states[chosen[version]]

    def labels(self, name: str) -> dict[str, int]:
        """The labels of a model and their versions.

        Raises:
            UnknownNameError: there is no such model.
        """
        return dict(self._known(name).labels)

    def default_version(self, name: str) -> int:
        """The version that answers where none is named.

        Raises:
            UnknownNameError: there is no such model.
        """
        return self._known(name).default()

    def index(self) -> list[VersionState]:
        """Every version that is known here, and those on disk that nobody has loaded yet."""
        known = {(state.name, state.version): state for state in self.states()}
        for entry in catalogue.entries(self.repository):
            absent = VersionState(entry.name, entry.version, reason="it was not loaded yet")
            known.setdefault((entry.name, entry.version), absent)
        return [state for _, state in sorted(known.items())]

    def load_all(self) -> None:
        """Load what the repository holds; a model that fails is kept as unavailable, with its reason."""
        with self._changing:
            for name in catalogue.misnamed(self.repository):
                _log.warning("folder %r is passed over: a model's name is of a-z, 0-9, '.', '_' and '-'", name)
            for name in catalogue.names(self.repository):
                self._load(name, required=True)

    def load(self, name: str) -> None:
        """Load a model, or what has changed of it, and drop the versions that have gone.

        A version that fails leaves the one that was there answering, with the reason in its state; one whose card and
        file are those that are loaded stays as it is.

        Raises:
            UnknownNameError: there is no such model on disk.
            ModelError: not all of it could be loaded; the message says why.
        """
        with self._changing:
            if not self._load(name, required=False):
                known = ", ".join(dict.fromkeys(entry.name for entry in catalogue.entries(self.repository))) or "none"
                raise UnknownNameError(f"no model {name[:64]!r} in the repository; there are: {known}")
            states = self._view.versions[name].states.values()
        trim_heap()
        failed = [f"version {state.version}: {state.reason}" for state in states if state.reason]
        if failed:
            raise ModelError(f"{name} was not loaded whole: {'; '.join(failed)}")

    def unload(self, name: str) -> None:
        """Let go of every version of a model; requests that have begun end well.

        Raises:
            UnknownNameError: there is no such model.
        """
        with self._changing:
            self._put(name, _without_models(self._known(name)))
        trim_heap()
        _log.info("%s was unloaded", name)

    def reload(self, names: Collection[str] | None = None) -> None:
        """Take what has changed on disk: new and changed versions are loaded, those that have gone are dropped.

        What was unloaded stays so. What fails is logged, and kept with its reason.

        Args:
            names: models to look at; all unless given.
        """
        with self._changing:
            if not self.repository.is_dir():
                _log.error("nothing is reloaded: the repository cannot be read")
                return
            there = catalogue.names(self.repository)
            for name in sorted({*self._view.versions, *there} if names is None else names):
                known = self._view.versions.get(name)
                if name in there and known is not None and known.unloaded:
                    continue
                if name not in there or not self._load(name, required=False):
                    self._put(name, None)
                    _log.info("%s has gone", name)
        trim_heap()

    def move_labels(self, name: str, labels: Mapping[str, int | None]) -> dict[str, int]:
        """Let labels name other versions, all at once, until ``labels.json`` is changed or the model loaded anew.

        Args:
            name: of a model.
            labels: the version that each shall name, or None to take it away.

        Returns:
            All labels of the model.

        Raises:
            UnknownNameError: there is no such model, version, or label to take away.
            OptionError: a label that cannot be one.
            ModelError: a version that cannot be used.
        """
        with self._changing:
            versions = self._known(name)
            for label in labels:
                if labels[label] is None and label not in versions.labels:
                    known = ", ".join(versions.labels) or "none"
                    raise UnknownNameError(f"{name} has no label {label[:64]!r}; there are: {known}")
            wanted = {label: version for label, version in labels.items() if version is not None}
            check_labels(wanted, versions.states)
            for version in wanted.values():
                self.get(name, version)
            moved = {label: version for label, version in versions.labels.items() if label not in labels} | wanted
            self._put(name, replace(versions, labels=moved))
        _log.info("labels of %s: %s", name, moved)
        return moved

    def _known(self, name: str) -> _Versions:
        versions = self._view.versions
        if name not in versions:
            raise UnknownNameError(f"no model {name[:64]!r}; there are: {', '.join(sorted(versions)) or 'none'}")
        return versions[name]

    def _put(self, name: str, changed: _Versions | None) -> None:
        """Publish what has become of one name; None: there is no such model any more."""
        versions = {**self._view.versions, name: changed}
        left = {known: each for known, each in versions.items() if each is not None}
        usable: dict[tuple[str | None, int | str | None], LoadedModel] = {}
        for known, each in left.items():
            for key, number in each.ways():
                model = each.states[number].model
                if model is not None:
                    usable[known, key] = model
                    if known == self.default_model:
                        usable[None, key] = model
        self._view = _View(left, usable)

    def _load(self, name: str, required: bool) -> bool:
        """Load what has changed of one name; False where there is nothing on disk."""
        try:
            entries = {entry.version: entry for entry in catalogue.versions(self.repository, name)}
        except OSError as error:
            _log.error("the folder of %s cannot be read: %s", name, error.strerror)
            return name in self._view.versions
        if not entries:
            return False
        known = self._view.versions.get(name, _Versions({}))
        begun = {number: _begin(known.states.get(number, VersionState(name, number))) for number in entries}
        self._put(name, replace(known, states={**known.states, **begun}))
        try:
            written: Mapping[str, int] = read_labels(self.repository, self.repository / name, entries)
            labels = written if known.unloaded or written != known.written else known.labels
            check_labels(labels, entries)
        except (ScsError, OSError) as error:
            # Without its labels nobody knows which version should answer, so nothing of the new is taken.
            states = {number: _failed(state, _why(error), required) for number, state in begun.items()}
            self._put(name, replace(known, states={**known.states, **states}, unloaded=False))
            _log.warning("%s is not loaded: %s", name, _why(error))
            return True
        states = {number: self._load_version(entry, begun[number], required) for number, entry in entries.items()}
        broken = [label for label, number in labels.items() if states[number].model is None]
        if broken and any(state.model for state in known.states.values()):
            _log.warning("labels of %s stay as they were: %s would name a version that cannot be used", name, broken[0])
            labels = {label: number for label, number in known.labels.items() if number in states}
            written = known.written  # so that the file is read again once that version has been mended
        self._put(name, _Versions(states, labels, written))
        return True

    def _load_version(self, entry: Entry, known: VersionState, required: bool) -> VersionState:
        try:
            loaded = load_entry(entry, self.device, self.allow_torchscript, known.model)
        except (ScsError, OSError) as error:
            optional = isinstance(error, MissingPackageError | ForbiddenError)
            failed = _failed(known, _why(error), required and not optional)
            what = "goes on as it was" if failed.model else "is not available"
            _log.warning("%s %d %s: %s", entry.name, entry.version, what, failed.reason)
            return failed if failed.model else replace(failed, card=_or_none(entry.card))
        if loaded is not known.model:
            _log.info("%s %d is ready on %s", entry.name, entry.version, loaded.runtime.device)
        return VersionState(entry.name, entry.version, loaded.card, loaded)


def load_entry(entry: Entry, device: Device, allow_torchscript: bool, loaded: LoadedModel | None = None) -> LoadedModel:
    """Load one model, its file's digest checked, and let it answer a warm-up.

    Args:
        entry: the model.
        device: where it shall run.
        allow_torchscript: whether it may be a program.
        loaded: what is loaded of it; given back where card and file are still the same.

    Raises:
        ModelError, MissingPackageError, DeviceError: why it cannot be used.
        ForbiddenError: it is TorchScript, and that is not allowed.
        OSError: its files cannot be read.
    """
    card = entry.card()
    if card.format == "torchscript" and not allow_torchscript:
        raise ForbiddenError(
            f"{card.name} {card.version} is TorchScript, a program; it runs where SCS_ALLOW_TORCHSCRIPT=true says so"
        )
    content = entry.verified_bytes(card)
    if loaded is not None and loaded.card == card:
        return loaded
    runtime = load_model(content, card, device)
    blank = np.zeros((1, card.input.height, card.input.width, card.input.channels), np.uint8)
    try:
        runtime.layers(blank, [layer.name for layer in card.layers])
        logits = runtime.logits(blank)
    except Exception as error:  # each runtime raises classes of its own
        raise ModelError(f"{card.name} {card.version} did not answer a blank image: {str(error)[:200]}") from error
    if logits.shape != (1, len(card.labels)):
        raise ModelError(f"{card.name} {card.version} needs {len(card.labels)} logits an image; {logits.shape} came")
    return LoadedModel(card, runtime)


def _begin(state: VersionState) -> VersionState:
    return state if state.model else replace(state, loading=True, reason=None)


def _without_models(versions: _Versions) -> _Versions:
    states = {
        number: replace(state, model=None, reason=UNLOADED, required=False) for number, state in versions.states.items()
    }
    return replace(versions, states=states, unloaded=True)


def _failed(state: VersionState, reason: str, required: bool) -> VersionState:
    """A version that could not be loaded: what answered goes on answering."""
    needed = state.model is None and (required or state.required)
    return replace(state, reason=reason, required=needed, loading=False)


def _why(error: ScsError | OSError) -> str:
    return str(error) if isinstance(error, ScsError) else f"its files cannot be read: {error.strerror}"


def _or_none(read: Callable[[], ModelCard]) -> ModelCard | None:
    try:
        return read()
    except (ScsError, OSError):
        return None
