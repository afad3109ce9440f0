"""What ``scs evaluate`` says of spoilt and of attacked images, for people and for programs."""

from __future__ import annotations

from statistics import mean
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from models.corruptions import CORRUPTIONS, SEVERITIES
from models.evaluation import Evaluation

if TYPE_CHECKING:
    from models.attacks import GradientCheck, Withstood

Spoilt = dict[str, list[Evaluation]]  # by corruption; severities 1 to 5


def spoilt_figures(spoilt: Spoilt) -> dict[str, object]:
    """Accuracy on spoilt images, for programs."""
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


def print_spoilt(clean: float, spoilt: Spoilt) -> None:
    """Accuracy on spoilt images, below that on clean ones."""
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


def attacked_figures(withstood: Withstood, check: GradientCheck) -> dict[str, object]:
    """Accuracy under attack, and whether to trust it, for programs."""
    from models.attacks import BUDGETS, STEPS

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


def print_attacked(withstood: Withstood, check: GradientCheck) -> None:
    """Accuracy under attack by budget, and whether to trust it."""
    from models.attacks import BUDGETS, STEPS

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
