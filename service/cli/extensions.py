"""Plugins: commands that an installed package adds to ``scs``, by entry points of the group ``scs.commands``.

An entry point is named like its command, and names a function whose parameters Typer reads. The laboratory brings its
commands so, and so may any other package::

    [project.entry-points."scs.commands"]
    bark = "kennel.commands:bark"
"""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING

import typer
from typer.core import TyperGroup

from scs.errors import MissingPackageError
from scs.printable import printable

if TYPE_CHECKING:
    from typer._click import Command, Context

GROUP = "scs.commands"


class ExtensibleGroup(TyperGroup):
    """The commands of ``scs`` and those of plugins, which are imported only when called or listed."""

    def get_command(self, ctx: Context, cmd_name: str) -> Command | None:
        """Return the command of that name; where a plugin has the name too, that of ``scs`` itself.

        Raises:
            MissingPackageError: an entry point has that name, and cannot be imported.
        """
        if cmd_name not in self.commands:
            for point in entry_points(group=GROUP, name=cmd_name):
                self.commands[cmd_name] = _load(point)
        return self.commands.get(cmd_name)

    def list_commands(self, ctx: Context) -> list[str]:
        """List the names of all commands, those of ``scs`` first; report broken plugins on stderr."""
        for name in sorted(entry_points(group=GROUP).names):
            try:
                self.get_command(ctx, name)
            except MissingPackageError as error:
                print(f"scs: {printable(error)}", file=sys.stderr)
        return list(self.commands)


def _load(point: EntryPoint) -> Command:
    alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    try:
        alone.command(point.name)(point.load())
        return typer.main.get_command(alone)
    except Exception as error:  # whatever a foreign module stumbles over
        whose = point.dist.name if point.dist else "an unknown package"
        said = " ".join(str(error).split())
        message = f"the command '{point.name}' of {whose} cannot be loaded from {point.value}: {said}"
        raise MissingPackageError(message) from error
