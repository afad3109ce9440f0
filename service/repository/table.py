"""The table of models: which versions are loaded, which of them answers, and why others do not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from models.cards.aliases import DEFAULT_ALIAS
from models.cards.card import ModelCard
from scs.errors import ModelError, UnknownNameError
from scs.nearest import there_are
from service.api.models import State
from service.repository.aliases import Aliases
from service.repository.loader import LoadedModel


@dataclass(frozen=True)
class VersionState:
    """The state of one version of a model.

    Args:
        name: of the model.
        version: its number.
        card: the one that was last read.
        model: what answers, if anything does.
        reason: why nothing does; or, where something does, why what is on disk by now was not taken.
        required: whether the service is not ready without it: it should have been there from the start.
        loading: whether it is being loaded for the first time.
        wanted: whether it should be usable: not if it was unloaded, or is left out by the version policy.
    """

    name: str
    version: int
    card: ModelCard | None = None
    model: LoadedModel | None = None
    reason: str | None = None
    required: bool = False
    loading: bool = False
    wanted: bool = True

    @property
    def state(self) -> State:
        """The state, as the repository extension calls it."""
        if self.model is not None:
            return "READY"
        return "LOADING" if self.loading else "UNAVAILABLE"

    @property
    def is_usable_or_unwanted(self) -> bool:
        """Whether the version can be used, or nobody expects it to be."""
        return self.model is not None or not self.wanted


@dataclass(frozen=True)
class Versions:
    """Every version of one model, and the aliases that name them."""

    states: Mapping[int, VersionState]
    aliases: Aliases = Aliases()
    unloaded: bool = False

    def default(self) -> int:
        """Return the version that answers where none is named: the alias ``default``, or the newest usable one."""
        usable = self.usable()
        return self.aliases.current.get(DEFAULT_ALIAS, max(usable or self.states))

    def usable(self) -> list[int]:
        """List the versions that can be used."""
        return [number for number, state in self.states.items() if state.model is not None]

    def ways(self) -> Iterator[tuple[int | str | None, int]]:
        """Yield each key that asks for a version, and that version."""
        yield None, self.default()
        for number in self.states:
            yield number, number
            yield str(number), number
        yield from self.aliases.current.items()


@dataclass(frozen=True)
class _View:
    """A snapshot of the table; replaced as a whole, so that no reader sees half a change."""

    versions: Mapping[str, Versions]
    usable: Mapping[tuple[str | None, int | str | None], LoadedModel]


class ModelTable:
    """A table of models by name and version, read without a lock.

    Args:
        default_model: the one that answers when none is named.

    Attributes:
        on_gone: called with the name and number of a version that can no longer be used, and whether it was the
            model's last.
    """

    on_gone: Callable[[str, int, bool], None] | None = None

    def __init__(self, default_model: str) -> None:
        self.default_model = default_model
        self._view = _View({}, {})

    def get(self, name: str | None = None, version: int | str | None = None) -> LoadedModel:
        """Return a model that can be used.

        Args:
            name: the default model unless given.
            version: a number or an alias; unless given, the version of the alias ``default``, or the newest that can be
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
            model = state.model  # it was loaded in the meantime
        return model

    def ready(self) -> bool:
        """Return whether the default model and every required model has answered its warm-up."""
        missing = any(state.required and state.model is None for state in self.states())
        return not missing and (self.default_model, None) in self._view.usable

    def is_ready(self, name: str, version: int | str | None = None) -> bool:
        """Return whether a model can be used.

        Raises:
            UnknownNameError: there is no such model or version.
        """
        return self.state(name, version).model is not None

    def states(self) -> list[VersionState]:
        """List every version of every model, by name and version."""
        return [state for _, versions in sorted(self._view.versions.items()) for state in versions.states.values()]

    def state(self, name: str | None = None, version: int | str | None = None) -> VersionState:
        """Return one version of a model, chosen as :meth:`get` does.

        Raises:
            UnknownNameError: there is no such model or version.
        """
        name = name or self.default_model
        versions = self.versions_of(name)
        chosen = dict(versions.ways())
        if version not in chosen:
            known = [*dict.fromkeys(str(key) for key in chosen if key is not None)]
            raise UnknownNameError(f"no version {str(version)[:64]} of {name}; {there_are(str(version), known)}")
        return versions.states[chosen[version]]

    def aliases(self, name: str) -> dict[str, int]:
        """Return the aliases of a model's versions, and the version of each.

        Raises:
            UnknownNameError: there is no such model.
        """
        return dict(self.versions_of(name).aliases.current)

    def default_version(self, name: str) -> int:
        """Return the version that answers where none is named.

        Raises:
            UnknownNameError: there is no such model.
        """
        return self.versions_of(name).default()

    def usable_versions(self) -> list[tuple[str, str]]:
        """List the versions that can be used, as name and number."""
        return [(state.name, str(state.version)) for state in self.states() if state.model is not None]

    def names(self) -> list[str]:
        """List the names of all known models, loaded or not."""
        return sorted(self._view.versions)

    def find(self, name: str) -> Versions | None:
        """Return all that is known of one model, or None where nothing is."""
        return self._view.versions.get(name)

    def versions_of(self, name: str) -> Versions:
        """Return all that is known of one model.

        Raises:
            UnknownNameError: there is no such model.
        """
        versions = self.find(name)
        if versions is None:
            raise UnknownNameError(f"no model {name[:64]!r}; {there_are(name, self.names())}")
        return versions

    def put(self, name: str, changed: Versions | None) -> None:
        """Publish the changed versions of a model, all at once; None removes the model.

        One thread at a time may call this; those who look a model up never wait for it.
        """
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
        before, self._view = self._view.versions.get(name), _View(left, usable)
        if self.on_gone is not None and before is not None:
            now = changed.usable() if changed is not None else []
            for number in before.usable():
                if number not in now:
                    self.on_gone(name, number, not now)
