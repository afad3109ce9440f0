"""Somebody's own pictures decoded to the size that a network is trained at, as the service decodes them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, Protocol

import numpy as np

from models.cards.card import GeometryCard, InputCard
from models.datasets.dataset import Dataset, Images, Labels, OwnData
from models.datasets.labelled import SPLITS, LabelledPicture, LabelledPictures, SplitName
from models.datasets.splits import split_pictures
from scs.cores import usable_cores
from scs.errors import DataError, OptionError, ScsError

Mode = Literal["stretch", "crop", "letterbox"]
MARGIN = 8 / 7  # of images to train on by those to test on, as 256 pixels are by 224
LARGEST_KEPT = 48  # pixels; pictures that are all of one size no larger than this are taken as they are
_SIDES = (32, 48, 64, 96, 128)  # that are chosen from where nothing is said; up to 224 take hours without a GPU
_MOST_LOOKED_AT = 200  # pictures from whose sizes and colours a network's input is chosen
_LOOKED_AT_SIDE = 64
_MOST_NAMED = 20  # files of a message
LARGEST_SIDE = 2048


class Decoded(Protocol):
    """A decoded picture: its pixels ``(H, W, C)``, and the size that it came in."""

    @property
    def pixels(self) -> Images:
        """Pixels at the size that was wanted."""
        ...

    @property
    def width(self) -> int:
        """Pixels across of the picture as it came, upright."""
        ...

    @property
    def height(self) -> int:
        """Pixels down."""
        ...


Decode = Callable[[bytes, InputCard], Decoded]


@dataclass(frozen=True)
class Wish:
    """What whoever trains on pictures says of their size; None leaves a thing to be chosen.

    Attributes:
        size: width and height.
        mode: how they come to it.
        channels: 1 for grey, 3 for colours.
    """

    size: tuple[int, int] | None = None
    mode: Mode | None = None
    channels: Literal[1, 3] | None = None


def choose_input(data: LabelledPictures, wish: Wish, decode: Decode) -> InputCard:
    """Choose the size and colours of a network's pictures by looking at some of the data, spread evenly.

    Small pictures that are all of one size stay as they are. Others are made square, the shorter side of most of them
    or less, up to 128 pixels unless a size is wished for: cropped where their shapes differ, else stretched to a square
    only if they are square, and to their own shape if not. Grey pictures stay grey.

    Raises:
        OptionError: a size that is wished for is none.
        DataError: none of those that were looked at can be read.
    """
    every = max(1, len(data.pictures) // _MOST_LOOKED_AT)
    looked_at = [found for each in data.pictures[::every] if (found := _look(each, decode)) is not None]
    if not looked_at:
        raise DataError(f"a training needs pictures; none of {data.name} that was looked at can be read")
    sizes = [(each.width, each.height) for each in looked_at]
    grey = all((each.pixels == each.pixels[..., :1]).all() for each in looked_at)
    channels = wish.channels or (1 if grey else 3)
    ((common, count),) = Counter(sizes).most_common(1)
    if wish.size is None and count == len(sizes) and max(common) <= LARGEST_KEPT:
        return _input(common, channels, None)
    width, height = wish.size or _chosen_size(sizes)
    if not (1 <= width <= LARGEST_SIDE and 1 <= height <= LARGEST_SIDE):
        raise OptionError(f"--size is 1 to {LARGEST_SIDE} pixels a side; {width}x{height} came")
    mode = wish.mode or ("stretch" if all(_is_shape(size, (width, height)) for size in sizes) else "crop")
    side = max(width, height) if mode == "crop" else None  # so that a crop has no padding, whatever its shape
    return _input(
        (width, height),
        channels,
        GeometryCard(mode=mode, shorter_side=side, interpolation="bilinear", antialias=True),
    )


def _look(picture: LabelledPicture, decode: Decode) -> Decoded | None:
    try:
        return decode(picture.read(), _input((_LOOKED_AT_SIDE, _LOOKED_AT_SIDE), 3, None))
    except (ScsError, OSError):
        return None  # it is told of when all are decoded


def _chosen_size(sizes: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """Return the size for pictures of these sizes: their own shape, where they have one in common, or a square."""
    shorter = float(np.median([min(size) for size in sizes]))
    side = max([side for side in _SIDES if side <= shorter], default=_SIDES[0])
    width, height = sizes[0]
    if not all(_is_shape(size, sizes[0]) for size in sizes):
        return side, side
    scale = side / min(width, height)
    return round(width * scale), round(height * scale)


def _is_shape(size: tuple[int, int], other: tuple[int, int]) -> bool:
    return abs(size[0] * other[1] / (size[1] * other[0]) - 1) < 0.02


def _input(size: tuple[int, int], channels: Literal[1, 3], geometry: GeometryCard | None) -> InputCard:
    return InputCard(width=size[0], height=size[1], channels=channels, smallest=1, geometry=geometry)


def decode_all(
    data: LabelledPictures,
    wanted: InputCard,
    split_seed: int,
    decode: Decode,
    *,
    only: Sequence[SplitName] = SPLITS,
    skip_broken: bool = False,
    on_pictures: Callable[[int], None] = lambda done: None,
) -> Dataset:
    """Split the pictures and decode them, on all cores.

    Those to train on are decoded larger by ``MARGIN``, with the same field of view, where pictures are scaled at all:
    random crops are cut out of them.

    Args:
        data: the pictures.
        wanted: the network's input.
        split_seed: decides what is drawn, where the data do not say it.
        decode: decodes a file for an input.
        only: the parts that are needed; the others are empty.
        skip_broken: leave out what cannot be read.
        on_pictures: called with the number of pictures done so far.

    Raises:
        DataError: pictures that cannot be read, listed, and nothing left out; or what is left is too little; or they
            take more memory than there is.
    """
    parts, was_drawn = split_pictures(data, split_seed)
    sizes = {name: enlarged(wanted, MARGIN) if name == "train" and wanted.geometry else wanted for name in SPLITS}
    _check_memory(data, sum(len(parts[name]) * _bytes_of(sizes[name]) for name in only), wanted)
    found: dict[SplitName, tuple[Images, Labels]] = {}
    broken: list[str] = []
    done = 0
    for name in SPLITS:
        chosen = [data.pictures[i] for i in parts[name]] if name in only else []
        found[name] = decode_pictures(chosen, sizes[name], decode, broken, partial(_further, on_pictures, done))
        done += len(chosen)
    if broken and not skip_broken:
        raise DataError(broken_pictures(data, broken))
    _check_left(data, {name: found[name][1] for name in only})
    own = OwnData(data.sha256, split_seed if was_drawn else None, wanted.geometry, tuple(broken))
    return Dataset(data.name, *found["train"], *found["test"], data.classes, *found["validation"], own)


def _bytes_of(size: InputCard) -> int:
    return size.width * size.height * size.channels


def _check_memory(data: LabelledPictures, needed: int, wanted: InputCard) -> None:
    """Refuse pictures that would not leave half of the free memory for their training, where the system tells it."""
    free = free_memory()
    if free is not None and needed > free / 2:
        raise DataError(
            f"pictures are kept in memory, in half of what is free of it, {free / 2e9:.1f} GB; the "
            f"{len(data.pictures):,} of {data.name} take {needed / 1e9:.1f} GB at {wanted.width}x{wanted.height}"
        )


def free_memory() -> int | None:
    """Return the bytes of memory that programs can still have; None where the system does not tell."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, ValueError, StopIteration):
        return None


