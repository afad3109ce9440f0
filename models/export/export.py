"""Export of the best of several trained networks: the model file, its measurements, and its card.

Agreement with the network is part of exporting: a file whose logits differ is not written.
"""

from __future__ import annotations

import hashlib
import math
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from models.cards.card import (
    CARD_FILE,
    CARD_VERSION,
    DataCard,
    Format,
    InputCard,
    LayerCard,
    ModelCard,
    ReceptiveFieldCard,
    SeedCard,
    TrainingCard,
    write_card,
)
from models.datasets.dataset import Dataset, affordable, evenly
from models.evaluation.accuracy import evaluate
from models.evaluation.equivariance import MOST_IMAGES, equivariance_error
from models.export.fine_tuned_file import check_tuned, export_fine_tuned, tuned_card
from models.export.onnx_file import export_onnx
from models.export.parity import check_parity
from models.export.receptive_field import receptive_fields
from models.export.torchscript_file import export_torchscript
from models.networks import CLASS_MAP, Network
from models.normalisation import Normalise
from models.onnx.compose import composed
from models.runtime.load import Images, RunnableModel, load_model
from models.training.fine_tuned import FineTuned
from models.training.runs import load_network
from scs.errors import DataError, OptionError

_REAL_IMAGES = 256
_NORMALISED: dict[Normalise, str] = {
    "none": "",
    "stretch": ", each stretched to its range first",
    "standardise": ", each standardised first",
}


def export_runs(
    name: str,
    runs: Sequence[Path],
    dataset: Dataset,
    repository: Path,
    version: int,
    file_format: Format = "onnx",
    compose: bool = False,
) -> ModelCard:
    """Export the best of several trainings that differ in their seed, measure the file and write it with its card.

    The best is the one with the highest accuracy on the images held back from training, and of several such with the
    lowest loss on them; the test images are only measured.

    Args:
        name: of the model in the repository.
        runs: folders of finished trainings of one recipe.
        dataset: the data they were trained on; its images take part in the check against the network.
        repository: folder of models; ``<name>/<version>/`` is written in it, replacing what was there.
        version: a number from 1.
        file_format: ``"onnx"`` or ``"torchscript"``.
        compose: merge linear neighbours where that is exact, see :mod:`models.onnx.compose`; the card still counts the
            parameters of the network.

    Returns:
        The card that was written.

    Raises:
        ExportError: the file does not agree with the network; nothing is written.
        DataError: a run is not finished, or was on other data.
        OptionError: the runs are of different recipes, or there are none; or a TorchScript file shall be composed.
    """
    if not runs:
        raise OptionError("an export needs at least one finished training; none came")
    if compose and file_format != "onnx":
        raise OptionError(f"only an ONNX file is composed; {file_format} was asked for")
    finished = sorted((load_network(run) for run in runs), key=lambda pair: int(pair[1]["seed"]))
    if any(result["recipe"] != finished[0][1]["recipe"] for _, result in finished):
        raise OptionError("runs to choose from need the same recipe; these have different ones")
    network, best = max(finished, key=lambda pair: _held_back(pair[1]))
    if any(result.get("data", dataset.sha256) != dataset.sha256 for _, result in finished):
        raise DataError(f"an export measures on the data of its training; {dataset.name} has others than then")

    training = _training_card(best, [result for _, result in finished])
    if isinstance(network, FineTuned):
        content, card, model = _tuned(network, name, version, dataset, file_format, compose)
    else:
        content, card, model = _trained(network, name, version, dataset, file_format, compose)
    measured = evaluate(model, dataset).card(dataset.name, str(best["note"]))
    card = card.model_copy(update={"accuracy": measured, "training": training})
    shown = evenly(dataset.test_images, affordable(MOST_IMAGES, dataset.test_images))
    if not isinstance(network, FineTuned) and len(shown) > 1:
        (shifted,) = equivariance_error(model, card, shown)
        card = card.model_copy(update={"equivariance": shifted.card(dataset.name)})
    _write(repository / name / str(version), content, card)
    return card


