"""Parity check: whether an exported model gives the same logits as its network."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from models.networks import Network
from models.runtime.load import Images, RunnableModel
from scs.errors import ExportError
from scs.nn.layers import MaxAbsPool2d

LARGEST_DIFFERENCE = 1e-4
_RANDOM_SIZES = ((32, 32), (28, 28), (8, 8), (47, 33), (48, 64))
_RANDOM_IMAGES = 32
_MOST_EXCUSED = 0.1
_ROUNDING = 2e-6  # of the largest value of a map; twice what was seen between torch, ONNX Runtime and float64


@torch.no_grad()
def check_parity(network: Network, model: RunnableModel, real: Images) -> float:
    """Compare an exported model with its network on random images of several sizes and on real ones.

    Max-abs pooling jumps where two values of a window are opposite and equally large: there, rounding alone decides the
    sign, and either logits are right. An image that differs is excused if it has such a window, see :func:`decided`;
    but of each size most images have to agree.

    Returns:
        The largest difference between logits, of the images not excused.

    Raises:
        ExportError: it is above ``LARGEST_DIFFERENCE``, the two put an image in different classes, or too many images
            of a size would have to be excused.
    """
    random = np.random.default_rng(0)
    smallest, channels = network.smallest_image, network.channels
    batches = [real]
    for height, width in _RANDOM_SIZES:
        size = (_RANDOM_IMAGES, max(height, smallest), max(width, smallest), channels)
        batches.append(random.integers(0, 256, size, dtype=np.uint8))
    largest = 0.0
    for images in batches:
        expected, came = network(torch.from_numpy(images)).numpy(), model.logits(images)
        differences = np.abs(expected - came).max(1)
        agree = (differences <= LARGEST_DIFFERENCE) & (expected.argmax(1) == came.argmax(1))  # NaN does not
        excused = ~agree & ~decided(network, images)
        if (~agree & ~excused).any():
            worst = differences[~agree & ~excused].max()
            raise ExportError(
                f"logits may differ by {LARGEST_DIFFERENCE} and name the same class; at {images.shape} they differ by "
                f"{worst:.2g} or name another"
            )
        if excused.mean() > _MOST_EXCUSED:
            raise ExportError(
                f"rounding decides the logits of {excused.sum()} of {len(images)} images: too many to compare"
            )
        largest = max(largest, float(differences[agree].max()))
    return largest


@torch.no_grad()
def decided(network: Network, images: Images) -> npt.NDArray[np.bool_]:
    """Return which images have no tie in max-abs pooling: opposite values in a window, equally large to rounding.

    Args:
        network: with or without max-abs pooling; without, every image is decided.
        images: ``(N, H, W, C)``.

    Returns:
        ``(N,)``.
    """
    certain = torch.ones(len(images), dtype=torch.bool)

    def look(pool: MaxAbsPool2d, inputs: tuple[Tensor, ...]) -> None:
        (maps,) = inputs
        rounding = _ROUNDING * maps.abs().amax((1, 2, 3), keepdim=True)
        window = pool.kernel_size, pool.stride
        highest, lowest = F.max_pool2d(maps, *window), -F.max_pool2d(-maps, *window)
        tied = ((highest + lowest).abs() <= rounding) & (highest > rounding)
        certain.logical_and_(~tied.flatten(1).any(1))

    pools = [module for module in network.modules() if isinstance(module, MaxAbsPool2d)]
    hooks = [pool.register_forward_pre_hook(look) for pool in pools]
    try:
        network(torch.from_numpy(images))
    finally:
        for hook in hooks:
            hook.remove()
    return certain.numpy()
