"""Score maps computed by torch, as a rule on a GPU: the formulas of ``score_map`` for all blocks of a scene at once.

Nothing imports this file before a device is asked for, so torch stays optional.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from scs.errors import DeviceError
from scs.matching.arrays import Array, magnitude
from scs.matching.methods import Method
from scs.matching.scoring.blocks import Size, cut, plan_blocks
from scs.matching.scoring.correlation import SpectralCorrelator
from scs.matching.scoring.kernel import Kernel, prepare_kernel
from scs.matching.scoring.maps import ScoreMap, Scores, Weights, allowed_error, in_units, runs_alike
from scs.matching.scoring.norms import flat_limit

# Kernels of at most so many pixels are convolved, larger ones go through spectra. The number is the CPU's;
# bench/gpu.py measures both ways on a GPU.
DIRECT_PIXELS = 36
_DIRECT_BLOCK = 448, 448
_WORKING_BYTES = 2**29  # for what is in the making, beside the scene's own spectra and norms
_MAPS_PER_TEMPLATE = 4  # of float64: spectrum, its copy in the inverse transform, products, scores
_MAPS_PER_CHANNEL = 8  # of float64: pixels, squares and their sums
_GROUP = 16  # maps of a bank that are made at once, at most
_LARGEST = float(np.finfo(np.float32).max)


def score_maps_on(
    device: str,
    scene: Array,
    templates: list[tuple[Array, Weights | None]],
    method: Method,
    p: float,
    q: float,
    signal: bool,
) -> Iterator[ScoreMap]:
    """Score templates on a device, one map after the other; the maps come back as NumPy arrays.

    Args:
        device: torch's name of it, such as ``cuda`` or ``cuda:1``.
        scene: ``(H, W, C)``, checked.
        templates: ``(h, w, C)`` each, checked, with weights ``(C, h, w)`` or None. Neighbours that share size and
            weights share what is made of the scene.
        method: how they are compared.
        p: exponent of the similarities.
        q: noise floor of the similarities.
        signal: maps have one dimension.

    Raises:
        DeviceError: the device cannot be used, before the first map is asked for.
    """
    return _score_in_groups(usable_device(device), scene, templates, method, p, q, signal)


def usable_device(name: str) -> torch.device:
    """Return the torch device of that name, after trying a sum in float64 on it.

    Raises:
        DeviceError: torch does not know it, or cannot compute on it.
    """
    try:
        device = torch.device(name)
        torch.ones(1, dtype=torch.float64, device=device).sum().item()
    except Exception as error:  # torch raises a class of its own for each cause
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DeviceError(f"device '{name[:60]}' cannot be used by torch here: {reason}") from None
    return device


def _score_in_groups(
    device: torch.device,
    scene: Array,
    templates: list[tuple[Array, Weights | None]],
    method: Method,
    p: float,
    q: float,
    signal: bool,
) -> Iterator[ScoreMap]:
    scale = magnitude(scene)
    channels_first = np.moveaxis(scene, 2, 0)
    # Of unsigned integers torch knows those of one byte well, and the others hardly.
    channels_first = channels_first.astype(np.int32 if scene.dtype == np.uint16 else scene.dtype, order="C")
    planes = torch.from_numpy(channels_first).to(device)
    for neighbours in runs_alike(templates):
        alike = list(neighbours)
        (height, width, _), weights = alike[0][0].shape, alike[0][1]
        scorer = _Scorer(planes, scene.dtype, scale, (height, width), weights, method, p, q / scale)
        for first in range(0, len(alike), scorer.group):
            group = alike[first : first + scorer.group]
            kernels = [prepare_kernel(np.moveaxis(pixels, 2, 0) / scale, weights, method) for pixels, _ in group]
            for scores, kernel in zip(scorer.score(kernels), kernels, strict=True):
                if scale != 1 and not method.normalised:
                    scores = in_units(scores, scale)
                flat = scorer.flat if kernel.norm else float(method.normalised)
                yield ScoreMap(scores[0] if signal else scores, flat)


@dataclass(frozen=True, eq=False)
class _Batch:
    """Blocks that are worked on together, in one precision.

    Attributes:
        corners: first row and column of places of each.
        analysed: ``(B, C, …)``, their pixels less ``levels``, or the spectra of these.
        levels: ``(B, C)``, float64.
        energy: ``(B, rows, columns)``, float64, of every patch, for the differences.
        reciprocal: likewise, float32: one over (norm + q), 0 where the patch is flat, for the normalised methods.
    """

    corners: list[tuple[int, int]]
    analysed: Tensor
    levels: Tensor
    energy: Tensor | None
    reciprocal: Tensor | None


class _Scorer:
    """Scores of kernels of one size and one mask.

    Attributes:
        group: kernels to score at once.
        flat: share of the patches that are flat.
    """

    def __init__(
        self,
        planes: Tensor,  # (C, H, W)
        dtype: np.dtype[Any],
        scale: float,
        window: Size,
        weights: Weights | None,
        method: Method,
        p: float,
        q: float,
    ) -> None:
        self._planes = planes
        self._dtype = dtype
        self._scale = scale
        self._window = window
        self._weights = None if weights is None else torch.tensor(weights, device=planes.device)
        self._binary = weights is None or bool(np.all((weights == 0) | (weights == 1)))
        self._method = method
        self._p = p
        self._q = q if method.kind == "similarity" else 0.0
        channels, height, width = planes.shape
        self._places: Size = height - window[0] + 1, width - window[1] + 1
        self._size: Size | None = None
        blocks = cut(self._places, _DIRECT_BLOCK)
        if window[0] * window[1] > DIRECT_PIXELS:
            self._size, blocks = plan_blocks(self._places, window, 1)
        # Blocks of one shape make a batch: the last ones overlap their neighbours instead of being smaller.
        self._block: Size = max(block.rows for block in blocks), max(block.columns for block in blocks)
        rows, columns = (most - length for most, length in zip(self._places, self._block, strict=True))
        corners = [(min(block.row, rows), min(block.column, columns)) for block in blocks]
        map_bytes = 8 * (self._block[0] + window[0] - 1) * (self._block[1] + window[1] - 1)
        self.group = _fitting(len(blocks) * map_bytes * _MAPS_PER_TEMPLATE, _GROUP)
        self._flat = torch.zeros(self._places, dtype=torch.bool, device=planes.device)
        # Half of the blocks at once keep what is in flight for a template below six float maps, in float64, too.
        at_once = _fitting(channels * map_bytes * _MAPS_PER_CHANNEL, -(-len(corners) // 2))
        parts = [corners[i : i + at_once] for i in range(0, len(corners), at_once)]
        self._batches = [batch for part in parts for batch in self._analyse(part)]
        self.flat = float(self._flat.double().mean())

    def score(self, kernels: list[Kernel]) -> Scores:
        """Maps ``(K, H - h + 1, W - w + 1)``, on the host."""
        device = self._planes.device
        units = torch.from_numpy(np.stack([kernel.unit for kernel in kernels])).to(device)  # (K, C, h, w)
        norms = torch.tensor([kernel.norm for kernel in kernels], dtype=torch.float64, device=device)
        rows, columns = self._block
        maps = torch.empty((len(kernels), *self._places), dtype=torch.float32, device=device)
        for batch in self._batches:
            scores = self._score_batch(batch, units, norms[:, None, None, None])
            for number, (row, column) in enumerate(batch.corners):
                maps[:, row : row + rows, column : column + columns] = scores[:, number]
        on_host: Scores = maps.cpu().numpy()
        return on_host

    def _analyse(self, corners: list[tuple[int, int]]) -> Iterator[_Batch]:
        """What is made of blocks whatever the kernel, in the precision that the faintest patch of each asks for."""
        height, width = (length + window - 1 for length, window in zip(self._block, self._window, strict=True))
        cuts = [self._planes[:, row : row + height, column : column + width] for row, column in corners]
        pixels = torch.stack(cuts).double() / self._scale  # (B, C, height, width)
        levels = pixels.mean((2, 3))
        if self._dtype.kind == "u":
            levels = levels.round()
        levelled = pixels - levels[:, :, None, None]
        energy, reciprocal = None, None
        faintest: list[float | None] = [None] * len(corners)
        if self._method.kind == "difference" or self._method.normalised:
            patches = levelled if self._method.centred else pixels
            energy = self._energies(patches)
            if self._method.normalised:
                reciprocal = self._reciprocals(energy, self._limits(pixels, patches), corners)
                faintest = reciprocal.amax((1, 2)).tolist()
        energies = levelled.square().sum((1, 2, 3)).tolist()
        precise = [self._is_precise(*block) for block in zip(energies, faintest, strict=True)]
        for dtype in (torch.float32, torch.float64):
            chosen = [number for number, wanted in enumerate(precise) if wanted == (dtype == torch.float64)]
            if chosen:
                yield _Batch(
                    [corners[number] for number in chosen],
                    _analysed(levelled[chosen].to(dtype), self._size),
                    levels[chosen],
                    energy[chosen] if energy is not None and self._method.kind == "difference" else None,
                    None if reciprocal is None else reciprocal[chosen],
                )

    def _is_precise(self, energy: float, largest_reciprocal: float | None) -> bool:
        """Whether a block of that energy needs float64."""
        if self._size is None:
            return True  # so that no setting of torch's lets a convolution round to fewer digits
        expected = SpectralCorrelator(np.empty((1, *self._window)), self._size).rounding(energy, [])
        return expected > allowed_error(self._method, self._dtype, self._p, largest_reciprocal)

    def _energies(self, patches: Tensor) -> Tensor:
        """Energy of every patch, ``(B, rows, columns)``; less that of each channel's mean if centred."""
        if self._weights is not None:
            return self._masked_energies(patches, self._weights)
        energy = _window_sums(patches.square().sum(1), self._window)
        if self._method.centred:
            pixels = self._window[0] * self._window[1]
            for channel in patches.unbind(1):
                energy -= _window_sums(channel, self._window).square_().div_(pixels)
        return energy

    def _masked_energies(self, patches: Tensor, weights: Tensor) -> Tensor:
        """See ``MaskSums``: weighted sums are correlations with the mask."""
        whole = self._binary and self._dtype.kind == "u"
        energy = self._products(_analysed(patches.square(), self._size), weights.square()[None])[0]
        if whole:
            energy = energy.round()
        if not self._method.centred:
            return energy
        for number, of_channel in enumerate(weights):
            total = float(of_channel.sum())
            if not total:
                continue
            analysed = _analysed(patches[:, number : number + 1], self._size)
            kernels = torch.stack([of_channel, of_channel.square()])[:, None]
            sums, weighted = self._products(analysed, kernels)
            if whole:
                sums = sums.round()
            means = sums / total
            if not self._binary:
                sums = 2 * weighted - float(of_channel.square().sum()) * means
            energy -= means * sums
        return energy

    def _limits(self, pixels: Tensor, patches: Tensor) -> Tensor:
        """Energy up to which a patch of each block is flat, ``(B,)``; see ``flat_energy``."""
        epsilon = torch.zeros(len(pixels), dtype=torch.float64, device=pixels.device)
        if self._dtype.kind == "f":
            epsilon = pixels.abs().amax((1, 2, 3)) * float(np.finfo(self._dtype).eps) / 2
        if not self._binary:
            epsilon = epsilon.clamp(min=float(np.finfo(np.float64).eps))
        count = self._window[0] * self._window[1] * patches.shape[1]
        energies = patches.square().sum((1, 2, 3)).tolist()
        limits = [flat_limit(count, *block) for block in zip(energies, epsilon.tolist(), strict=True)]
        return torch.tensor(limits, dtype=torch.float64, device=pixels.device)

    def _reciprocals(self, energy: Tensor, limits: Tensor, corners: list[tuple[int, int]]) -> Tensor:
        """One over (norm + q), float32, 0 where the patch is flat, which is noted."""
        limits = limits.clamp(min=float(np.finfo(np.float32).tiny))[:, None, None]
        flat = energy <= limits
        rows, columns = self._block
        for block, (row, column) in zip(flat, corners, strict=True):
            self._flat[row : row + rows, column : column + columns] = block
        return (torch.maximum(energy, limits).sqrt() + self._q).reciprocal().masked_fill(flat, 0).float()

    def _products(self, analysed: Tensor, kernels: Tensor) -> Tensor:
        """Products of kernels ``(K, C, h, w)`` with every patch, ``(K, B, rows, columns)``."""
        if self._size is None:
            return F.conv2d(analysed, kernels).transpose(0, 1)
        spectra = torch.fft.rfft2(kernels, s=self._size).conj()
        total = analysed[None, :, 0] * spectra[:, None, 0]
        for number in range(1, analysed.shape[1]):
            total.addcmul_(analysed[None, :, number], spectra[:, None, number])
        rows, columns = self._block
        products: Tensor = torch.fft.irfft2(total, s=self._size)
        return products[..., :rows, :columns]

    def _score_batch(self, batch: _Batch, units: Tensor, norms: Tensor) -> Tensor:
        """Scores of a batch, ``(K, B, rows, columns)``; see ``write_scores``."""
        method = self._method
        precision = torch.float32 if batch.analysed.dtype in (torch.float32, torch.complex64) else torch.float64
        products = self._products(batch.analysed, units.to(precision))
        if not method.centred:
            products += (units.sum((2, 3)) @ batch.levels.T)[:, :, None, None].to(precision)
        flat_template = norms == 0
        if batch.energy is not None:
            differences = products.double().mul_(-2 * norms).add_(batch.energy).add_(norms.square())
            if batch.reciprocal is None:
                return differences.clamp_(0, _LARGEST).float()
            differences.mul_(batch.reciprocal).div_(norms.masked_fill(flat_template, 1))
            return differences.masked_fill_(flat_template | (batch.reciprocal == 0), 1).clamp_(0, 1).float()
        if batch.reciprocal is None:
            return products.mul_(norms).clamp_(-_LARGEST, _LARGEST).float()
        cosines = products.mul_(batch.reciprocal).clamp_(-1, 1)
        if method.kind == "similarity":
            cosines *= (norms / (norms + self._q)).masked_fill(flat_template, 0)
            cosines = torch.copysign(cosines.abs().pow_(self._p), cosines)
        return cosines.float()


