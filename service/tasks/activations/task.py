"""The whole task of ``/activations``, from files to an answer, as a worker process does it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing

from service.api.activations import ActivationOptions
from service.api.files import Upload
from service.picture_cache.kept import KeptMaps, MapReader
from service.pictures.colour_maps import to_png
from service.repository.sent_model import SentModel
from service.settings import Settings
from service.tasks.activations.activate import Activations, activate
from service.tasks.activations.answer import to_npz, to_response, to_zip
from service.tasks.activations.contact_sheet import draw_activations

JSON = "application/json"
FORMS: dict[str, Callable[[Activations, bool], bytes]] = {
    JSON: lambda activations, overlay: to_response(activations, overlay).model_dump_json().encode(),
    "image/png": lambda activations, overlay: to_png(draw_activations(activations, overlay)),
    "application/x-npz": lambda activations, overlay: to_npz(activations),
    "application/zip": lambda activations, overlay: to_zip(activations),
}


def answer_activations(
    sent: SentModel,
    upload: Upload,
    options: ActivationOptions,
    settings: Settings,
    form: str,
    kept: Sequence[KeptMaps] = (),
    most_kept: int = 0,
) -> tuple[bytes, list[KeptMaps]]:
    """Run a network on one picture, and write the layers asked for; return the maps to keep with them.

    Args:
        sent: the network.
        upload: the picture, and what to look for in it.
        options: which layers, and how.
        settings: limits.
        form: one of ``FORMS``.
        kept: maps of this picture.
        most_kept: bytes of maps that are worth keeping.

    Raises:
        ScsError: as :func:`service.tasks.activations.activate.activate`.
    """
    model = sent.loaded()
    reader = MapReader(model, kept, most_kept)
    with closing(activate(model, upload, options, settings, reader)) as activations:
        return FORMS[form](activations, options.overlay), reader.made
