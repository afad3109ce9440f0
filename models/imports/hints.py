"""Preprocessing that came with a file: in its metadata, or in ``preprocessor_config.json`` beside it."""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from models.imports.preprocess import KEY, Preprocess, Size, from_json, geometry, parse
from scs.errors import OptionError

_FILLED = 114  # the grey with which Ultralytics fills what a letterbox leaves


def from_metadata(metadata: Mapping[str, str]) -> Preprocess | None:
    """Read what metadata says: what ``scs.export`` notes, ``Image.*`` of the ONNX project, or Ultralytics' keys.

    ``Image.NominalPixelRange`` is the range that pixels are brought to, ``Image.BitmapPixelFormat`` their order.
    """
    if KEY in metadata:
        return replace(parse(metadata[KEY], None), source=f"the file's metadata ({KEY})")
    pixels, order = metadata.get("Image.NominalPixelRange"), metadata.get("Image.BitmapPixelFormat", "")
    ranges = {
        "NominalRange_0_255": (1.0, 0.0),
        "Normalized_0_1": (1 / 255, 0.0),
        "Normalized_1_1": (1 / 127.5, 1.0),
    }
    if pixels in ranges:
        scale, mean = ranges[pixels]
        known = order.lower()[:4] in ("rgb8", "bgr8")
        return Preprocess(
            "the file's metadata (Image.NominalPixelRange)",
            order="bgr" if order.lower().startswith("bgr") else "rgb",
            scale=scale,
            mean=(mean,),
            said_nothing_of=() if known else ("order of the channels",),
        )
    if "imgsz" in metadata and "names" in metadata:
        is_classifier = metadata.get("task") == "classify"
        size = size_of(metadata)
        cut = geometry("crop", min(size)) if size and is_classifier else geometry("letterbox", fill=_FILLED)
        return Preprocess("the file's metadata (Ultralytics)", scale=1 / 255, geometry=cut, size=size)
    return None


def size_of(metadata: Mapping[str, str]) -> Size | None:
    """Return width and height of Ultralytics' ``imgsz``, which has the height first."""
    try:
        height, width = ast.literal_eval(metadata["imgsz"])
        return int(width), int(height)
    except (KeyError, ValueError, SyntaxError, TypeError):
        return None


def from_folder(folder: Path) -> Preprocess | None:
    """Read ``preprocessor_config.json``, or timm's ``pretrained_cfg`` in ``config.json``; None where there is neither.

    Raises:
        OptionError: there is one, and it cannot be read.
    """
    for name in ("preprocessor_config.json", "config.json"):
        file = folder / name
        if not file.is_file():
            continue
        try:
            value = json.loads(file.read_text())
        except ValueError as error:
            raise OptionError(f"{name} beside the file needs to be JSON: {error}") from None
        if name == "preprocessor_config.json" or (isinstance(value, dict) and "pretrained_cfg" in value):
            return from_json(value, name)
    return None
