"""From pictures to class probabilities; knows nothing of HTTP."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from models.cards.card import InputCard, ModelCard
from models.runtime.load import Array, Images
from scs.errors import OptionError, ScsError, TooLargeError
from service.api.files import NamedBytes, Upload
from service.api.predict import PredictOptions, PredictResponse
from service.api.ranking import ClassProbability, Ranking, TemplateScore
from service.pictures.decode import Picture, Size, decode_image, decode_npy
from service.repository.loader import LoadedModel
from service.settings import Settings

NamedPictures = list[tuple[str, Picture]]

_SMALLER = "ask for it smaller with resize=1024, say"


def predict(model: LoadedModel, upload: Upload, options: PredictOptions, settings: Settings) -> PredictResponse:
    """Classify pictures here and now, without a queue; those of one size go through the network together.

    Raises:
        ImageError, UnsupportedImageError, TooLargeError: a picture that cannot or may not be read.
        OptionError: a picture too small for the network, or a template, which is for activations.
    """
    refuse_template(upload)
    started = time.perf_counter()
    pictures = decode(upload.images, model.card.input, options.resize, settings)
    decoded = time.perf_counter()
    logits: dict[int, Array] = {}
    for numbers, images in batches(pictures, settings.max_analysed_pixels):
        logits.update(zip(numbers, model.runtime.logits(images), strict=True))
    timing = {"decode_ms": milliseconds(started, decoded), "inference_ms": milliseconds(decoded, time.perf_counter())}
    return PredictResponse.model_validate(to_predictions(model.card, pictures, logits, options.top_k, timing))


def refuse_template(upload: Upload) -> None:
    """Refuse a template.

    Raises:
        OptionError: one came.
    """
    if upload.template is not None:
        raise OptionError("a template is looked for by /activations; /predict takes pictures only")


def to_predictions(
    card: ModelCard, pictures: NamedPictures, logits: Mapping[int, Array], top_k: int, timing: dict[str, float]
) -> dict[str, Any]:
    """A :class:`service.api.predict.PredictResponse` in plain values, from the pictures and their logits by number.

    Of what this service has made itself nothing needs checking, which takes as long as writing it down.
    """
    predictions = [
        {"name": name, "width": picture.width, "height": picture.height, "classes": rank(logits[number], card, top_k)}
        for number, (name, picture) in enumerate(pictures)
    ]
    return {"model": card.name, "version": card.version, "predictions": predictions, "timing": timing}


def batches(pictures: NamedPictures, most_pixels: int) -> Iterator[tuple[list[int], Images]]:
    """Pictures of one size together, ``(n, H, W, C)`` of at most so many pixels unless it is one, and their numbers."""
    if len(pictures) == 1:
        yield [0], pictures[0][1].pixels[None]
        return
    by_shape: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for number, (_, picture) in enumerate(pictures):
        by_shape[picture.pixels.shape].append(number)
    for (height, width, _), numbers in by_shape.items():
        count = max(1, most_pixels // (height * width))
        for start in range(0, len(numbers), count):
            chosen = numbers[start : start + count]
            yield chosen, np.stack([pictures[number][1].pixels for number in chosen])


def decode(files: Sequence[NamedBytes], wanted: InputCard, resize: str, settings: Settings) -> NamedPictures:
    """Decode files to pictures of a network's channels, at the size that ``resize`` asks for.

    An array file may hold several pictures; they are numbered.

    Raises:
        ImageError, UnsupportedImageError, TooLargeError: a picture that cannot or may not be read.
        OptionError: a picture too small for the network.
    """
    pictures: NamedPictures = []
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
    values = logits.tolist()
    best = sorted(range(len(values)), key=values.__getitem__, reverse=True)[:top_k]
    if card.bank is not None:
        return [TemplateScore(card.labels[i], i, values[i]) for i in best]
    probabilities = softmax(values)
    return [ClassProbability(card.labels[i], i, probabilities[i]) for i in best]


def softmax(logits: Sequence[float]) -> list[float]:
    """Probabilities of one picture's logits. For tens of classes plain numbers are faster than an array."""
    largest = max(logits)
    powers = [math.exp(each - largest) for each in logits]
    total = sum(powers)
    return [power / total for power in powers]


def milliseconds(start: float, end: float) -> float:
    """A span of the performance counter, to the microsecond."""
    return round((end - start) * 1000, 3)


def _decode_file(file: NamedBytes, channels: int, max_pixels: int, scale_to: Size | int | None) -> NamedPictures:
    if not file.is_npy:
        picture = decode_image(file.content, channels=channels, max_pixels=max_pixels, scale_to=scale_to)
        return [(file.name, picture)]
    batch = decode_npy(file.content, channels=channels, max_pixels=max_pixels, scale_to=scale_to)
    return [(f"{file.name}[{i}]" if len(batch) > 1 else file.name, picture) for i, picture in enumerate(batch)]
