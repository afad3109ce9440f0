"""White-box adversarial attacks on images (FGSM and PGD), and a check for gradient masking.

Images are floating point ``(N, H, W, C)`` from 0 to 255, and stay so: what an attack changes is not rounded to bytes.
A budget is the most that any value may change (the L-infinity norm), in grey levels: 8 is written 8/255 elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

Model = Callable[[Tensor], Tensor]  # images (N, H, W, C) to logits (N, classes)

BUDGETS = 1.0, 2.0, 4.0, 8.0
STEPS = 20
# All steps of PGD together, in budgets: enough to go from a random start to any place within the budget, and part of
# the way back (A. Madry et al., as below, in the code they published).
_WAY = 2.5

_BATCH = 100
_CHECK_STEPS = 5, 10, 20
_CHECK_IMAGES = 250
_ROUNDING = 0.01  # of a loss: attacks are compared on few images
_MOST_BLANK = 0.01


def fgsm(model: Model, images: Tensor, labels: Tensor, budgets: Sequence[float] = BUDGETS) -> list[Tensor]:
    """Attack images by the fast gradient sign method (FGSM): one step of the whole budget that raises the loss.

    Args:
        model: what is attacked.
        images: ``(N, H, W, C)``, floating point, 0 to 255.
        labels: ``(N,)``, their true classes.
        budgets: in grey levels; the gradient is the same for all.

    Returns:
        For each budget the attacked images, 0 to 255.

    Source:
        I. Goodfellow, J. Shlens and C. Szegedy, "Explaining and Harnessing Adversarial Examples" (2015).
    """
    way = _gradient(model, images, labels)[0].sign()
    return [(images + budget * way).clamp(0, 255) for budget in budgets]


def pgd(
    model: Model,
    images: Tensor,
    labels: Tensor,
    budget: float,
    *,
    steps: int = STEPS,
    seed: int = 0,
    until_fooled: bool = True,
) -> Tensor:
    """Attack images by projected gradient descent (PGD): small steps up the loss from a random start in the budget.

    Args:
        model: what is attacked.
        images: ``(N, H, W, C)``, floating point, 0 to 255.
        labels: ``(N,)``, their true classes.
        budget: in grey levels.
        steps: each of 2.5 / ``steps`` of the budget, by the sign of the gradient.
        seed: decides the random places.
        until_fooled: leave an image alone once it is put into another class.

    Returns:
        The attacked images, within the budget and 0 to 255.

    Source:
        A. Madry, A. Makelov, L. Schmidt, D. Tsipras and A. Vladu, "Towards Deep Learning Models Resistant to
        Adversarial Attacks" (2018).
    """
    lowest, highest = (images - budget).clamp(min=0), (images + budget).clamp(max=255)
    chance = torch.rand(images.shape, generator=torch.Generator().manual_seed(seed))
    attacked = (images + budget * (2 * chance - 1)).clamp(0, 255)
    going = torch.arange(len(images))
    for _ in range(steps):
        x = attacked[going]
        gradient, logits = _gradient(model, x, labels[going])
        if until_fooled:
            right = logits.argmax(1) == labels[going]
            going, x, gradient = going[right], x[right], gradient[right]
        if not len(going):
            break
        x = x + _WAY * budget / steps * gradient.sign()
        attacked[going] = torch.minimum(torch.maximum(x, lowest[going]), highest[going])
    return attacked


@dataclass(frozen=True)
class Withstood:
    """Which images are classified correctly: unchanged ``(N,)``, and after each attack ``(budgets, N)``.

    An image that is wrong as it is counts as wrong under attack, and one that PGD fools with a smaller budget is fooled
    with the larger ones, which hold that change too.
    """

    clean: NDArray[np.bool_]  # (N,)
    fgsm: NDArray[np.bool_]  # (budgets, N)
    pgd: NDArray[np.bool_]


def attack(
    model: Model,
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    on_images: Callable[[int], None] = lambda done: None,
) -> Withstood:
    """Attack images by FGSM and PGD at each of ``BUDGETS``, and record which are still classified correctly.

    Args:
        model: what is attacked.
        images: ``(N, H, W, C)``, at least one.
        labels: ``(N,)``, their true classes.
        on_images: called with the number of images done so far.
    """
    clean, by_sign, by_steps = [], [], []
    for start in range(0, len(images), _BATCH):
        x = torch.from_numpy(images[start : start + _BATCH]).float()
        y = torch.from_numpy(labels[start : start + _BATCH])
        standing = _right(model, x, y)
        clean.append(standing)
        by_sign.append(torch.stack([standing & _right(model, attacked, y) for attacked in fgsm(model, x, y)]))
        rows = []
        for budget in BUDGETS:
            left = standing.nonzero().squeeze(1)
            standing = standing.clone()
            if len(left):
                standing[left] = _right(model, pgd(model, x[left], y[left], budget, seed=start), y[left])
            rows.append(standing)
        by_steps.append(torch.stack(rows))
        on_images(start + len(x))
    return Withstood(torch.cat(clean).numpy(), torch.cat(by_sign, 1).numpy(), torch.cat(by_steps, 1).numpy())


@dataclass(frozen=True)
class GradientCheck:
    """Losses under attack that tell a robust network from one that only hides its gradients (gradient masking).

    Losses are means of the cross-entropy over the same images, all changes of the same budget.

    Source:
        A. Athalye, N. Carlini and D. Wagner, "Obfuscated Gradients Give a False Sense of Security" (2018), section 3.1.
    """

    budget: float
    blank: float  # share of images whose gradient is zero everywhere
    clean_loss: float
    noise_loss: float  # every value moved by the budget, up or down by chance
    fgsm_loss: float
    pgd_losses: dict[int, float]  # by the number of steps

    @property
    def doubts(self) -> list[str]:
        """Signs of gradient masking, a sentence each; empty where the attacks raise the loss as they should."""
        found = []
        if not self.blank <= _MOST_BLANK:
            found.append(f"the gradient of {self.blank:.1%} of the images is zero everywhere")
        for name, loss in (("FGSM", self.fgsm_loss), *((f"PGD of {n} steps", x) for n, x in self.pgd_losses.items())):
            if not loss >= self.noise_loss * (1 - _ROUNDING):
                found.append(f"{name} raises the loss to {loss:.3f}, noise of that size to {self.noise_loss:.3f}")
        counts = list(self.pgd_losses)
        for few, many in zip(counts[:-1], counts[1:], strict=True):
            if not self.pgd_losses[many] >= self.pgd_losses[few] * (1 - _ROUNDING):
                losses = f"{self.pgd_losses[many]:.3f} and {self.pgd_losses[few]:.3f}"
                found.append(f"PGD of {many} steps is weaker than of {few}: losses {losses}")
        return found


def check_gradients(
    model: Model, images: NDArray[np.uint8], labels: NDArray[np.int64], budget: float = BUDGETS[-1]
) -> GradientCheck:
    """Check whether gradient masking makes attacks on a model unreliable, on at most 250 of ``images``, spread evenly.

    Args:
        model: what is attacked.
        images: ``(N, H, W, C)``, at least one.
        labels: ``(N,)``, their true classes.
        budget: in grey levels.
    """
    every = max(1, len(images) // _CHECK_IMAGES)
    x = torch.from_numpy(images[::every][:_CHECK_IMAGES]).float()
    y = torch.from_numpy(labels[::every][:_CHECK_IMAGES])
    gradient, _ = _gradient(model, x, y)
    signs = torch.randint(0, 2, x.shape, generator=torch.Generator().manual_seed(0)) * 2 - 1
    return GradientCheck(
        budget=budget,
        blank=(gradient == 0).flatten(1).all(1).float().mean().item(),
        clean_loss=_loss(model, x, y),
        noise_loss=_loss(model, (x + budget * signs).clamp(0, 255), y),
        fgsm_loss=_loss(model, fgsm(model, x, y, [budget])[0], y),
        pgd_losses={
            steps: _loss(model, pgd(model, x, y, budget, steps=steps, until_fooled=False), y) for steps in _CHECK_STEPS
        },
    )


def _gradient(model: Model, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """The gradient of each image's own loss, and its logits."""
    x = images.detach().requires_grad_()
    logits = model(x)
    # A sum: a mean would make the gradients of a large batch so small that they round to zero.
    (gradient,) = torch.autograd.grad(F.cross_entropy(logits, labels, reduction="sum"), x)
    return gradient, logits.detach()


@torch.no_grad()
def _right(model: Model, images: Tensor, labels: Tensor) -> Tensor:
    return model(images).argmax(1) == labels


@torch.no_grad()
def _loss(model: Model, images: Tensor, labels: Tensor) -> float:
    return F.cross_entropy(model(images), labels).item()
