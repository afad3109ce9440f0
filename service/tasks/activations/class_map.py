"""The class map of ``/activations``: by which method, of which layer, at what work, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.cards.card import ModelCard, Pooling
from models.explain.maps import eigen_cam, grad_cam, layer_cam
from models.explain.masking import count_occluded, occlusion, score_cam
from models.explain.methods import BY_GRADIENT, SIGNED, WITHOUT_GRADIENT, Method
from models.runtime.load import Array, Gradients
from models.runtime.pooled import pooled
from scs.errors import GradientError, OptionError, TooLargeError
from service.api.activations import ActivationOptions
from service.pictures.picture import Picture
from service.repository.loader import LoadedModel
from service.settings import Settings
from service.tasks.activations.choice import chosen_class, chosen_layer

_NO_PLACE = ".class_token"  # at the end of a layer's name
_MOST_TRIED = 5  # layers, from the last; each takes a pass through the network


@dataclass(frozen=True)
class ClassQuestion:
    """A class that is to be explained: its number, by which method, and of which layer, None for occlusion.

    Where nobody named a layer, a gradient may be by one of ``others`` instead: a transformer's last patches, say, have
    no influence on its logits.
    """

    index: int
    method: Method
    layer: str | None
    others: Sequence[str] = ()

    @property
    def needed(self) -> list[str]:
        """The layers whose maps the answer is made of."""
        return [self.layer] if self.layer and self.method not in BY_GRADIENT else []


@dataclass(frozen=True)
class SeenClass:
    """A class map ``(H, W)``; where it is exact, what is pooled of it plus ``bias`` is the logit."""

    index: int
    label: str
    method: Method
    layer: str | None
    values: Array
    pooling: Pooling | None
    bias: float | None
    logit: float
    signed: bool

    @property
    def is_exact(self) -> bool:
        """Whether the mean of the map, or its maximum, plus the bias is the logit."""
        return self.pooling is not None

    def pooled(self, pooling: Pooling) -> float:
        """Return the mean or the maximum of the map."""
        return float(pooled(self.values, pooling))


def class_question(card: ModelCard, options: ActivationOptions) -> ClassQuestion | None:
    """Return what is asked of a class, or None where no class is named.

    Raises:
        OptionError: a method or a layer without a class, a model without classes, an exact map where there is none.
        UnknownNameError: the network has no such class or layer.
    """
    if options.class_name is None:
        if options.method or options.class_layer:
            raise OptionError("method and class_layer say how a class is explained and need class; it did not come")
        return None
    if card.bank is not None and options.method is None:
        raise OptionError(f"{card.name} has no class maps: a template's map is a channel of its layer")
    if not card.labels:
        raise OptionError(f"{card.name} has no classes; its layers can be shown without one")
    index = chosen_class(card, options.class_name)
    method = options.method or ("gradcam" if card.class_map is None else "exact")
    layer = _layer(card, method, options.class_layer)
    before = [] if options.class_layer or method not in BY_GRADIENT else _shown_layers(card)[:-1][:-_MOST_TRIED:-1]
    return ClassQuestion(index, method, layer, before)


def _layer(card: ModelCard, method: Method, name: str | None) -> str | None:
    if method == "occlusion":
        if name:
            raise OptionError(f"occlusion explains a class without any layer; class_layer={name[:60]} came")
        return None
    if method == "exact":
        if card.class_map is None:
            raise OptionError(
                f"{card.name} has no exact class map; gradcam, layercam, scorecam, occlusion and eigencam approximate "
                "one"
            )
        if name not in (None, card.class_map):
            raise OptionError(
                f"the exact class map of {card.name} is of {card.class_map}; class_layer={name[:60]} came"
            )
        return card.class_map
    if name is None:
        if not (shown := _shown_layers(card)):
            raise OptionError(f"{method} needs a layer, and {card.name} shows none; occlusion needs none")
        return shown[-1]
    return chosen_layer(card, name).name


def _shown_layers(card: ModelCard) -> list[str]:
    """Return the layers that can show where a class is; a class token has no place."""
    return [layer.name for layer in card.layers if layer.name != card.class_map and not layer.name.endswith(_NO_PLACE)]


def check_masked_work(question: ClassQuestion, card: ModelCard, picture: Picture, settings: Settings) -> None:
    """Refuse to run the network on too many pixels of pictures that are partly hidden, before it is run.

    Raises:
        TooLargeError: they are more than ``max_masked_pixels``.
    """
    height, width = picture.pixels.shape[:2]
    layer = card.layer(question.layer or "")
    if question.method == "occlusion":
        runs = count_occluded(height, width)
    elif question.method == "scorecam" and layer is not None:
        runs = layer.channels
    else:
        return
    if runs * height * width > settings.max_masked_pixels:
        less = "" if layer is None else "take a layer of fewer channels, or "
        raise TooLargeError(
            f"{question.method} may run the network on {settings.max_masked_pixels} pixels (SCS_MAX_MASKED_PIXELS); "
            f"{runs} pictures of {width}x{height} have {runs * height * width}; {less}ask for it smaller with resize"
        )


def explain_class(
    question: ClassQuestion, model: LoadedModel, picture: Picture, maps: dict[str, Array], settings: Settings
) -> SeenClass:
    """Answer what is asked of a class.

    Args:
        question: what is asked.
        model: of which it is asked.
        picture: as the network sees it.
        maps: of the layers that the question needs, ``(C, H, W)``, and the ``logits``.
        settings: limits.

    Raises:
        GradientError: there is no gradient; the message names the methods that need none.
    """
    card, is_exact = model.card, question.method == "exact"
    layer = card.layer(question.layer or "")
    if question.method in BY_GRADIENT:
        used: str | None
        used, values = _by_gradient(question, model, picture)
    else:
        used, values = question.layer, _values(question, model, picture, maps, settings)
    return SeenClass(
        index=question.index,
        label=card.labels[question.index],
        method=question.method,
        layer=used,
        values=values,
        pooling=card.class_pooling if is_exact else None,
        bias=card.class_bias[question.index] if is_exact else None,
        logit=float(maps["logits"][question.index]),
        signed=(layer is None or layer.signed) if is_exact else question.method in SIGNED,
    )


def _values(
    question: ClassQuestion, model: LoadedModel, picture: Picture, maps: dict[str, Array], settings: Settings
) -> Array:
    pixels, logits = picture.pixels, model.runtime.logits
    most = model.card.serving.max_batch_size or settings.max_batch_size
    batch = max(1, min(most, settings.max_analysed_pixels // pixels[..., 0].size))
    if question.layer is None:
        return occlusion(logits, pixels, question.index, batch)
    layer = maps[question.layer]
    if question.method == "scorecam":
        return score_cam(logits, pixels, layer, question.index, batch)
    values: Array = eigen_cam(layer[None])[0] if question.method == "eigencam" else layer[question.index]
    return values


def _by_gradient(question: ClassQuestion, model: LoadedModel, picture: Picture) -> tuple[str, Array]:
    """Return the layer that the class is explained by, and the map."""
    assert question.layer is not None
    known = _useful.get(model.card.sha256)
    tried = [known] if question.others and known else [question.layer, *question.others]
    failure: GradientError | None = None
    for layer in tried:
        try:
            found = _gradients(question, model, picture, layer)
        except GradientError as error:
            failure = failure or error
            continue
        if len(tried) > 1:
            _useful[model.card.sha256] = layer
        formula = grad_cam if question.method == "gradcam" else layer_cam
        return layer, formula(found.maps, found.gradients)[0]
    raise GradientError(f"{failure}; {', '.join(WITHOUT_GRADIENT[:-1])} and {WITHOUT_GRADIENT[-1]} need no gradient")


def _gradients(question: ClassQuestion, model: LoadedModel, picture: Picture, layer: str) -> Gradients:
    direction = np.zeros((1, len(model.card.labels)), np.float32)
    direction[0, question.index] = 1
    found = model.runtime.gradients(picture.pixels[None], layer, direction)
    if not found.gradients.any():
        raise GradientError(
            f"{question.method} needs a logit that changes with {layer}, and here it does not; name another layer with "
            "class_layer"
        )
    return found


_useful: dict[str, str] = {}  # by the model's SHA-256: the last layer that has an influence on the logits
