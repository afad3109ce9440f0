"""From a trained network to a file that runs without it: ONNX, or TorchScript.

Agreement with the network is part of exporting: a file whose logits differ is not written.
"""

from __future__ import annotations

import copy
import hashlib
import io
import logging
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch
import torch.nn.functional as F
from onnx_ir import serde
from torch import Tensor, nn

from models import onnx_op
from models.card import (
    CARD_FILE,
    Format,
    InputCard,
    LayerCard,
    ModelCard,
    ReceptiveFieldCard,
    SeedCard,
    TrainingCard,
    write_card,
)
from models.datasets import Dataset
from models.evaluation import evaluate
from models.networks import CLASS_MAP, FAMILIES, Network
from models.receptive_field import receptive_fields
from models.runtime import Images, RunnableModel, load_model
from models.training import load_network
from scs.errors import ExportError, OptionError
from scs.layers import MaxAbsPool2d, SharpenedCosineSimilarity2d
from scs.similarity import resolve_padding

LARGEST_DIFFERENCE = 1e-4
_REAL_IMAGES = 256
_RANDOM_SIZES = ((32, 32), (28, 28), (8, 8), (47, 33), (48, 64))
_RANDOM_IMAGES = 32
_ROUNDING = 2e-6  # of the largest value of a map; twice what was seen between torch, ONNX Runtime and float64


def export_runs(
    name: str, runs: Sequence[Path], dataset: Dataset, repository: Path, version: int, file_format: Format = "onnx"
) -> ModelCard:
    """Export the best of several trainings that differ in their seed, measure the file and write it with its card.

    The best is the one with the highest accuracy on the images held back from training; the test images are only
    measured.

    Args:
        name: of the model in the repository.
        runs: folders of finished trainings of one recipe.
        dataset: the data they were trained on; its images take part in the check against the network.
        repository: folder of models; ``<name>/<version>/`` is written in it, replacing what was there.
        version: a number from 1.
        file_format: ``"onnx"`` or ``"torchscript"``.

    Returns:
        The card that was written.

    Raises:
        ExportError: the file does not agree with the network; nothing is written.
        DataError: a run is not finished.
        OptionError: the runs are of different recipes, or there are none.
    """
    if not runs:
        raise OptionError("an export needs at least one finished training; none came")
    finished = sorted((load_network(run) for run in runs), key=lambda pair: int(pair[1]["seed"]))
    if any(result["recipe"] != finished[0][1]["recipe"] for _, result in finished):
        raise OptionError("runs to choose from need the same recipe; these have different ones")
    network, best = max(finished, key=lambda pair: float(pair[1]["validation_accuracy"]))

    content = export_onnx(network) if file_format == "onnx" else export_torchscript(network)
    card = _card(name, version, file_format, content, network, best, [result for _, result in finished], dataset)
    model = load_model(content, card, "cpu")
    every = max(1, len(dataset.test_images) // _REAL_IMAGES)  # a file may be sorted by class
    check_parity(network, model, np.ascontiguousarray(dataset.test_images[::every]))
    measured = evaluate(model, dataset).card(dataset.name, str(best["note"]))
    card = card.model_copy(update={"accuracy": measured})
    _write(repository / name / str(version), content, card)
    return card


def export_onnx(network: Network) -> bytes:
    """A network as one self-contained ONNX file, SCS layers as the op of :mod:`models.onnx_op`, layers named."""
    portable = _Portable(network)
    example = torch.zeros(2, 40, 48, network.channels, dtype=torch.uint8)
    free = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC, 2: torch.export.Dim.DYNAMIC}
    outputs = ["logits", *network.layer_names]
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it tells of every package that is not installed
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns of its own internals
        program = torch.onnx.export(
            portable,
            (example,),
            dynamo=True,
            verbose=False,
            input_names=["image"],
            output_names=outputs,
            dynamic_shapes=(free,),
            opset_version=onnx_op.ONNX_OPSET,
        )
    assert program is not None
    model = serde.serialize_model(program.model)
    del model.graph.output[1:]  # the layers stay in the graph under their names; only the logits leave it
    _name_dimensions(model, network)
    del model.metadata_props[:], model.graph.metadata_props[:]
    for node in model.graph.node:
        del node.metadata_props[:]  # stack traces with paths of the machine that exported
        node.doc_string = ""
    onnx_op.attach(model)
    onnx.checker.check_model(model, full_check=True)
    content: bytes = model.SerializeToString()
    return content


