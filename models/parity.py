"""Does an exported model say what its network says?"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from models.networks import Network
from models.runtime import Images, RunnableModel
from scs.errors import ExportError
from scs.layers import MaxAbsPool2d

LARGEST_DIFFERENCE = 1e-4
_RANDOM_SIZES = ((32, 32), (28, 28), (8, 8), (47, 33), (48, 64))
_RANDOM_IMAGES = 32
_ROUNDING = 2e-6  # of the largest value of a map; twice what was seen between torch, ONNX Runtime and float64


@torch.no_grad()
def check_parity(network: Network, model: RunnableModel, real: Images) -> float:
    """Compare an exported model with its network on random images of several sizes and on real ones.

    Max-abs pooling jumps where two values of a window are opposite and equally large: there, rounding alone decides the
    sign, and either logits are right. Images with such a window are left out; see :func:`decided`.

    Returns:
        The largest difference between logits.

    Raises:
        ExportError: it is above ``LARGEST_DIFFERENCE``, the two put an image in different classes, or no image of
            a size could be compared.
    """
    random = np.random.default_rng(0)
    smallest, channels = network.smallest_image, network.channels
    batches = [real]
    for height, width in _RANDOM_SIZES:
        size = (_RANDOM_IMAGES, max(height, smallest), max(width, smallest), channels)
        batches.append(random.integers(0, 256, size, dtype=np.uint8))
    largest = 0.0
    for images in batches:
        compared = images[decided(network, images)]
        if len(compared) == 0:
            raise ExportError(f"nothing could be compared: rounding decides the logits of all images of {images.shape}")
        expected, came = network(torch.from_numpy(compared)).numpy(), model.logits(compared)
        difference = float(np.abs(expected - came).max())
        if not difference <= LARGEST_DIFFERENCE:  # so that NaN fails, too
            raise ExportError(
                f"logits may differ by {LARGEST_DIFFERENCE}; at {images.shape} they differ by {difference:.2g}"
            )
        largest = max(largest, difference)
        if (expected.argmax(1) != came.argmax(1)).any():
            raise ExportError(f"the file and the network put images of {images.shape} in different classes")
    return largest


@torch.no_grad()
def decided(network: Network, images: Images) -> npt.NDArray[np.bool_]:
    """Whether no max-abs pooling window of an image holds opposite values as large as each other, to rounding.

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
        highest, lowest = F.max_pool2d(maps, pool.kernel_size), -F.max_pool2d(-maps, pool.kernel_size)
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
