"""The preprocessing of a network's pictures: what it is, and the ways in which it is written down."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from models.cards.card import GeometryCard
from scs.errors import OptionError

Order = Literal["rgb", "bgr"]
Numbers = tuple[float, ...]
Size = tuple[int, int]  # width, height

_INTERPOLATIONS: dict[str, Any] = {
    "nearest": "nearest",
    "bilinear": "bilinear",
    "bicubic": "bicubic",
    "lanczos": "lanczos",
}
_PILLOW = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic"}  # the numbers that preprocessor_config.json has
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_CROPPED = 0.875  # of the shorter side, as 224 is of 256


@dataclass(frozen=True)
class Preprocess:
    """What happens to a picture before the network: ``(pixels * scale - mean) / deviation``, channel by channel.

    Attributes:
        source: where this is from, for the report.
        order: of the channels that the network takes.
        scale: factor of pixels from 0 to 255.
        mean: one number, or one for each channel in the network's order; after scaling.
        deviation: likewise.
        geometry: how a picture comes to the network's size; None is to be stretched to it.
        size: width and height in pixels, where that is said here.
        said_nothing_of: what the source left open, and which was then assumed as it is here.
    """

    source: str
    order: Order = "rgb"
    scale: float = 1.0
    mean: Numbers = (0.0,)
    deviation: Numbers = (1.0,)
    geometry: GeometryCard | None = None
    size: Size | None = None
    said_nothing_of: tuple[str, ...] = ()

    def gain_and_bias(self, channels: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return what pixels are multiplied by, and what is then added, for each channel in the network's order.

        Raises:
            OptionError: there are numbers for another number of channels.
        """
        for what, numbers in (("mean", self.mean), ("deviation", self.deviation)):
            if len(numbers) not in (1, channels):
                raise OptionError(
                    f"{what} needs one number, or one for each of {channels} channels; {self.source} has {len(numbers)}"
                )
        deviation = np.broadcast_to(np.asarray(self.deviation, np.float64), channels)
        mean = np.broadcast_to(np.asarray(self.mean, np.float64), channels)
        return (self.scale / deviation).astype(np.float32), (-mean / deviation).astype(np.float32)

    def apply(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return images ``(N, H, W, C)`` as the network takes them, but for their layout."""
        gain, bias = self.gain_and_bias(images.shape[3])
        ordered = images[..., ::-1] if self.order == "bgr" else images
        return ordered.astype(np.float32) * gain + bias

    def sentence(self) -> str:
        """Describe it in a line."""
        mean, deviation = (", ".join(f"{number:g}" for number in numbers) for numbers in (self.mean, self.deviation))
        factor = f"1/{1 / self.scale:g}" if self.scale < 1 else f"{self.scale:g}"
        return f"{self.order.upper()}, (pixel x {factor} - ({mean})) / ({deviation}); {self.geometry_sentence()}"

    def geometry_sentence(self) -> str:
        """Describe how a picture comes to its size."""
        geometry = self.geometry
        if geometry is None:
            return "stretched to the size, bilinear"
        how = {
            "stretch": "stretched to the size",
            "crop": f"shorter side to {geometry.shorter_side}, then the middle cut out",
            "letterbox": f"fitted into the size, the rest grey {geometry.fill}",
        }[geometry.mode]
        return f"{how}, {geometry.interpolation}{'' if geometry.antialias else ' without antialiasing'}"


def geometry(mode: str, shorter_side: int | None = None, interpolation: str = "bilinear", **other: Any) -> GeometryCard:
    """Make a geometry, antialiased unless told otherwise."""
    return GeometryCard(
        mode=mode, shorter_side=shorter_side, interpolation=interpolation, **{"antialias": True} | other
    )


def _preset(name: str, size: int | None) -> Preprocess:
    """Return a preset at a side in pixels, or at its own usual one."""
    if name in ("imagenet", "caffe", "inception"):
        side = size or (299 if name == "inception" else 224)
        interpolation = "bicubic" if name == "inception" else "bilinear"
        cut = geometry("crop", round(side / _CROPPED), interpolation)
        usual = replace(Preprocess(f"--preprocess {name}", geometry=cut), size=(side, side))
        if name == "imagenet":
            return replace(usual, scale=1 / 255, mean=_IMAGENET[0], deviation=_IMAGENET[1])
        if name == "inception":
            return replace(usual, scale=1 / 255, mean=(0.5,), deviation=(0.5,))
        return replace(usual, order="bgr", mean=(103.939, 116.779, 123.68))
    plain = Preprocess(f"--preprocess {name}")
    if name == "tf":
        return replace(plain, scale=1 / 127.5, mean=(1.0,))
    return replace(plain, scale=1 / 255) if name == "0-1" else plain


PRESETS = ("imagenet", "inception", "caffe", "tf", "0-1", "none")
KEY = "scs.preprocess"  # of an ONNX file's metadata, where scs.export notes what --preprocess takes
_HOW = (
    "--preprocess takes imagenet, inception, caffe, tf, 0-1 or none; a JSON file, such as preprocessor_config.json; or "
    'numbers, such as "scale=1/255 mean=0.485,0.456,0.406 deviation=0.229,0.224,0.225 order=rgb resize=crop '
    'shorter_side=256"'
)


def nothing_says_it(name: str) -> OptionError:
    """Return the error that the preprocessing is not known."""
    return OptionError(
        f"nothing says how pictures are prepared for {name}, and a guess would be wrong silently; {_HOW}"
    )


def parse(text: str, side: int | None) -> Preprocess:
    """Read what ``--preprocess`` was given.

    Args:
        text: a preset, a JSON file, or numbers.
        side: of the network's pictures in pixels where that is fixed, which presets that crop go by.

    Raises:
        OptionError: it is none of them, or says what cannot be.
    """
    if text in PRESETS:
        return _preset(text, side)
    if "=" in text and not Path(text).exists():
        pairs = dict(part.split("=", 1) for part in text.split() if "=" in part)
        if len(pairs) != len(text.split()):
            raise OptionError(f"numbers are key=value with spaces between them; '{text[:80]}' came; {_HOW}")
        return _from_numbers(pairs, "--preprocess")
    path = Path(text)
    if not path.is_file():
        raise OptionError(f"--preprocess '{text[:80]}' is no preset, no file and no numbers; {_HOW}")
    try:
        value = json.loads(path.read_text())
    except ValueError as error:
        raise OptionError(f"{path.name} needs to be JSON: {error}") from None
    return from_json(value, path.name)


def from_json(value: Any, source: str) -> Preprocess:
    """Read a JSON object: of our own keys, of Hugging Face's ``preprocessor_config.json``, or of timm.

    Raises:
        OptionError: it says nothing of a mean, a deviation or a scale.
    """
    if not isinstance(value, Mapping):
        raise OptionError(f"{source} needs to be a JSON object; {type(value).__name__} came")
    value = value.get("pretrained_cfg", value)
    if "do_normalize" in value or "image_mean" in value or "do_rescale" in value:
        return _from_hugging_face(value, source)
    if "crop_pct" in value or "input_size" in value:
        return from_timm(value, source)
    if {"scale", "mean", "deviation", "std", "order"}.intersection(value):
        return _from_numbers(value, source)
    raise OptionError(f"{source} says nothing of scale, mean or deviation; {_HOW}")


def _from_numbers(pairs: Mapping[str, Any], source: str) -> Preprocess:
    known = {
        "scale",
        "mean",
        "deviation",
        "std",
        "order",
        "resize",
        "shorter_side",
        "interpolation",
        "antialias",
        "fill",
        "size",
    }
    if unknown := sorted(set(pairs) - known):
        raise OptionError(f"{source} has no '{unknown[0][:40]}'; it has {', '.join(sorted(known))}")
    order = str(pairs.get("order", "rgb")).lower()
    if order not in ("rgb", "bgr"):
        raise OptionError(f"order is rgb or bgr; '{order[:40]}' came")
    deviation = _numbers(pairs.get("deviation", pairs.get("std", 1)), "deviation")
    if 0 in deviation:
        raise OptionError("a deviation is not 0, since pixels are divided by it; 0 came")
    shape = None
    if {"resize", "shorter_side", "interpolation", "antialias", "fill"}.intersection(pairs):
        shape = _geometry_from(pairs)
    size = _numbers(str(pairs["size"]).replace("x", ","), "size") if "size" in pairs else None
    return Preprocess(
        source,
        order="bgr" if order == "bgr" else "rgb",
        scale=_numbers(pairs.get("scale", 1), "scale")[0],
        mean=_numbers(pairs.get("mean", 0), "mean"),
        deviation=deviation,
        geometry=shape,
        size=None if size is None else (int(size[0]), int(size[-1])),
        said_nothing_of=() if "order" in pairs else ("order of the channels",),
    )


def _geometry_from(pairs: Mapping[str, Any]) -> GeometryCard:
    mode = str(pairs.get("resize", "crop" if "shorter_side" in pairs else "stretch"))
    if mode not in ("stretch", "crop", "letterbox"):
        raise OptionError(f"resize is stretch, crop or letterbox; '{mode[:40]}' came")
    if (mode == "crop") != ("shorter_side" in pairs):
        raise OptionError("resize=crop needs shorter_side, in pixels, and nothing else takes it")
    interpolation = str(pairs.get("interpolation", "bilinear"))
    if interpolation not in _INTERPOLATIONS:
        raise OptionError(f"interpolation is {', '.join(_INTERPOLATIONS)}; '{interpolation[:40]}' came")
    side = int(pairs["shorter_side"]) if mode == "crop" else None
    antialias = str(pairs.get("antialias", "true")).lower() in ("true", "1", "yes")
    return geometry(mode, side, interpolation, antialias=antialias, fill=int(pairs.get("fill", 0)))


def _numbers(value: Any, what: str) -> Numbers:
    """Read numbers, fractions such as 1/255 among them, with commas between them."""
    parts = value.split(",") if isinstance(value, str) else value if isinstance(value, list | tuple) else [value]
    try:
        numbers = tuple(float(Fraction(part.strip())) if isinstance(part, str) else float(part) for part in parts)
    except (ValueError, TypeError, ZeroDivisionError):
        raise OptionError(f"{what} is numbers with commas between them; '{str(value)[:60]}' came") from None
    if not numbers or not np.isfinite(numbers).all():
        raise OptionError(f"{what} is finite numbers; '{str(value)[:60]}' came")
    return numbers


def _from_hugging_face(value: Mapping[str, Any], source: str) -> Preprocess:
    """Read a ``preprocessor_config.json``: what it does, in the order in which transformers does it."""
    normal = bool(value.get("do_normalize", "image_mean" in value))
    factor = float(value.get("rescale_factor", 1 / 255)) if value.get("do_rescale", True) else 1.0
    crop, size = value.get("crop_size"), value.get("size")
    sides = _sides(crop) if value.get("do_center_crop") and crop else _sides(size)
    interpolation = _PILLOW.get(int(value.get("resample", 2)), "bilinear")
    shape = geometry("stretch", interpolation=interpolation)
    shortest = size.get("shortest_edge") if isinstance(size, Mapping) else size if isinstance(size, int) else None
    if value.get("do_center_crop") and sides:
        shape = geometry("crop", int(shortest or min(_sides(size) or sides)), interpolation)
    elif isinstance(size, Mapping) and "shortest_edge" in size and (sides := (size["shortest_edge"],) * 2):
        fraction = float(value.get("crop_pct") or 1)
        shape = geometry("crop", round(int(size["shortest_edge"]) / fraction), interpolation)
    return Preprocess(
        source,
        order="bgr" if value.get("do_flip_channel_order") else "rgb",
        scale=factor,
        mean=_numbers(value["image_mean"], "image_mean") if normal and "image_mean" in value else (0.0,),
        deviation=_numbers(value["image_std"], "image_std") if normal and "image_std" in value else (1.0,),
        geometry=shape if value.get("do_resize", True) else None,
        size=sides,
    )


def _sides(size: Any) -> Size | None:
    """Return (width, height) of a size as configurations have it: a number, or an object."""
    if isinstance(size, int):
        return size, size
    if isinstance(size, Mapping) and {"height", "width"} <= set(size):
        return int(size["width"]), int(size["height"])
    return None


def from_timm(value: Mapping[str, Any], source: str) -> Preprocess:
    """Read a ``pretrained_cfg`` of timm, whose means are of values from 0 to 1."""
    _, height, width = value.get("input_size", (3, 224, 224))
    fraction = float(value.get("crop_pct") or _CROPPED)
    interpolation = str(value.get("interpolation", "bilinear"))
    interpolation = interpolation if interpolation in _INTERPOLATIONS else "bicubic"
    if value.get("crop_mode") == "squash":
        shape = geometry("stretch", interpolation=interpolation)
    else:
        shape = geometry("crop", int(min(height, width) / fraction), interpolation)
    return Preprocess(
        source,
        scale=1 / 255,
        mean=_numbers(list(value.get("mean", _IMAGENET[0])), "mean"),
        deviation=_numbers(list(value.get("std", _IMAGENET[1])), "std"),
        geometry=shape,
        size=(int(width), int(height)),
    )
