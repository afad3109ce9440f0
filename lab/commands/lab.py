"""``scs lab``."""

from __future__ import annotations

import json as json_format
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from lab.commands import options
from lab.tables import Table as Figured
from lab.topics.catalogue import TOPICS, Figures, Topic, topics_named
from scs.printable import printable

FIGURES = "figures.json"


def lab(
    topic: Annotated[str | None, typer.Argument(help="What to run, or all; without it, the topics are listed.")] = None,
    out: Annotated[
        Path, typer.Option(help="Where pictures and figures go, in a folder for each topic.", file_okay=False)
    ] = Path("lab-out"),
    quick: Annotated[bool, typer.Option("--quick", help="The same in seconds, with fewer cases.")] = False,
    json: options.Json = False,
) -> None:
    """Run the experiments of docs/lab: why convolution, and what sharpening changes.

    Example: scs lab signal --out lab-out
    """
    if topic is None:
        _list(json)
        return
    experiments = [(each, each.load()) for each in topics_named(topic)]  # what is missing is missed before the work
    figures: dict[str, Figures] = {}
    for each, experiment in experiments:
        folder = out / each.name
        folder.mkdir(parents=True, exist_ok=True)
        with options.progress(each.name) as step:
            found = {"quick": quick, **experiment.run(quick, step)}
        (folder / FIGURES).write_text(json_format.dumps(found, indent=1) + "\n")
        written = [*experiment.draw(found, folder), folder / FIGURES]
        if not json:
            _print(each, experiment.tables(found), written)
        figures[each.name] = found
    if json:
        print(json_format.dumps(figures, indent=1))


def _list(json: bool) -> None:
    if json:
        print(json_format.dumps({topic.name: topic.title for topic in TOPICS.values()}, indent=1))
        return
    table = Table("topic", "what it shows", box=None, padding=(0, 2, 0, 0))
    for topic in TOPICS.values():
        table.add_row(topic.name, topic.title)
    Console().print(table)


def _print(topic: Topic, figures: dict[str, Figured], written: list[Path]) -> None:
    print(f"\n{topic.title}")
    for each in figures.values():
        first, *others = each.heads
        table = Table(first, box=None, padding=(0, 2, 0, 0))
        for head in others:
            table.add_column(head, justify="right")
        for row in each.rows:
            table.add_row(*row)
        print()
        Console().print(table)
    print(f"\nwritten: {', '.join(map(printable, written))}")
