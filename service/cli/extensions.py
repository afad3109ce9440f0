"""The commands of ``scs``, each imported when it is called or listed: its own, and those of plugins.

A command brings modules that the others do without, and a server keeps in memory what was imported. Plugins are
commands that an installed package adds by entry points of the group ``scs.commands``.
An entry point is named like its command, and names a function whose parameters Typer reads. The laboratory brings its
commands so, and so may any other package::

    [project.entry-points."scs.commands"]
    bark = "kennel.commands:bark"
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, ClassVar

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from scs.errors import MissingPackageError
from scs.printable import printable
from service.cli.start import USAGE_ERROR, needed_by_command

if TYPE_CHECKING:
    from typer._click import Command, Context

GROUP = "scs.commands"


class ExtensibleGroup(TyperGroup):
    """The commands of ``scs`` and those of plugins, which are imported only when called or listed.

    Attributes:
        own: where each command of ``scs`` itself is, as an entry point says it: ``module:name``.
    """

    own: ClassVar[Mapping[str, str]] = {}

    def get_command(self, ctx: Context, cmd_name: str) -> Command | None:
        """Return the command of that name; where a plugin has the name too, that of ``scs`` itself.

        Raises:
            MissingPackageError: an entry point has that name, and cannot be imported.
            PackageNeededError: a package that a command of ``scs`` itself needs is not installed.
        """
        if cmd_name in self.commands:
            return self.commands[cmd_name]
        if cmd_name in self.own:
            self.commands[cmd_name] = _load_own(EntryPoint(cmd_name, self.own[cmd_name], GROUP))
        else:
            for point in entry_points(group=GROUP, name=cmd_name):
                self.commands[cmd_name] = _load(point)
        if cmd_name not in self.commands:
            for name in self.own:  # Typer suggests what is like it of those that were loaded
                self.get_command(ctx, name)
        return self.commands.get(cmd_name)

    def list_commands(self, ctx: Context) -> list[str]:
        """List the names of all commands, those of ``scs`` first; report broken plugins on stderr."""
        for name in sorted(entry_points(group=GROUP).names):
            try:
                self.get_command(ctx, name)
            except MissingPackageError as error:
                print(f"scs: {printable(error)}", file=sys.stderr)
        return [*self.own, *(name for name in self.commands if name not in self.own)]


class PackageNeededError(TyperException):
    """A package that a command needs is not installed."""

    exit_code = USAGE_ERROR


def _load_own(point: EntryPoint) -> Command:
    try:
        loaded = point.load()
    except ModuleNotFoundError as error:
        raise PackageNeededError(needed_by_command(error)) from error
    if not isinstance(loaded, typer.Typer):
        return _command(point.name, loaded)
    group = typer.main.get_command(loaded)
    group.name = point.name
    return group


def _load(point: EntryPoint) -> Command:
    try:
        return _command(point.name, point.load())
    except Exception as error:  # whatever a foreign module stumbles over
        whose = point.dist.name if point.dist else "an unknown package"
        said = " ".join(str(error).split())
        message = f"the command '{point.name}' of {whose} cannot be loaded from {point.value}: {said}"
        raise MissingPackageError(message) from error


def _command(name: str, function: Callable[..., None]) -> Command:
    alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    alone.command(name)(function)
    return typer.main.get_command(alone)
