"""The accuracy of a model under adversarial attack, as figures and as a table."""

from __future__ import annotations

from models.evaluation.attacks import BUDGETS, STEPS, GradientCheck, Withstood
from service.cli.printing.plain import PlainTable


def attack_figures(withstood: Withstood, check: GradientCheck) -> dict[str, object]:
    """Return all figures of the attacks by name, for JSON."""
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


def print_attacks(withstood: Withstood, check: GradientCheck) -> None:
    """Print the accuracy under each attack, and whether the gradients can be trusted (gradient masking)."""
    print(f"\naccuracy under attack, {len(withstood.clean):,} images, by the most that a value changes")
    table = PlainTable("", "none", *(f"{budget:g}/255" for budget in BUDGETS), box=None, padding=(0, 2, 0, 0))
    for name, right in (("FGSM", withstood.fgsm), (f"PGD, {STEPS} steps", withstood.pgd)):
        table.add_row(name, *(f"{row.mean():.1%}" for row in (withstood.clean, *right)))
    table.show()
    if check.doubts:
        print(f"Not to be trusted, for the gradients mislead the attacks: {'; '.join(check.doubts)}.")
    else:
        steps, loss = list(check.pgd_losses.items())[-1]
        print(
            f"Gradients lead the attacks: at {check.budget:g}/255 noise raises the loss from {check.clean_loss:.2f} to "
            f"{check.noise_loss:.2f}, FGSM to {check.fgsm_loss:.2f}, PGD of {steps} steps to {loss:.2f}."
        )
