"""Sharpened cosine similarity of one template with every place of a scene, on NumPy alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scs.errors import ShapeError

Map = NDArray[np.float32]

# Windows whose energy is below this share of the scene's mean are blank: what is left of them is rounding.
_BLANK = 1e-9


def similarity_map(scene: Map, template: Map, p: float = 2.0, q: float = 0.0) -> Map:
    """Compare a template with every window of a scene by sharpened cosine.

    Args:
        scene: ``(C, H, W)``, an image or feature maps, finite.
        template: ``(C, h, w)``, no larger than the scene.
        p: exponent > 0; larger is sharper.
        q: noise floor >= 0, in the units of the windows' norms.

    Returns:
        ``(H - h + 1, W - w + 1)`` within [-1, 1]; 1 where the window is a positive multiple of the template and q is
        0. A blank window, or a blank template, has no angle: its similarity is 0.

    Raises:
        ShapeError: the shapes do not fit; the message gives both.
    """
    if scene.ndim != 3 or template.ndim != 3 or scene.shape[0] != template.shape[0]:
        raise ShapeError(f"scene and template are both (C, height, width); {scene.shape} and {template.shape} came")
    height, width = (s - t + 1 for s, t in zip(scene.shape[1:], template.shape[1:], strict=True))
    if height < 1 or width < 1:
        raise ShapeError(
            f"a template must fit inside its scene; the template is {template.shape}, the scene {scene.shape}"
        )

    dot = _correlation(scene, template)
    energy = _window_sums(np.einsum("chw,chw->hw", scene, scene, dtype=np.float64), *template.shape[1:])
    template_norm = float(np.sqrt(np.square(template, dtype=np.float64).sum()))
    blank = energy <= _BLANK * energy.mean() if energy.any() else np.ones_like(energy, bool)
    if template_norm == 0 or blank.all():
        return np.zeros((height, width), np.float32)
    norms = (np.sqrt(np.where(blank, 1, energy)) + q) * (template_norm + q)
    cosine = np.clip(dot / norms, -1, 1)
    sharpened = np.copysign(np.abs(cosine) ** p, cosine)
    return np.where(blank, 0, sharpened).astype(np.float32)


def _correlation(scene: Map, template: Map) -> NDArray[np.float64]:
    """Products of the template with every window: channels are summed before the one inverse transform.

    Computed in double: what a transform rounds off is relative to the brightest window, and would drown the faint ones.
    """
    height, width = scene.shape[1:]
    rows, columns = template.shape[1:]
    total = np.zeros((height, width // 2 + 1), np.complex128)
    for scene_channel, template_channel in zip(scene, template, strict=True):
        seen = np.fft.rfft2(scene_channel.astype(np.float64))
        total += seen * np.conj(np.fft.rfft2(template_channel.astype(np.float64), (height, width)))
    # Circular wrap-around reaches only the windows that do not fit, and those are cut off.
    products: NDArray[np.float64] = np.fft.irfft2(total, (height, width))
    return products[: height - rows + 1, : width - columns + 1]


def _window_sums(values: NDArray[np.float64], rows: int, columns: int) -> NDArray[np.float64]:
    """Sum of every window of the given size, from running sums along both axes."""
    sums = np.pad(values, ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    windows: NDArray[np.float64] = (
        sums[rows:, columns:] - sums[:-rows, columns:] - sums[rows:, :-columns] + sums[:-rows, :-columns]
    )
    return windows.clip(min=0)
