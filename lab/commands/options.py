"""Options and a progress bar that several commands of the laboratory share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from scs.errors import OptionError

MOST_SEED = 2**32 - 1  # what every generator of random numbers takes

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Version = Annotated[
    str | None, typer.Option(help="Version of the model, a number or a label; the default one unless given.")
]
Repository = Annotated[
    Path | None,
    typer.Option(
        envvar="SCS_MODEL_REPOSITORY",
        show_envvar=False,
        help="Folder of models; SCS_MODEL_REPOSITORY or the bundled one unless given.",
    ),
]


def check_png(out: Path) -> None:
    """Refuse a file name that does not end in ``.png``.

    Raises:
        OptionError: it ends otherwise.
    """
    if out.suffix.lower() != ".png":
        raise OptionError(f"--out is a .png file; '{out.name}' came")


@contextmanager
def progress(doing: str) -> Iterator[Callable[[int, int], None]]:
    """Show a progress bar on stderr; call what it yields with steps done and steps in all.

    The bar begins with the first step, so that what is refused before it is one line.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=Console(stderr=True), transient=True)
    task = bar.add_task(doing, total=None)

    def step(done: int, total: int) -> None:
        bar.start()
        bar.update(task, completed=done, total=total)

    try:
        yield step
    finally:
        if bar.live.is_started:
            bar.stop()
