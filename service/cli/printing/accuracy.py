"""The accuracy of a model on test images, as figures and as a table."""

from __future__ import annotations

from models.cards.card import ModelCard
from models.evaluation.accuracy import Evaluation
from service.cli.printing.plain import PlainTable, say


def accuracy_figures(card: ModelCard, result: Evaluation) -> dict[str, object]:
    """Return all figures of the accuracy by name, for JSON."""
    low, high = result.interval()
    return {
        "model": card.name,
        "version": card.version,
        "images": result.images,
        "correct": result.correct,
        "accuracy": result.accuracy,
        "interval_95": [low, high],
        "classes": list(result.classes),
        "recall": result.recall.tolist(),
        "precision": result.precision.tolist(),
        "confusion": result.confusion.tolist(),
        "expected_calibration_error": result.calibration.expected_error,
        "negative_log_likelihood": result.calibration.negative_log_likelihood,
        "reliability": {
            "counts": result.calibration.counts.tolist(),
            "confidence": result.calibration.confidence.tolist(),
            "accuracy": result.calibration.accuracy.tolist(),
        },
    }


def print_accuracy(card: ModelCard, result: Evaluation) -> None:
    """Print the accuracy with its interval, how well calibrated the model is, and what the card notes of the data."""
    low, high = result.interval()
    print(
        f"{card.name} {card.version}: {result.correct:,} of {result.images:,} right, {result.accuracy:.2%} "
        f"(95% interval {low:.2%} to {high:.2%})"
    )
    print(
        f"expected calibration error {result.calibration.expected_error:.2%}, "
        f"negative log-likelihood {result.calibration.negative_log_likelihood:.3f}"
    )
    if card.accuracy and card.accuracy.note:
        say(card.accuracy.note)


def print_confusion(result: Evaluation) -> None:
    """Print the confusion matrix, with recall and precision where there is something that they are a share of."""
    print("\nrows: true class; columns: predicted class")
    headings = [label[:4] for label in result.classes]  # ten classes fit into 80 columns
    table = PlainTable("", *headings, "recall", "precis.", box=None, padding=(0, 1, 0, 0))
    for number, (label, row) in enumerate(zip(result.classes, result.confusion, strict=True)):
        recall = f"{result.recall[number]:.1%}" if row.any() else "-"
        precision = f"{result.precision[number]:.1%}" if result.confusion[:, number].any() else "-"
        table.add_row(label, *(str(count) for count in row), recall, precision)
    table.show()
