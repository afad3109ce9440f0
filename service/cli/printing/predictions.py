"""The classes of ``scs predict`` as a table."""

from __future__ import annotations

from collections.abc import Sequence

from service.api.predict import Failure, PredictResponse
from service.api.ranking import Ranked, TemplateScore
from service.cli.printing.plain import PlainTable, say


def print_predictions(answer: PredictResponse) -> None:
    """Print the classes of each picture, or the templates of a bank, best first."""
    of_bank = any(isinstance(found, TemplateScore) for each in answer.predictions for found in each.classes)
    headings = ("template", "best score") if of_bank else ("class", "probability")
    table = PlainTable("picture", *headings, title=f"{answer.model} {answer.version}")
    for prediction in answer.predictions:
        ranking: Sequence[Ranked] = prediction.classes
        for rank, found in enumerate(ranking):
            table.add_row(prediction.name if rank == 0 else "", found.label, found.shown)
    table.show()


def print_failures(failures: Sequence[Failure], of: int) -> None:
    """Print on standard error which of so many files could not be read, and why: a line each."""
    for failure in failures:
        which = "" if of == 1 else f" (number {failure.number} of {of})"
        say(f"scs: {failure.name}{which}: {failure.detail}", error=True)
