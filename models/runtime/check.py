"""Check that a loaded model is what its card says, by running it on a few pictures."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from models.cards.card import LayerCard, ModelCard
from models.cards.consistency import contradictions
from models.runtime.device import first_line
from models.runtime.pooled import pooled
from models.runtime.session import Array, Images, RunnableModel
from models.runtime.taken import Taken, answers_smallest, find_taken
from scs.errors import ModelError, ScsError

EXACT = 1e-3  # of the logits' range: how far what is pooled of a class map, plus bias, may be from its logit
_MOST_NAMED = 12  # mismatches of one message
_SUM = 1e-2  # from 1, of probabilities that were rounded to halves
_ROUNDING = 1e-4  # of a layer's largest magnitude, below zero, that still counts as no sign


def check_model(model: RunnableModel, card: ModelCard, is_bounded: bool = True) -> Taken:
    """Check a loaded model against its card.

    It is run on a blank, a white and a noisy picture. Its logits have to be finite, one a class, and no probabilities;
    each layer has to have four dimensions, the channels second, and as many of them, units where its receptive field
    says and the sign that it says; and the class map's mean, or its maximum where the card says so, plus the class's
    bias has to be the logit. Then other sizes and a batch are tried.

    Args:
        model: the model.
        card: its card.
        is_bounded: whether the size of an image bounds the work for it; else all images are blank, since what is in
            others may be endless work.

    Returns:
        The sizes and numbers of images that it takes; those of fewer possibilities than the card leaves open are no
        mismatch.

    Raises:
        ModelError: the model is not what the card says; the message lists all that differs.

    Example:
        >>> from models.cards.catalogue import bundled_repository, find
        >>> from models.runtime.load import load_model
        >>> entry = find(bundled_repository(), "mnist-scs")
        >>> check_model(load_model(entry.verified_bytes(), entry.card(), "cpu"), entry.card())
        Taken(fixed=False, one_at_a_time=False)
    """
    _refuse(card, contradictions(card))
    pictures = warm_up_pictures(card) if is_bounded else np.zeros_like(warm_up_pictures(card))
    runs = [_run(model, card, pictures[i : i + 1]) for i in range(len(pictures))]
    _refuse(card, _of_logits(runs, card))
    _refuse(
        card, [found for layer in card.layers for found in _of_layer([run[layer.name] for run in runs], layer, card)]
    )
    _refuse(card, _of_class_map(runs, card))
    taken = find_taken(model, card, pictures, np.concatenate([run["logits"] for run in runs]))
    if not taken.fixed and not answers_smallest(model, card, pictures):
        width, height = card.input.smallest_size
        _refuse(card, [f"smallest is {width}x{height}, and the network has no finite logits for an image of that size"])
    return taken


def warm_up_pictures(card: ModelCard) -> Images:
    """Return a blank, a white and a noisy picture, uint8 ``(3, H, W, C)``, at the size of a card."""
    shape = card.input.height, card.input.width, card.input.channels
    noise = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    return np.stack([np.zeros(shape, np.uint8), np.full(shape, 255, np.uint8), noise])


def _refuse(card: ModelCard, mismatches: list[str]) -> None:
    if mismatches:
        more = [f"and {len(mismatches) - _MOST_NAMED} more"] if len(mismatches) > _MOST_NAMED else []
        listed = "; ".join([*mismatches[:_MOST_NAMED], *more])
        raise ModelError(f"{card.name} {card.version} is not what its card says: {listed}")


def _run(model: RunnableModel, card: ModelCard, picture: Images) -> dict[str, Array]:
    """Return the logits and every layer of one picture; the logits are those of the way that has no layers."""
    try:
        values = model.layers(picture, [layer.name for layer in card.layers])
        return values | {"logits": model.logits(picture)}
    except ScsError:
        raise
    except Exception as error:  # each runtime raises classes of its own
        raise ModelError(
            f"{card.name} {card.version} did not answer a {'noisy' if picture.any() else 'blank'} image: "
            f"{first_line(error)}"
        ) from error


def _of_logits(runs: list[dict[str, Array]], card: ModelCard) -> list[str]:
    logits = [run["logits"] for run in runs]
    if logits[0].shape != (1, len(card.labels)):
        return [f"it needs {len(card.labels)} logits an image; {logits[0].shape} came"]
    if not all(np.isfinite(each).all() for each in logits):
        return ["the logits of a blank, white or noisy image are not all finite"]
    if card.bank is None and len(card.labels) > 1 and all(_are_probabilities(each) for each in logits):
        return ["its logits are probabilities: leave out the softmax at its end"]
    return []


def _are_probabilities(logits: Array) -> bool:
    return bool(logits.min() >= 0 and abs(float(logits.sum(dtype=np.float64)) - 1) <= _SUM)


def _of_layer(maps: list[Array], layer: LayerCard, card: ModelCard) -> Iterator[str]:
    """Yield what a layer's maps, of one picture each, have else than the card says."""
    shape = maps[0].shape
    if len(shape) != 4 or shape[:2] != (1, layer.channels) or min(shape) < 1:
        yield f"layer '{layer.name}' needs maps (1, {layer.channels}, height, width); {shape} came"
        return
    if not all(np.isfinite(each).all() for each in maps):
        yield f"layer '{layer.name}' is not finite for a blank, white or noisy image"
        return
    if not layer.signed and any(each.min() < -_ROUNDING * np.abs(each).max() for each in maps):
        yield f"layer '{layer.name}' is said to have no negative values, and has some"
    field = layer.receptive_field
    sides = ("down", shape[2], field.size, card.input.height), ("across", shape[3], field.across, card.input.width)
    for (way, units, size, pixels), stride, offset in zip(sides, field.strides, field.offsets, strict=True):
        if not _lie_in_picture(units, size, stride, offset, pixels):
            yield (
                f"layer '{layer.name}' has {units} units {way} {pixels} pixels, most of which its receptive field, "
                f"with a size of {size}, a stride of {stride} and an offset of {offset}, puts elsewhere"
            )


def _lie_in_picture(units: int, size: int, stride: int, offset: int, pixels: int) -> bool:
    """Return whether the first unit sees the picture, and so do half of all, and half of the picture is seen.

    A receptive field may be estimated, or differ a little from picture to picture; here only nonsense is refused.
    """
    middle, last = offset + (units - 1) // 2 * stride, offset + (units - 1) * stride
    return offset + size > 0 and middle < pixels and last + size >= pixels / 2


def _of_class_map(runs: list[dict[str, Array]], card: ModelCard) -> list[str]:
    if card.class_map is None:
        return []
    logits = np.concatenate([run["logits"] for run in runs]).astype(np.float64)
    found = np.concatenate([pooled(run[card.class_map], card.class_pooling) for run in runs])
    error = float(np.abs(found + np.array(card.class_bias) - logits).max())
    spread = float(np.ptp(logits)) or 1.0
    if error <= EXACT * spread:
        return []
    return [
        f"the {card.class_pooling} of the class map '{card.class_map}' plus class_bias needs to be the logit; "
        f"it is {error:.3g} away, and the logits' range is {spread:.3g}"
    ]
