"""The accuracy of a model on corrupted images, as figures and as a table."""

from __future__ import annotations

from statistics import mean

from models.datasets.corruptions import CORRUPTIONS, SEVERITIES
from models.evaluation.accuracy import Evaluation
from service.cli.printing.plain import PlainTable

ByCorruption = dict[str, list[Evaluation]]  # severities 1 to 5


def corruption_figures(corrupted: ByCorruption) -> dict[str, object]:
    """Return all figures of the corruptions by name, for JSON."""
    accuracies = {name: [result.accuracy for result in results] for name, results in corrupted.items()}
    corruptions = {
        name: {
            "unit": CORRUPTIONS[name].unit,
            "amounts": CORRUPTIONS[name].amounts,
            "accuracy": found,
            "mean": mean(found),
        }
        for name, found in accuracies.items()
    }
    return {"corruptions": corruptions, "corrupted_mean": mean(map(mean, accuracies.values()))}


def print_corruptions(clean: float, corrupted: ByCorruption) -> None:
    """Print the accuracy on the images as they are, then a row for each corruption."""
    print("\naccuracy on spoilt images, by severity")
    table = PlainTable("", *map(str, SEVERITIES), "mean", "", box=None, padding=(0, 2, 0, 0))
    table.add_row("none", *[""] * len(SEVERITIES), f"{clean:.1%}")
    means = []
    for name, results in corrupted.items():
        accuracies = [each.accuracy for each in results]
        means.append(mean(accuracies))
        first, *_, last = CORRUPTIONS[name].amounts
        shown = (f"{accuracy:.1%}" for accuracy in [*accuracies, means[-1]])
        table.add_row(name, *shown, f"{first:g} to {last:g} {CORRUPTIONS[name].unit}")
    table.add_row("all", *[""] * len(SEVERITIES), f"{mean(means):.1%}")
    table.show()