def _trained(
    network: Network, name: str, version: int, dataset: Dataset, file_format: Format, compose: bool
) -> tuple[bytes, ModelCard, RunnableModel]:
    content = export_onnx(network) if file_format == "onnx" else export_torchscript(network)
    if compose:
        content = composed(content, network.layer_names)
    card = _card(name, version, file_format, content, network, dataset)
    model = load_model(content, card, "cpu")
    check_parity(network, model, _real(dataset))
    return content, card, model


def _tuned(
    network: FineTuned, name: str, version: int, dataset: Dataset, file_format: Format, compose: bool
) -> tuple[bytes, ModelCard, RunnableModel]:
    if file_format != "onnx" or compose:
        raise OptionError(f"a network that started from {network.start.card.name} is exported as ONNX, as it came")
    content = export_fine_tuned(network)
    card = tuned_card(network, content, name, version, list(dataset.classes), dataset.name)
    card = card.model_copy(update={"input": _input_card(dataset, card.input)})
    model = load_model(content, card, "cpu")
    check_tuned(network, model, _real(dataset))
    return content, card, model


def _input_card(dataset: Dataset, base: InputCard) -> InputCard:
    """Return the input that the test images have, and how pictures come to it."""
    height, width = dataset.test_images.shape[1:3]
    return base.model_copy(
        update={"width": width, "height": height, "geometry": dataset.own.geometry if dataset.own else None}
    )


def _real(dataset: Dataset) -> Images:
    return np.ascontiguousarray(evenly(dataset.test_images, affordable(_REAL_IMAGES, dataset.test_images)))


def _held_back(result: dict[str, Any]) -> tuple[float, float]:
    """How a training did on the images held back, more is better; the first trainings did not tell their loss."""
    return float(result["validation_accuracy"]), -float(result.get("validation_loss", math.inf))


def _training_card(best: dict[str, Any], tried: list[dict[str, Any]]) -> TrainingCard:
    own = best.get("own")
    data = None
    if own is not None:
        counts = {key: own[key] for key in ("name", "split_seed", "train", "validation", "test")}
        data = DataCard(sha256=best["data"], left_out=len(own["left_out"]), **counts)
    return TrainingCard(
        data=data,
        recipe=dict(best["recipe"]),
        seed=best["seed"],
        stopped=best.get("stopped"),
        seeds=[SeedCard(**{key: result[key] for key in SeedCard.model_fields}) for result in tried],
        torch=best["torch"],
        git_commit=best["git_commit"],
    )


def _card(
    name: str, version: int, file_format: Format, content: bytes, network: Network, dataset: Dataset
) -> ModelCard:
    height, width, channels = dataset.test_images.shape[1:]
    fields = receptive_fields(network)
    widths = dict(zip(network.layer_names, [*network.widths, network.classes], strict=True))
    kind = "Sharpened cosine similarity" if network.family == "scs" else "Convolution"
    sees_all = network.normalise != "none"  # by the statistics of the picture
    return ModelCard(
        card_version=CARD_VERSION,
        name=name,
        version=version,
        description=f"{kind} classifier of {dataset.name} images{_NORMALISED[network.normalise]}.",
        format=file_format,
        sha256=hashlib.sha256(content).hexdigest(),
        family=network.family,
        parameters=sum(p.numel() for p in network.parameters()),
        input=_input_card(
            dataset, InputCard(width=width, height=height, channels=channels, smallest=network.smallest_image)
        ),
        labels=list(dataset.classes),
        layers=[
            LayerCard(
                name=layer,
                tensor=layer,
                channels=widths[layer],
                receptive_field=ReceptiveFieldCard(
                    size=field.size, stride=field.stride, offset=field.offset, everywhere=sees_all
                ),
                signed=network.signed or layer == CLASS_MAP,
            )
            for layer, field in fields.items()
        ],
        class_map=CLASS_MAP,
        class_bias=network.bias.tolist(),
    )


def _write(folder: Path, content: bytes, card: ModelCard) -> None:
    """Write file and card, each atomically, the card last, so that it never describes a file that is not there yet."""
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