def export_torchscript(network: Network) -> bytes:
    """A network as TorchScript: ``forward`` gives the logits, ``layers`` a dictionary of those and every map."""
    example = torch.zeros(1, 32, 32, network.channels, dtype=torch.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch calls TorchScript deprecated
        traced = torch.jit.trace_module(
            _WithNamedLayers(copy.deepcopy(network)), {"forward": example, "layers": example}, strict=False
        )
        buffer = io.BytesIO()
        torch.jit.save(traced, buffer)
    return _without_stack_traces(buffer)


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


class _OnnxSimilarity(nn.Module):
    """Stands for a layer while a network is exported, and calls the ONNX op by name."""

    def __init__(self, layer: SharpenedCosineSimilarity2d) -> None:
        super().__init__()
        depthwise = layer.groups == layer.in_channels == layer.out_channels
        if not (layer.groups == 1 or depthwise) or layer.padding_mode != "zeros":
            raise ExportError("the op exports one group or depthwise layers, padded with zeros; another kind came")
        before, after = resolve_padding(layer.padding, layer.kernel_size, layer.dilation)
        if any(pad >= size for pad, size in zip(after, layer.kernel_size, strict=True)):  # the longer side
            raise ExportError(f"the op is padded by less than its kernel; {after} came for {layer.kernel_size}")
        self.attributes: dict[str, Any] = {
            "kernel_shape": list(layer.kernel_size),
            "pads": [*before, *after],
            "strides": list(layer.stride),
            "dilations": list(layer.dilation),
            "group": layer.groups,
        }
        self.layer = layer
        self.p: Tensor
        self.q: Tensor
        self.register_buffer("p", layer.p.detach())
        self.register_buffer("q", layer.q.detach())

    def forward(self, x: Tensor) -> Tensor:
        pads, kernel, dilations, strides = (
            self.attributes[k] for k in ("pads", "kernel_shape", "dilations", "strides")
        )
        size = [
            (x.shape[2 + i] + pads[i] + pads[2 + i] - dilations[i] * (kernel[i] - 1) - 1) // strides[i] + 1
            for i in range(2)
        ]
        y = torch.onnx.ops.symbolic(
            f"{onnx_op.DOMAIN}::{onnx_op.SIMILARITY}",
            (x, self.layer.weight, self.p, self.q),
            self.attributes,
            dtype=x.dtype,
            shape=(x.shape[0], self.layer.out_channels, *size),
            version=onnx_op.VERSION,
        )
        return y if self.layer.gain is None else y * self.layer.gain


class _Portable(nn.Module):
    """A copy of a network whose SCS layers are the op, and whose outputs are the logits and every layer."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = copy.deepcopy(network).eval()
        for name, layer in list(self.network.named_modules()):
            if isinstance(layer, SharpenedCosineSimilarity2d):
                parent, _, leaf = name.rpartition(".")
                setattr(self.network.get_submodule(parent), leaf, _OnnxSimilarity(layer))

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        maps = self.network.layers(image)
        return maps[CLASS_MAP].mean((2, 3)) + self.network.bias, *maps.values()


class _WithNamedLayers(nn.Module):
    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network.eval()

    def forward(self, image: Tensor) -> Tensor:
        logits: Tensor = self.network(image)
        return logits

    def layers(self, image: Tensor) -> dict[str, Tensor]:
        maps = self.network.layers(image)
        return {"logits": maps[CLASS_MAP].mean((2, 3)) + self.network.bias, **maps}


def _without_stack_traces(file: io.BytesIO) -> bytes:
    """A TorchScript file without its debugging records, which hold paths of the machine that exported."""
    kept = io.BytesIO()
    with zipfile.ZipFile(file) as before, zipfile.ZipFile(kept, "w") as after:
        for member in before.infolist():
            if not member.filename.endswith(".debug_pkl"):
                after.writestr(member, before.read(member))
    return kept.getvalue()


def _name_dimensions(model: onnx.ModelProto, network: Network) -> None:
    for value, names in ((model.graph.input[0], ("N", "H", "W")), (model.graph.output[0], ("N",))):
        for dimension, name in zip(value.type.tensor_type.shape.dim, names, strict=False):
            dimension.dim_param = name
    model.graph.name = f"{network.family}_net"
    del model.graph.value_info[:]


def _card(
    name: str,
    version: int,
    file_format: Format,
    content: bytes,
    network: Network,
    best: dict[str, Any],
    tried: list[dict[str, Any]],
    dataset: Dataset,
) -> ModelCard:
    height, width, channels = dataset.train_images.shape[1:]
    fields = receptive_fields(network)
    widths = dict(zip(network.layer_names, [*network.widths, network.classes], strict=True))
    signed = FAMILIES[network.family].signed
    kind = "Sharpened cosine similarity" if network.family == "scs" else "Convolution"
    return ModelCard(
        name=name,
        version=version,
        description=f"{kind} classifier of {dataset.name} images.",
        format=file_format,
        sha256=hashlib.sha256(content).hexdigest(),
        family=network.family,
        parameters=sum(p.numel() for p in network.parameters()),
        input=InputCard(width=width, height=height, channels=channels, smallest=network.smallest_image),
        labels=list(dataset.classes),
        layers=[
            LayerCard(
                name=layer,
                tensor=layer,
                channels=widths[layer],
                receptive_field=ReceptiveFieldCard(size=field.size, stride=field.stride, offset=field.offset),
                signed=signed or layer == CLASS_MAP,
            )
            for layer, field in fields.items()
        ],
        class_map=CLASS_MAP,
        class_bias=network.bias.tolist(),
        training=TrainingCard(
            recipe=dict(best["recipe"]),
            seed=best["seed"],
            seeds=[SeedCard(**{key: result[key] for key in SeedCard.model_fields}) for result in tried],
            torch=best["torch"],
            git_commit=best["git_commit"],
        ),
    )


def _write(folder: Path, content: bytes, card: ModelCard) -> None:
    """Write file and card, each whole, the card last: a card never describes a file that is not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    writers: dict[str, Callable[[Path], object]] = {
        card.file_name: lambda path: path.write_bytes(content),
        CARD_FILE: lambda path: write_card(card, path),
    }
    for name, write in writers.items():
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".", delete=False) as unfinished:
            path = Path(unfinished.name)
        try:
            write(path)
            path.chmod(0o644)
            path.replace(folder / name)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
