"""A bank of templates as a model on disk, with its card, checked before it is there."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from models.bank.graph import BankLayer, Template, build_graph, group_by_size, kernel_of
from models.cards import catalogue
from models.cards.card import (
    NAME_PATTERN,
    BankCard,
    InputCard,
    LayerCard,
    ModelCard,
    ReceptiveFieldCard,
)
from models.cards.write import write_version
from models.runtime.load import RunnableModel, load_model
from scs.errors import ExportError, OptionError, ShapeError
from scs.matching.methods import METHODS, Method

BANK_METHODS = ("scs", "scs_centred")
FAMILY = "bank"

_TOLERANCE = 5e-5  # that a template's score with itself may be off by, times p
_AT_ONCE = 32  # templates that are checked together


def write_bank(
    name: str,
    templates: Sequence[Template],
    repository: Path,
    *,
    method: str = "scs_centred",
    p: float = 2.0,
    q: float = 0.0,
    version: int | None = None,
) -> ModelCard:
    """Write templates as a model whose only layer they are.

    Its logits are each template's best score anywhere in the picture, its layers' maps the scores themselves: entry
    (row, column) is for the patch whose top left pixel is there, and equals ``score_map``'s of the same method to 1e-4
    where p is 2, and in proportion to p; under a mask of other weights than 0 and 1, where a patch is not faint.

    Args:
        name: of the model in the repository.
        templates: at least one, each with a label of its own, all grey or all in colour, of any sizes, none flat.
        repository: folder of models; ``<name>/<version>/`` is written in it, whole or not at all.
        method: ``"scs"`` or ``"scs_centred"``, see ``scs.matching.scores.score_map``.
        p: exponent, 1 or more.
        q: noise floor, in units of the norms of pixels from 0 to 255.
        version: a number from 1 that is not taken; the next one unless given.

    Returns:
        The card that was written.

    Raises:
        OptionError: a name, label, method, p, q or version that cannot be, or a template that is flat.
        ShapeError: templates and masks that do not fit each other.
        ExportError: a template was not found in itself; nothing is written.
    """
    chosen = _checked_method(method, p, q)
    if not re.fullmatch(NAME_PATTERN, name):
        raise OptionError(f"a model's name is up to 64 of a-z, 0-9, '.', '_' and '-', no '.' first; '{name[:80]}' came")
    _check_templates(templates, chosen)
    taken = [entry.version for entry in catalogue.entries(repository) if entry.name == name]
    version = max(taken, default=0) + 1 if version is None else version
    if version < 1 or version in taken:
        raise OptionError(f"a version is a number from 1 that is not taken; {name} {version} is there or cannot be")
    content = build_graph(templates, chosen, p, q).SerializeToString()
    card = _card(name, version, content, templates, method, p, q)
    _check_itself(load_model(content, card, "cpu"), templates, card, chosen)
    write_version(repository / name / str(version), content, card)
    return card


def _checked_method(method: str, p: float, q: float) -> Method:
    if method not in BANK_METHODS:
        raise OptionError(f"a bank compares by {' or '.join(BANK_METHODS)}; '{method[:60]}' came")
    if not (np.isfinite(p) and p >= 1):
        raise OptionError(f"p of a bank is a number of 1 or more; {p} came")
    if not (np.isfinite(q) and q >= 0):
        raise OptionError(f"q is a number of 0 or more; {q} came")
    return METHODS[method]


def _check_templates(templates: Sequence[Template], method: Method) -> None:
    if not templates:
        raise OptionError("a bank needs at least one template; none came")
    label, count = Counter(template.label for template in templates).most_common(1)[0]
    if count > 1:
        raise OptionError(f"templates need names of their own; {count} are called '{label}'")
    channels = templates[0].pixels.shape[-1]
    for template in templates:
        pixels, weights = template.pixels, template.weights
        if pixels.ndim != 3 or pixels.dtype != np.uint8 or not pixels.size or pixels.shape[2] not in (1, 3):
            raise ShapeError(
                f"a template is uint8 (h, w, 1) or (h, w, 3); '{template.label}' is {pixels.dtype} {pixels.shape}"
            )
        if pixels.shape[2] != channels:
            raise ShapeError(
                f"templates of a bank have as many channels as each other; '{template.label}' has {pixels.shape[2]} "
                f"and '{templates[0].label}' {channels}"
            )
        if weights is not None and weights.shape != template.size:
            raise ShapeError(
                f"a mask has its template's size; that of '{template.label}' is {weights.shape}, not {template.size}"
            )
        if weights is not None and not (np.isfinite(weights).all() and (weights >= 0).all()):
            raise OptionError(f"a mask holds finite weights of 0 or more; that of '{template.label}' holds others")
        if not kernel_of(template, method).norm:
            raise OptionError(f"a template needs some structure to be found by; '{template.label}' is flat")


def _card(
    name: str, version: int, content: bytes, templates: Sequence[Template], method: str, p: float, q: float
) -> ModelCard:
    height = max(template.size[0] for template in templates)
    width = max(template.size[1] for template in templates)
    channels = templates[0].pixels.shape[2]
    count = f"{len(templates)} template{'s' if len(templates) > 1 else ''}"
    return ModelCard(
        name=name,
        version=version,
        description=f"Bank of {count}, compared by {method} with p = {p:g}, q = {q:g}.",
        format="onnx",
        sha256=hashlib.sha256(content).hexdigest(),
        family=FAMILY,
        parameters=sum(template.pixels.size for template in templates),
        input=InputCard(width=width, height=height, channels=channels, smallest=(width, height), resize=False),
        labels=[template.label for template in templates],
        layers=[_layer_card(layer, templates, method) for layer in group_by_size(templates)],
        bank=BankCard(method=method, p=p, q=q),
    )


def _layer_card(layer: BankLayer, templates: Sequence[Template], method: str) -> LayerCard:
    height, width = layer.size
    return LayerCard(
        name=layer.name,
        tensor=layer.name,
        channels=len(layer.members),
        receptive_field=ReceptiveFieldCard(size=height, width=None if width == height else width, stride=1, offset=0),
        signed=METHODS[method].centred,  # pixels are not negative, so their plain products are not
        labels=[templates[i].label for i in layer.members],
    )


def _check_itself(model: RunnableModel, templates: Sequence[Template], card: ModelCard, method: Method) -> None:
    """Show the bank each of its templates in the corner of a blank picture: there it scores what it should."""
    bank = card.bank
    assert bank is not None
    shape = card.input.height, card.input.width, card.input.channels
    layer_of = {label: layer for layer in card.layers for label in layer.labels or []}
    for start in range(0, len(templates), _AT_ONCE):
        shown = templates[start : start + _AT_ONCE]
        images = np.zeros((len(shown), *shape), np.uint8)
        for image, template in zip(images, shown, strict=True):
            image[: template.size[0], : template.size[1]] = template.pixels
        maps = model.layers(images, [layer.name for layer in card.layers])
        for number, template in enumerate(shown):
            layer = layer_of[template.label]
            norm = kernel_of(template, method).norm
            expected = (norm / (norm + bank.q)) ** (2 * bank.p)
            came = float(maps[layer.name][number, (layer.labels or []).index(template.label), 0, 0])
            best = float(maps["logits"][number, start + number])
            if not (abs(came - expected) <= _TOLERANCE * bank.p and best >= came):
                raise ExportError(
                    f"'{template.label}' needs the score {expected:.6f} with itself but has {came:.6f}; nothing written"
                )
