"""From pictures to class probabilities; knows nothing of HTTP."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.card import InputCard, ModelCard
from models.runtime import Array
from scs.errors import OptionError, ScsError, TooLargeError
from service.images import Picture, Size, decode_image, decode_npy
from service.model_store import LoadedModel
from service.schemas import (
    ClassProbability,
    ImagePrediction,
    PredictOptions,
    PredictResponse,
    Ranking,
    TemplateScore,
    Timing,
)
from service.settings import Settings
from service.uploads import NamedBytes, Upload

_SMALLER = "ask for it smaller with resize=1024, say"


def predict(model: LoadedModel, upload: Upload, options: PredictOptions, settings: Settings) -> PredictResponse:
    """Classify pictures; those of one size go through the network together.

    Raises:
        ImageError, UnsupportedImageError, TooLargeError: a picture that cannot or may not be read.
        OptionError: a picture too small for the network, or a template, which is for activations.
    """
    if upload.template is not None:
        raise OptionError("a template is looked for by /activations; /predict takes pictures only")
    started = time.perf_counter()
    pictures = decode(upload.images, model.card.input, options.resize, settings)
    decoded = time.perf_counter()
    logits = _logits(model, [picture for _, picture in pictures], settings.max_analysed_pixels)
    inferred = time.perf_counter()
    predictions = [
        ImagePrediction(
            name=name,
            width=picture.width,
            height=picture.height,
            classes=rank(row, model.card, options.top_k),
        )
        for (name, picture), row in zip(pictures, logits, strict=True)
    ]
    return PredictResponse(
        model=model.card.name,
        version=model.card.version,
        predictions=predictions,
        timing=Timing(decode_ms=milliseconds(started, decoded), inference_ms=milliseconds(decoded, inferred)),
    )


def decode(
    files: Sequence[NamedBytes], wanted: InputCard, resize: str, settings: Settings
) -> list[tuple[str, Picture]]:
    """Decode files to pictures of a network's channels, at the size that ``resize`` asks for.

    An array file may hold several pictures; they are numbered.

    Raises:
        ImageError, UnsupportedImageError, TooLargeError: a picture that cannot or may not be read.
        OptionError: a picture too small for the network.
    """
    pictures: list[tuple[str, Picture]] = []
    scale_to = target_size(resize, wanted)
    # A picture that is not resized is analysed as it is, so its header already says whether it is too large for that.
    most = settings.max_pixels if scale_to else min(settings.max_pixels, settings.max_analysed_pixels)
    for number, file in enumerate(files, start=1):
        try:
            decoded = _decode_file(file, wanted.channels, most, scale_to)
        except ScsError as error:
            which = "" if len(files) == 1 else f"'{file.name}', number {number} of {len(files)}: "
            hint = f"; {_SMALLER}" if isinstance(error, TooLargeError) and scale_to is None else ""
            raise type(error)(f"{which}{error}{hint}") from error
        for name, picture in decoded:
            check_analysed_size(name, picture, wanted, settings)  # before the next file takes more memory
            pictures.append((name, picture))
    return pictures


def target_size(resize: str, wanted: InputCard) -> Size | int | None:
    """What ``resize`` (``card``, ``none`` or a number) means for a network."""
    if resize == "card":
        return (wanted.width, wanted.height) if wanted.resize else None
    return None if resize == "none" else int(resize)


def check_analysed_size(name: str, picture: Picture, wanted: InputCard, settings: Settings) -> None:
    """Refuse a picture that is too small for the network, or too large to run it on.

    Raises:
        OptionError: it is too small; the message gives both sizes.
        TooLargeError: it is too large; the message says what can be done.
    """
    height, width = picture.pixels.shape[:2]
    least_width, least_height = wanted.smallest_size
    if width < least_width or height < least_height:
        needed = f"{least_width} pixels on a side" if least_width == least_height else f"{least_width}x{least_height}"
        raise OptionError(f"the network needs {needed}; '{name}' is {width}x{height}")
    if height * width > settings.max_analysed_pixels:
        raise TooLargeError(
            f"at most {settings.max_analysed_pixels} pixels are analysed; '{name}' is {width}x{height}; {_SMALLER}"
        )


def rank(logits: Array, card: ModelCard, top_k: int) -> Ranking:
    """What a model says of one picture: the most probable classes, or the templates of a bank with the best scores."""
    if card.bank is None:
        return rank_classes(logits, card.labels, top_k)
    order = np.argsort(-logits, kind="stable")[:top_k]
    return [TemplateScore(label=card.labels[i], index=int(i), score=float(logits[i])) for i in order]


def rank_classes(logits: Array, labels: Sequence[str], top_k: int) -> list[ClassProbability]:
    """The most probable classes of one picture, most probable first."""
    probabilities = softmax(logits)
    order = np.argsort(-probabilities, kind="stable")[:top_k]
    return [ClassProbability(label=labels[i], index=int(i), probability=float(probabilities[i])) for i in order]


def softmax(logits: Array) -> NDArray[np.float64]:
    """Probabilities of logits, along the last axis."""
    powers = np.exp(logits.astype(np.float64) - logits.max(-1, keepdims=True))
    share: NDArray[np.float64] = powers / powers.sum(-1, keepdims=True)
    return share


def milliseconds(start: float, end: float) -> float:
    """A span of the performance counter, to the microsecond."""
    return round((end - start) * 1000, 3)


def _decode_file(
    file: NamedBytes, channels: int, max_pixels: int, scale_to: Size | int | None
) -> list[tuple[str, Picture]]:
    if not file.is_npy:
        picture = decode_image(file.content, channels=channels, max_pixels=max_pixels, scale_to=scale_to)
        return [(file.name, picture)]
    batch = decode_npy(file.content, channels=channels, max_pixels=max_pixels, scale_to=scale_to)
    return [(f"{file.name}[{i}]" if len(batch) > 1 else file.name, picture) for i, picture in enumerate(batch)]


def _logits(model: LoadedModel, pictures: Sequence[Picture], most_pixels: int) -> list[Array]:
    """Logits of each picture; pictures of one size share batches of at most ``most_pixels``."""
    by_shape: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for i, picture in enumerate(pictures):
        by_shape[picture.pixels.shape].append(i)
    rows: dict[int, Array] = {}
    for (height, width, _), indices in by_shape.items():
        count = max(1, most_pixels // (height * width))
        for start in range(0, len(indices), count):
            chosen = indices[start : start + count]
            batch = np.stack([pictures[i].pixels for i in chosen])
            rows.update(zip(chosen, model.runtime.logits(batch), strict=True))
    return [rows[i] for i in range(len(pictures))]
