"""The topics of the laboratory, in the order in which they are read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, cast

from lab.tables import Table
from scs.errors import MissingPackageError, UnknownNameError

Figures = dict[str, Any]  # numbers, words, lists and dicts of them: what JSON holds
Step = Callable[[int, int], None]  # steps done, steps in all


class Experiment(Protocol):
    """The interface of the module of a topic."""

    def run(self, quick: bool, step: Step) -> Figures:
        """Compute every number that the topic's page states; ``quick`` in seconds, with fewer cases of the same."""

    def tables(self, figures: Figures) -> dict[str, Table]:
        """Format the numbers as tables, by the name that each has on the page after ``lab_TOPIC_``."""

    def draw(self, figures: Figures, folder: Path) -> list[Path]:
        """Write the pictures, and return their paths."""


@dataclass(frozen=True)
class Topic:
    """A question, and the module that answers it.

    Attributes:
        name: as in ``scs lab NAME`` and ``docs/lab/NAME.md``.
        title: one line.
    """

    name: str
    title: str

    def load(self) -> Experiment:
        """Import its experiment, which brings matplotlib, SciPy and, where something is trained, torch.

        Raises:
            MissingPackageError: one of them is not installed.
        """
        try:
            return cast(Experiment, import_module(f"lab.topics.{self.name.replace('-', '_')}"))
        except ModuleNotFoundError as error:
            raise MissingPackageError(f"scs lab needs {error.name}: pip install 'scs-serve[train]'") from None


TOPICS = {
    topic.name: topic
    for topic in (
        Topic("signal", "A kernel over a signal: what is bright, and what is alike"),
        Topic("convolution", "Convolution as such: its ways, their costs, and the likeness that it is not"),
        Topic("methods", "The six scores of template matching, each with its map and its box"),
        Topic("from-dense", "From a dense layer to a convolution: what each step leaves out"),
        Topic("exercises", "Exercises: 1x1, f*g = g*f, when position matters, a word in sound, and text"),
        Topic("shifts", "Shift equivariance, learned: a random matrix becomes a convolution"),
        Topic("stacks", "Stacks of small kernels: layer upon layer is one kernel"),
        Topic("equivariance", "Is a network equivariant? What borders and pooling break, and a blur mends"),
        Topic("visualize", "What a network would like to see, and whether that is a template"),
        Topic("waldo", "Where is Waldo: a template and a learned detector among people nearly like him"),
    )
}


def topics_named(name: str) -> list[Topic]:
    """Look up a topic by its name, or with ``all`` every one.

    Raises:
        UnknownNameError: there is none of that name; the message names those that there are.
    """
    if name == "all":
        return list(TOPICS.values())
    if name not in TOPICS:
        raise UnknownNameError(f"no topic '{name[:60]}'; there are: {', '.join(TOPICS)}, all")
    return [TOPICS[name]]
