"""What ``scs evaluate --corruptions`` and ``--attacks`` find."""

from __future__ import annotations

from statistics import mean
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from models.datasets.corruptions import CORRUPTIONS, SEVERITIES
from models.datasets.dataset import Dataset, evenly
from models.evaluation.accuracy import Evaluation
from models.evaluation.corrupted import CORRUPTED_VIEWS, evaluate_corrupted
from service.cli.findings import Finding, Progressing
from service.repository.loader import LoadedModel

if TYPE_CHECKING:
    from models.evaluation.attacks import GradientCheck, Withstood
    from models.onnx.as_torch import TorchGraph

_ATTACKED = 1_000  # images

Spoilt = dict[str, list[Evaluation]]  # by corruption; severities 1 to 5


def find_spoilt(model: LoadedModel, dataset: Dataset, clean: float, progressing: Progressing) -> Finding:
    """Spoil all test images in every way; ``clean`` is the accuracy on them as they are."""
    images = len(dataset.test_images) * CORRUPTED_VIEWS
    spoilt = evaluate_corrupted(model.runtime, dataset, progressing("spoilt", images))
    return Finding(_spoilt_figures(spoilt), lambda: _print_spoilt(clean, spoilt))


def find_attacked(graph: TorchGraph, dataset: Dataset, progressing: Progressing) -> Finding:
    """Attack test images; ``graph`` is the model in torch, for its gradients."""
    from models.evaluation.attacks import attack, check_gradients

    attacked = evenly(dataset.test_images, _ATTACKED), evenly(dataset.test_labels, _ATTACKED)
    withstood = attack(graph, *attacked, progressing("attacked", len(attacked[0])))
    check = check_gradients(graph, *attacked)
    return Finding(_attacked_figures(withstood, check), lambda: _print_attacked(withstood, check))


def _spoilt_figures(spoilt: Spoilt) -> dict[str, object]:
    accuracies = {name: [result.accuracy for result in results] for name, results in spoilt.items()}
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


def _print_spoilt(clean: float, spoilt: Spoilt) -> None:
    print("\naccuracy on spoilt images, by severity")
    table = Table("", *map(str, SEVERITIES), "mean", "", box=None, padding=(0, 2, 0, 0))
    table.add_row("none", *[""] * len(SEVERITIES), f"{clean:.1%}")
    means = []
    for name, results in spoilt.items():
        accuracies = [each.accuracy for each in results]
        means.append(mean(accuracies))
        first, *_, last = CORRUPTIONS[name].amounts
        shown = (f"{accuracy:.1%}" for accuracy in [*accuracies, means[-1]])
        table.add_row(name, *shown, f"{first:g} to {last:g} {CORRUPTIONS[name].unit}")
    table.add_row("all", *[""] * len(SEVERITIES), f"{mean(means):.1%}")
    Console().print(table)


def _attacked_figures(withstood: Withstood, check: GradientCheck) -> dict[str, object]:
    from models.evaluation.attacks import BUDGETS, STEPS

    return {
        "attacks": {
            "images": len(withstood.clean),
            "budgets_of_255": BUDGETS,
            "clean": float(withstood.clean.mean()),
            "fgsm": withstood.fgsm.mean(1).tolist(),
            "pgd": withstood.pgd.mean(1).tolist(),
            "pgd_steps": STEPS,
            "gradients": {
                "budget_of_255": check.budget,
                "blank": check.blank,
                "clean_loss": check.clean_loss,
                "noise_loss": check.noise_loss,
                "fgsm_loss": check.fgsm_loss,
                "pgd_losses": check.pgd_losses,
                "doubts": check.doubts,
            },
        }
    }


def _print_attacked(withstood: Withstood, check: GradientCheck) -> None:
    from models.evaluation.attacks import BUDGETS, STEPS

    print(f"\naccuracy under attack, {len(withstood.clean):,} images, by the most that a value changes")
    table = Table("", "none", *(f"{budget:g}/255" for budget in BUDGETS), box=None, padding=(0, 2, 0, 0))
    for name, right in (("FGSM", withstood.fgsm), (f"PGD, {STEPS} steps", withstood.pgd)):
        table.add_row(name, *(f"{row.mean():.1%}" for row in (withstood.clean, *right)))
    Console().print(table)
    if check.doubts:
        print(f"Not to be trusted, for the gradients mislead the attacks: {'; '.join(check.doubts)}.")
    else:
        steps, loss = list(check.pgd_losses.items())[-1]
        print(
            f"Gradients lead the attacks: at {check.budget:g}/255 noise raises the loss from {check.clean_loss:.2f} to "
            f"{check.noise_loss:.2f}, FGSM to {check.fgsm_loss:.2f}, PGD of {steps} steps to {loss:.2f}."
        )