def _further(on_pictures: Callable[[int], None], before: int, done: int) -> None:
    on_pictures(before + done)


def enlarged(wanted: InputCard, factor: float) -> InputCard:
    """Return an input that shows the same of a picture at another size."""
    width, height = (max(1, round(side * factor)) for side in (wanted.width, wanted.height))
    geometry = wanted.geometry
    if geometry and geometry.shorter_side:
        geometry = geometry.model_copy(update={"shorter_side": max(1, round(geometry.shorter_side * factor))})
    return wanted.model_copy(update={"width": width, "height": height, "geometry": geometry})


def decode_pictures(
    pictures: Sequence[LabelledPicture],
    wanted: InputCard,
    decode: Decode,
    broken: list[str],
    on_pictures: Callable[[int], None] = lambda done: None,
) -> tuple[Images, Labels]:
    """Decode pictures on all cores.

    Args:
        pictures: any number.
        wanted: the size.
        decode: decodes a file for an input.
        broken: receives a few words on each that cannot be read.
        on_pictures: called with the number of pictures done so far.

    Returns:
        ``(N, H, W, C)`` of those that can be read, and their labels.
    """
    images = np.empty((len(pictures), wanted.height, wanted.width, wanted.channels), np.uint8)
    kept: list[int] = []

    def one(number: int) -> str | None:
        try:
            images[number] = decode(pictures[number].read(), wanted).pixels
        except OSError as error:
            return error.strerror or type(error).__name__
        except ScsError as error:
            return str(error)
        return None

    with ThreadPoolExecutor(usable_cores()) as pool:
        for number, problem in enumerate(pool.map(one, range(len(pictures)))):
            if problem is None:
                kept.append(number)
            else:
                broken.append(f"{pictures[number].name}: {problem}")
            on_pictures(number + 1)
    labels = np.array([pictures[number].label for number in kept], np.int64)
    return (images if len(kept) == len(images) else images[kept]), labels


def broken_pictures(data: LabelledPictures, broken: Sequence[str]) -> str:
    """Say which pictures cannot be read, in a sentence."""
    others = f"; and {len(broken) - _MOST_NAMED} more" if len(broken) > _MOST_NAMED else ""
    what = "file of" if len(broken) == 1 else "files of"
    listed = "; ".join(broken[:_MOST_NAMED])
    return (
        f"{len(broken)} {what} {data.name} cannot be read as pictures, and --skip-broken, which leaves them out, was "
        f"not given: {listed}{others}"
    )


def _check_left(data: LabelledPictures, labels: Mapping[SplitName, Labels]) -> None:
    """Refuse what is left where a part, or a class to train on, has nothing."""
    for part, of in labels.items():
        if not len(of):
            raise DataError(f"the {part} part of {data.name} needs a picture; none that is left can be read")
    for label, name in enumerate(data.classes):
        if "train" in labels and label not in labels["train"]:
            raise DataError(f"'{name[:60]}' of {data.name} needs a picture to train on; none that is left can be read")
