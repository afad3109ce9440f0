"""Progress bars on stderr, gone when the work is done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

ImageBar = Callable[[str, int], Callable[[int], None]]  # what, of how many images; then how many are done


@contextmanager
def image_bars() -> Iterator[ImageBar]:
    """Show a progress bar for each pass over images, on a terminal."""
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:

        def add(what: str, images: int) -> Callable[[int], None]:
            task = bars.add_task(what, total=images)
            return lambda done: bars.update(task, completed=done)

        yield add