def _analysed(planes: Tensor, size: Size | None) -> Tensor:
    """What the products with every kernel start from: the pixels, or their spectra."""
    if size is None:
        return planes
    spectra: Tensor = torch.fft.rfft2(planes, s=size)
    return spectra


def _window_sums(values: Tensor, window: Size) -> Tensor:
    """Sums over every patch of maps ``(B, H, W)``; exact for whole numbers."""
    return _running_sums(_running_sums(values, window[0], 1), window[1], 2)


def _running_sums(values: Tensor, length: int, axis: int) -> Tensor:
    """Sums of so many neighbours along an axis.

    Sums of 1, 2, 4, … neighbours are put together, so that nothing is ever subtracted: what rounds off is in proportion
    to the sum itself, whatever lies elsewhere on the map.
    """
    places = values.shape[axis] - length + 1
    total = torch.zeros_like(values.narrow(axis, 0, places))
    start, span = 0, 1
    while True:
        if length & span:
            total += values.narrow(axis, start, places)
            start += span
        if start == length:
            return total
        kept = values.shape[axis] - span
        values = values.narrow(axis, 0, kept) + values.narrow(axis, span, kept)
        span *= 2


def _fitting(size: int, most: int) -> int:
    """How many items of a size in bytes fit into the working memory, from 1 to ``most``."""
    return max(1, min(most, _WORKING_BYTES // size))
