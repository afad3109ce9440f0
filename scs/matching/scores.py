"""Score maps: the scores of templates at every place of a scene."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator, Sequence
from itertools import islice
from types import ModuleType
from typing import Any

import numpy as np

from scs.errors import MissingPackageError, OptionError
from scs.matching.arrays import Array, as_picture, as_weights, check_masks, check_options, check_template, magnitude
from scs.matching.methods import Method, method_named
from scs.matching.scoring.blocks import Block, Size, cut, plan_blocks
from scs.matching.scoring.correlation import make_correlator, sampled_error
from scs.matching.scoring.finish import write_scores
from scs.matching.scoring.kernel import Kernel, prepare_kernel
from scs.matching.scoring.maps import PRECISION, ScoreMap, Scores, Weights, allowed_error, in_units, runs_alike
from scs.matching.scoring.masked import MaskSums
from scs.matching.scoring.norms import Energies, PatchNorms, flat_energy, patch_energies, patch_norms
from scs.matching.scoring.region import Region
from scs.matching.scoring.scratch import Scratch
from scs.matching.threads import check_threads, shared_pool

__all__ = ["DIRECT_PIXELS", "ScoreMap", "check_device", "score_map", "score_maps"]


# Kernels of at most so many pixels are correlated directly, in blocks of this size; measured by bench/match.py.
DIRECT_PIXELS = 36
_DIRECT_BLOCK = 448, 448
_SPREAD = 8  # the largest error of a block, in errors that are typical of it
_HOPELESS = 4  # times the allowed error: not worth trying float32
_GROUP_BYTES = 2**27  # of the maps of a bank that are made at once


def score_map(
    scene: Array,
    template: Array,
    method: str = "ccoeff_normed",
    *,
    mask: Array | None = None,
    p: float = 2.0,
    q: float = 0.0,
    threads: int | None = None,
    device: str | None = None,
    error: float = PRECISION,
) -> ScoreMap:
    """Compare a template with every patch of a scene.

    Args:
        scene: a picture ``(H, W)`` or ``(H, W, C)``, or a signal ``(L,)``; uint8, uint16, float32 or float64, finite.
        template: of the same kind, with as many channels, no larger than the scene.
        method: one of ``METHODS``. With patch s, template t, and s', t' the same less their own mean (per channel)::

                sqdiff         |s - t|²                       sqdiff_normed  |s - t|² / (|s| |t|), at most 1
                ccorr          s·t                            ccorr_normed   s·t / (|s| |t|)
                ccoeff         s'·t'                          ccoeff_normed  s'·t' / (|s'| |t'|), Pearson's r
                scs            sign(a) |a|^p with a = s·t / ((|s| + q) (|t| + q))
                scs_centred    the same of s' and t'

        mask: ``(h, w)`` or ``(h, w, C)``, weights >= 0 by which patch and template are multiplied, as OpenCV's are
            (means are weighted means); of a mask of integers or booleans, whatever is not 0 counts as 1.
        p: exponent > 0 of the similarities; larger is sharper.
        q: noise floor >= 0 of the similarities, in the units of the norms; mutes patches fainter than it.
        threads: most threads to use; None uses every core this process may.
        device: where torch computes the same scores, such as ``cuda``; None is here, without torch.
        error: that normalised scores may have, 1e-5 or more. By 1e-4, which is what OpenCV's have, faint places of a
            picture full of contrast take half the time. It is not for the differences, nor for a device.

    Returns:
        Scores in float32. Normalised ones lie in [-1, 1] ([0, 1] for sqdiff_normed) and are within ``error`` of the
        definition in exact arithmetic. A flat patch, or a flat template, has no angle: it scores 0 (sqdiff_normed: 1,
        the worst). Scores that are not normalised are as exact as float32 can hold the largest of their block, and
        scaled down to what float32 can hold.

    Raises:
        ShapeError: the shapes do not fit each other; the message gives both.
        OptionError: an unknown method; p, q, error or mask out of range; pixels that are not finite or of another
            type.
        MissingPackageError: a device is given, and torch is not installed.
        DeviceError: torch cannot use that device.

    Source:
        The first six are those of OpenCV's ``matchTemplate``; J. P. Lewis, "Fast Normalized Cross-Correlation" (1995).
        SCS: B. Rohrer (2020).

    Example:
        >>> scene = np.random.default_rng(0).integers(0, 256, (40, 50), dtype=np.uint8)
        >>> found = score_map(scene, scene[12:20, 30:40])
        >>> np.unravel_index(found.scores.argmax(), found.scores.shape) == (12, 30)
        True
    """
    return next(
        score_maps(scene, [template], method, masks=[mask], p=p, q=q, threads=threads, device=device, error=error)
    )


def score_maps(
    scene: Array,
    templates: Sequence[Array],
    method: str = "ccoeff_normed",
    *,
    masks: Sequence[Array | None] | None = None,
    p: float = 2.0,
    q: float = 0.0,
    threads: int | None = None,
    device: str | None = None,
    error: float = PRECISION,
) -> Iterator[ScoreMap]:
    """Compare several templates with every patch of a scene, one map after the other.

    Neighbouring templates of one size and without masks share the scene's transforms and norms. A few maps are made
    at a time, however many templates there are: keep what you need of each and let it go.

    Args:
        scene: see ``score_map``.
        templates: see ``score_map``, of any sizes.
        method: see ``score_map``.
        masks: one, or None, for each template.
        p: see ``score_map``.
        q: see ``score_map``.
        threads: see ``score_map``.
        device: see ``score_map``.
        error: see ``score_map``.

    Returns:
        A map for each template, in their order.

    Raises:
        ShapeError: see ``score_map``, before the first map is made.
        OptionError: likewise.
        MissingPackageError: likewise.
        DeviceError: likewise.
    """
    chosen = method_named(method)
    check_options(p, q)
    if not error >= PRECISION:
        raise OptionError(f"an error that scores may have is {PRECISION:g} or more; {error:g} came")
    picture = as_picture("scene", scene)
    pairs: list[tuple[Array, Weights | None]] = []
    weights: dict[tuple[int, Any], Weights] = {}  # a mask that several templates share is one
    for template, mask in zip(templates, check_masks(masks, len(templates)), strict=True):
        pixels = as_picture("template", template)
        check_template(pixels, picture)
        if mask is None:
            pairs.append((pixels, None))
            continue
        shared = id(mask), pixels.shape
        if shared not in weights:
            weights[shared] = as_weights(mask, pixels.shape)
        pairs.append((pixels, weights[shared]))
    signal = np.ndim(scene) == 1
    if device is not None:
        maps: Iterator[ScoreMap] = _torch_scores(device).score_maps_on(device, picture, pairs, chosen, p, q, signal)
        return maps
    return _score_in_groups(picture, pairs, chosen, p, q, check_threads(threads), signal, error)


def check_device(device: str) -> None:
    """Check that scores can be computed on a device; imports torch, which takes seconds.

    Args:
        device: torch's name of it, such as ``cuda``.

    Raises:
        MissingPackageError: torch is not installed.
        DeviceError: torch cannot use that device.
    """
    _torch_scores(device).usable_device(device)


def _torch_scores(device: str) -> ModuleType:
    try:
        import scs.matching.scoring.torch_scores as torch_scores
    except ModuleNotFoundError:
        raise MissingPackageError(
            f"device '{device[:60]}' needs torch, which is not installed: pip install 'scs-serve[train]'"
        ) from None
    return torch_scores


def _score_in_groups(
    scene: Array,
    templates: list[tuple[Array, Weights | None]],
    method: Method,
    p: float,
    q: float,
    threads: int,
    signal: bool,
    error: float,
) -> Iterator[ScoreMap]:
    scale = magnitude(scene)
    most = max(1, _GROUP_BYTES // (4 * scene.shape[0] * scene.shape[1]))
    for alike in runs_alike(templates):
        while group := list(islice(alike, most)):
            weights = group[0][1]
            kernels = [prepare_kernel(np.moveaxis(pixels, 2, 0) / scale, weights, method) for pixels, _ in group]
            for scores, flat in _Scorer(scene, scale, kernels, weights, method, p, q / scale, threads, error).run():
                if scale != 1 and not method.normalised:
                    scores = in_units(scores, scale)
                yield ScoreMap(scores[0] if signal else scores, flat)


class _Scorer:
    """Scores of a few kernels of one size and one mask, block by block."""

    def __init__(
        self,
        scene: Array,
        scale: float,
        kernels: list[Kernel],
        weights: Weights | None,
        method: Method,
        p: float,
        q: float,
        threads: int,
        error: float,
    ) -> None:
        self._error = error
        self._scene = scene
        self._scale = scale
        self._kernels = kernels
        self._weights = weights
        self._method = method
        self._p = p
        self._q = q
        self._threads = threads
        _, height, width = kernels[0].unit.shape
        self._window: Size = height, width
        self._places: Size = scene.shape[0] - height + 1, scene.shape[1] - width + 1
        self._maps = [np.empty(self._places, np.float32) for _ in kernels]
        self._size, self._blocks = self._plan()
        self._correlators = [make_correlator(kernel.unit, self._size) for kernel in kernels]

    def run(self) -> list[tuple[Scores, float]]:
        """Every kernel's map, and the share of it that is flat."""
        in_order = map if min(self._threads, len(self._blocks)) == 1 else shared_pool(self._threads).map
        flat = sum(in_order(self._score_block, self._blocks)) / (self._places[0] * self._places[1])
        shares = [flat if kernel.norm else float(self._method.normalised) for kernel in self._kernels]
        return list(zip(self._maps, shares, strict=True))

    def _plan(self) -> tuple[Size | None, list[Block]]:
        if self._window[0] * self._window[1] <= DIRECT_PIXELS:
            return None, cut(self._places, _DIRECT_BLOCK)
        return plan_blocks(self._places, self._window, self._threads)

    def _score_block(self, block: Block) -> int:
        """Write one block of every map; the result is how many of its patches are flat."""
        scratch = _scratch()
        method = self._method
        region = Region.of(self._scene, self._scale, block, self._window)
        energy, norms = None, None
        if method.kind == "difference" or method.normalised:
            energy, floor = self._energies(region, block, scratch)
        if energy is not None and method.normalised:
            norms = patch_norms(energy, self._q if method.kind == "similarity" else 0.0, floor)
        self._correlate(region, block, energy if method.kind == "difference" else None, norms, scratch)
        return norms.flat if norms else 0

    def _energies(self, region: Region, block: Block, scratch: Scratch) -> tuple[Energies, float]:
        """Energy of every patch, and that up to which a patch is flat."""
        method = self._method
        epsilon = region.epsilon
        planes: Sequence[Array] = region.planes
        if self._weights is not None:
            padded = region.levelled(self._size, np.float64, scratch)
            if not method.centred:
                padded += np.array(region.levels)[:, None, None]
            sums = self._mask_sums
            epsilon = epsilon if sums.binary else max(epsilon, float(np.finfo(np.float64).eps))
            floor = flat_energy(list(padded), self._window, epsilon)
            energy = sums.energies(padded, method.centred, region.whole, scratch)
            return energy[: block.rows, : block.columns], floor
        if method.centred and not region.whole:
            planes = list(region.levelled(None, planes[0].dtype.type, scratch))
        # A difference is what is left of energies that nearly cancel.
        dtype = np.float64 if method.kind == "difference" else np.float32
        energy = patch_energies(planes, self._window, method.centred, dtype, scratch)
        return energy, flat_energy(planes, self._window, epsilon)

    def _correlate(
        self, region: Region, block: Block, energy: Energies | None, norms: PatchNorms | None, scratch: Scratch
    ) -> None:
        """Write the scores of a block, in the precision that its faintest patch asks for.

        What rounds off in float32 grows with the energy of the block, and counts in proportion to the norm of the
        patch. Where it may show it is measured, and where it does show the block is computed in float64, which takes
        twice the time.
        """
        allowed = self._allowed_error(norms)
        expected = self._correlators[0].rounding(region.energy, region.planes)
        hopeless = expected > _HOPELESS * allowed
        analyse = functools.cache(lambda dtype: self._analyse(region, dtype, scratch))
        rows, columns = slice(block.row, block.row + block.rows), slice(block.column, block.column + block.columns)
        for kernel, correlator, scores in zip(self._kernels, self._correlators, self._maps, strict=True):
            precise = hopeless
            if not hopeless:
                products = correlator.products(analyse(np.float32), scratch)[: block.rows, : block.columns]
                precise = expected > allowed and _SPREAD * sampled_error(region, kernel.unit, products) > allowed
            if precise:
                products = correlator.products(analyse(np.float64), scratch)[: block.rows, : block.columns]
            if not self._method.centred:
                products += products.dtype.type(kernel.unit.sum((1, 2)) @ region.levels)
            there = scores[rows, columns]
            write_scores(products, energy, norms, kernel, self._method, self._p, self._q, there)

    def _analyse(self, region: Region, dtype: type[np.floating[Any]], scratch: Scratch) -> Sequence[Array]:
        return self._correlators[0].analyse(region.levelled(self._size, dtype, scratch), scratch)

    def _allowed_error(self, norms: PatchNorms | None) -> float:
        """Error of a product up to which float32 will do; 0 where it never does."""
        largest_reciprocal = norms.largest_reciprocal if norms else None
        return allowed_error(self._method, self._scene.dtype, self._p, largest_reciprocal, self._error)

    @functools.cached_property
    def _mask_sums(self) -> MaskSums:
        assert self._weights is not None
        return MaskSums(self._weights, self._size)


_threads = threading.local()


def _scratch() -> Scratch:
    """This thread's own scratch memory."""
    if not hasattr(_threads, "scratch"):
        _threads.scratch = Scratch()
    scratch: Scratch = _threads.scratch
    return scratch
