"""Export of a network of torch to an ONNX file that ``scs import`` needs nothing else for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import onnx
from torch import Tensor, nn

from models.imports.labels import unique
from models.imports.preprocess import KEY, parse
from models.imports.torch_sources import export_whole
from scs.errors import OptionError


def export(
    module: nn.Module,
    path: str | Path,
    *,
    example: Tensor,
    labels: Sequence[str] | None = None,
    preprocess: str | None = None,
) -> None:
    """Export a network to an ONNX file, with SCS layers as the op that the service's native kernels run.

    Args:
        module: takes pictures ``(N, C, H, W)``, floating point, and gives logits ``(N, classes)``, or maps. It is not
            changed, and exported as it is for inference.
        path: of the file.
        example: pictures of the size that it is for, ``(N, C, H, W)``; only their size matters.
        labels: names of the classes, which ``scs import`` then need not be given.
        preprocess: how pictures of bytes are prepared, as ``scs import --preprocess`` takes it; likewise.

    Raises:
        OptionError: an example of another form, or preprocessing that cannot be.
        ModelError: torch cannot export the network; the message says why.

    Example:
        >>> import scs, torch, tempfile, pathlib
        >>> network = torch.nn.Sequential(scs.SharpenedCosineSimilarity2d(3, 8, 3), torch.nn.Flatten())
        >>> file = pathlib.Path(tempfile.mkdtemp()) / "net.onnx"
        >>> scs.export(network, file, example=torch.zeros(1, 3, 8, 8), preprocess="0-1")
        >>> file.stat().st_size > 0
        True
    """
    if example.ndim != 4 or not example.is_floating_point():
        raise OptionError(f"an example is a float tensor (N, C, H, W); {example.dtype} {tuple(example.shape)} came")
    height, width = example.shape[2:]
    model = export_whole(module, type(module).__name__, (width, height)).model
    del model.metadata_props[:]
    noted = {}
    if labels is not None:
        noted["labels"] = json.dumps(unique(list(labels)))
    if preprocess is not None:
        parse(preprocess, None)  # whether it can be
        noted[KEY] = preprocess
    onnx.helper.set_model_props(model, noted)
    onnx.save(model, str(path))
