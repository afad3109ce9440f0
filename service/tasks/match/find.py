"""The task of ``/match``: decode the files, check the work that it takes, find the templates; no HTTP."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from scs.errors import DeadlineError
from service.api.box import parse_box
from service.api.files import MatchUpload
from service.api.match import MatchOptions
from service.pictures.npy import Array
from service.settings import Settings
from service.tasks.match.device import device_for
from service.tasks.match.found import BestMap, Matches, SeenTemplate, check_upload
from service.tasks.match.pictures import MatchPictures, decode_pictures
from service.tasks.match.search import search_for
from service.tasks.match.shapes import MatchShapes, read_shapes
from service.tasks.match.work import check_work, naming_setting
from service.tasks.timing import milliseconds

# The compiler behind scs.matching takes a while to import: a service starts without it, and so do other commands.
if TYPE_CHECKING:
    from scs.matching.deformable.parts import PartsTemplate
    from scs.matching.finding import Found, Match, Search

_AT_ONCE = 4  # templates that share the scene's transforms; the time is looked at between such groups


def find_matches(
    upload: MatchUpload, options: MatchOptions, settings: Settings, deadline: float = float("inf")
) -> Matches:
    """Look for templates in a scene.

    Args:
        upload: the files.
        options: how to look.
        settings: limits.
        deadline: on the clock of ``time.monotonic``.

    Raises:
        ImageError, UnsupportedImageError: a file that cannot be read.
        TooLargeError: too many templates, too many pixels, or too much work; before it is done.
        ShapeError: a template larger than its scene, or of other channels.
        OptionError: an option that names nothing or asks for something impossible.
        DeadlineError: the deadline has passed.
    """
    from scs.matching.presence.looking import size_of

    device = device_for(options, settings.device)
    search = search_for(options, device)
    check_upload(upload, options, settings)

    started = time.perf_counter()
    max_pixels = min(settings.max_pixels, settings.max_match_pixels)
    with naming_setting(settings):
        shapes = read_shapes(upload, max_pixels)
        check_work(shapes, options, settings)  # before anything is decoded
        pictures = decode_pictures(upload, max_pixels, transparency=options.method != "parts")
    decoded = time.perf_counter()
    # Whether templates are transparent, and so masked, is known now.
    seen = MatchShapes.of(pictures.scene, pictures.templates, pictures.masks, pictures.reference)
    check_work(seen, options, settings)
    wanted = _wanted(pictures, options)
    found = _find(pictures, wanted, search, deadline)
    names = [file.name for file in upload.templates] if upload.reference is None else [upload.reference.name]
    templates = [
        SeenTemplate(name, *_size(content), mask is not None, flat, outlined)
        for name, content, mask, flat, outlined in zip(
            names, wanted, pictures.masks, found.flat, found.outlined, strict=True
        )
    ]
    height, width = size_of(pictures.scene)
    return Matches(
        width=width,
        height=height,
        templates=templates,
        matches=found.matches,
        options=options,
        device=device,
        decode_ms=milliseconds(started, decoded),
        match_ms=milliseconds(decoded, time.perf_counter()),
        best=partial(_best_map, pictures, wanted, found.matches, search),
    )


def best_map(matches: Matches) -> BestMap:
    """Return the score map of the best match's template, in its pose, with its number, angle and scale."""
    return matches.best()


def _best_map(
    pictures: MatchPictures, wanted: Sequence[Array | PartsTemplate], matches: Sequence[Match], search: Search
) -> BestMap:
    from scs.matching.finding import heatmap

    best = next(iter(matches), None)
    number, angle, scale = (0, 0.0, 1.0) if best is None else (best.template, best.angle, best.scale)
    centre = None if best is None else (best.x, best.y)
    mask = pictures.masks[number]
    scored = heatmap(pictures.scene, wanted[number], search, mask=mask, angle=angle, scale=scale, centre=centre)
    return BestMap(scored, number, angle, scale)


def _wanted(pictures: MatchPictures, options: MatchOptions) -> Sequence[Array | PartsTemplate]:
    if pictures.reference is None or options.box is None:
        return pictures.templates
    from scs.matching.deformable.parts import PartsTemplate

    return [PartsTemplate.from_box(pictures.reference, parse_box(options.box))]


def _find(pictures: MatchPictures, wanted: Sequence[Array | PartsTemplate], search: Search, deadline: float) -> Found:
    """Find a few templates at a time, and stop between them when the time is over: a thread cannot be stopped."""
    from scs.matching.finding import Found, find

    step = 1 if search.posed or search.method == "parts" else _AT_ONCE
    matches: list[Match] = []
    flat: list[float] = []
    outlined: list[bool] = []
    for first in range(0, len(wanted), step):
        if time.monotonic() > deadline:
            raise DeadlineError(f"the time for this match is over after {first} of {len(wanted)} templates")
        group = slice(first, first + step)
        found = find(pictures.scene, wanted[group], search, masks=pictures.masks[group])
        matches += [dataclasses.replace(match, template=first + match.template) for match in found.matches]
        flat += found.flat
        outlined += found.outlined
    return Found(sorted(matches, key=lambda match: -search.rank(match.score)), flat, outlined)


def _size(content: Array | PartsTemplate) -> tuple[int, int]:
    pixels = content if isinstance(content, np.ndarray) else content.pixels
    return (pixels.size, 1) if pixels.ndim == 1 else (pixels.shape[1], pixels.shape[0])
