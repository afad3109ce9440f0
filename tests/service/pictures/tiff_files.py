"""TIFF files of any depth, layout, byte order and compression, written from the specification for the tests."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
from PIL import Image

Samples = np.ndarray[Any, Any]

NONE, LZW, DEFLATE, OLD_DEFLATE, PACKBITS = 1, 5, 8, 32946, 32773
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, CMYK = 0, 1, 2, 3, 5
WHOLE, SIGNED, FLOAT = 1, 2, 3
_SHORT, _LONG = 3, 4


@dataclass(frozen=True)
class Kind:
    """How a TIFF file is laid out.

    Attributes:
        bits: of each sample.
        photometric: what the samples mean.
        sample_format: whole numbers, signed ones or floats.
        planar: whether each channel lies by itself.
        tile: width and height of tiles; None for strips of ``rows``.
        order: ``<`` or ``>``.
        compression: its number in the specification.
        predictor: 1 for none, 2 for differences, 3 for those of floats.
        extra: what further channels mean: 1 for opacity that colours are multiplied by, 2 for opacity.
    """

    bits: int = 8
    photometric: int = RGB
    sample_format: int = WHOLE
    planar: bool = False
    tile: tuple[int, int] | None = None
    rows: int = 7
    order: str = "<"
    compression: int = NONE
    predictor: int = 1
    extra: tuple[int, ...] = ()

    @property
    def channels(self) -> int:
        """Samples of a pixel."""
        return {RGB: 3, CMYK: 4}.get(self.photometric, 1) + len(self.extra)

    def __str__(self) -> str:
        names = {WHITE_IS_ZERO: "white0", BLACK_IS_ZERO: "grey", RGB: "rgb", PALETTE: "palette", CMYK: "cmyk"}
        packed = {NONE: "raw", LZW: "lzw", DEFLATE: "deflate", OLD_DEFLATE: "deflate0", PACKBITS: "packbits"}
        parts = [names[self.photometric], f"{'?uif'[self.sample_format]}{self.bits}", packed[self.compression]]
        parts += ["planar"] * self.planar + ["tiles"] * bool(self.tile) + ["big"] * (self.order == ">")
        return "-".join([*parts, *(f"p{self.predictor}" for _ in range(self.predictor > 1)), *map(str, self.extra)])


def write_tiff(samples: Samples, kind: Kind, tags: dict[int, bytes | list[int]] | None = None) -> bytes:
    """Write samples ``(H, W, C)`` as a TIFF file.

    Args:
        samples: numbers of the type that ``kind`` has.
        kind: the layout.
        tags: further tags: text, or numbers of 16 bits.
    """
    height, width, channels = samples.shape
    planes = [samples[..., c : c + 1] for c in range(channels)] if kind.planar else [samples]
    block = kind.tile or (width, kind.rows)
    segments = [_segment(part, kind) for plane in planes for part in _blocks(plane, block, bool(kind.tile))]
    entries: dict[int, bytes | list[int]] = {
        256: [width],
        257: [height],
        258: [kind.bits] * channels,
        259: [kind.compression],
        262: [kind.photometric],
        277: [channels],
        284: [2 if kind.planar else 1],
        339: [kind.sample_format] * channels,
        **({322: [block[0]], 323: [block[1]]} if kind.tile else {278: [block[1]]}),
        **({317: [kind.predictor]} if kind.predictor > 1 else {}),
        **({338: list(kind.extra)} if kind.extra else {}),
        **(tags or {}),
    }
    return _file(entries, segments, (324, 325) if kind.tile else (273, 279), kind.order)


def every_kind() -> list[Kind]:
    """Return kinds of which each depth meets each layout, byte order and compression that it can have."""
    found = []
    depths = [(bits, WHOLE) for bits in (1, 2, 4, 8, 10, 12, 14, 16, 24, 32, 64)]
    depths += [(8, SIGNED), (16, SIGNED), (32, SIGNED), (16, FLOAT), (32, FLOAT), (64, FLOAT)]
    for (bits, sample_format), photometric in product(depths, (WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, CMYK)):
        if photometric == PALETTE and (bits > 8 or sample_format != WHOLE):
            continue
        if photometric in (WHITE_IS_ZERO, CMYK) and sample_format != WHOLE:
            continue
        plain = Kind(bits, photometric, sample_format)
        layouts = [(planar, tile) for planar in (False, True) for tile in (None, (16, 32))]
        for (planar, tile), order, compression in product(layouts, "<>", (NONE, LZW, DEFLATE, PACKBITS)):
            if not (planar and plain.channels == 1):
                found.append(replace(plain, planar=planar, tile=tile, order=order, compression=compression))
    for bits, photometric in product((8, 16), (BLACK_IS_ZERO, RGB)):
        for extra, planar, order in product((1, 2), (False, True), "<>"):
            found.append(Kind(bits, photometric, extra=(extra,), planar=planar, order=order))
        for order, tile in product("<>", (None, (16, 32))):
            found.append(Kind(bits, photometric, compression=LZW, predictor=2, order=order, tile=tile))
    for bits, order in product((16, 32, 64), "<>"):
        found.append(Kind(bits, BLACK_IS_ZERO, FLOAT, compression=DEFLATE, predictor=3, order=order))
    return found


def _blocks(plane: Samples, block: tuple[int, int], padded: bool) -> list[Samples]:
    width, height = block
    found = []
    for top in range(0, plane.shape[0], height):
        for left in range(0, plane.shape[1], width):
            part = plane[top : top + height, left : left + width]
            if padded:
                missing = (0, height - part.shape[0]), (0, width - part.shape[1]), (0, 0)
                part = np.pad(part, missing, mode="edge")
            found.append(part)
    return found


def _segment(part: Samples, kind: Kind) -> bytes:
    raw = b"".join(_row(row, kind) for row in part)
    if kind.compression in (DEFLATE, OLD_DEFLATE):
        return zlib.compress(raw)
    if kind.compression == PACKBITS:
        return b"".join(_packbits(_row(row, kind)) for row in part)
    return _lzw(raw) if kind.compression == LZW else raw


def _row(row: Samples, kind: Kind) -> bytes:
    if kind.predictor == 2:
        row = np.concatenate([row[:1], row[1:] - row[:-1]])
    flat = row.reshape(-1)
    if kind.predictor == 3:
        planes = flat.astype(flat.dtype.newbyteorder(">")).view(np.uint8).reshape(-1, flat.itemsize).T.reshape(-1)
        return bytes(np.concatenate([planes[:1], planes[1:] - planes[:-1]]))
    if kind.bits in (8, 16, 32, 64):
        return bytes(flat.astype(flat.dtype.newbyteorder(kind.order)).tobytes())
    if kind.bits == 24:
        wide = np.ascontiguousarray(flat.astype(">u4")).view(np.uint8).reshape(-1, 4)[:, 1:]
        return bytes((wide if kind.order == ">" else wide[:, ::-1]).tobytes())
    bits = (flat.astype(np.uint64)[:, None] >> np.arange(kind.bits, dtype=np.uint64)[::-1]) & 1
    return bytes(np.packbits(bits.astype(np.uint8).reshape(-1)).tobytes())


def _packbits(row: bytes) -> bytes:
    pieces = (row[i : i + 128] for i in range(0, len(row), 128))
    return b"".join(bytes([len(piece) - 1]) + piece for piece in pieces)


def _lzw(raw: bytes) -> bytes:
    """Compress by LZW as TIFF has it: codes of growing width, the highest bit first."""
    codes, table, width, prefix = [(256, 9)], {bytes([i]): i for i in range(256)}, 9, b""
    following = 258
    for value in raw:
        longer = prefix + bytes([value])
        if longer in table:
            prefix = longer
            continue
        codes.append((table[prefix], width))
        table[longer] = following
        following, width = following + 1, width + (following + 1 > (1 << width) - 1)
        if following == 4094:
            codes.append((256, width))
            table, following, width = {bytes([i]): i for i in range(256)}, 258, 9
        prefix = bytes([value])
    codes += [(table[prefix], width)] if prefix else []
    codes.append((257, width + (following + 1 > (1 << width) - 1)))
    text = "".join(f"{code:0{size}b}" for code, size in codes)
    return int(text.ljust(-(-len(text) // 8) * 8, "0"), 2).to_bytes(-(-len(text) // 8))


def _file(entries: dict[int, bytes | list[int]], segments: list[bytes], numbers: tuple[int, int], order: str) -> bytes:
    place, starts = 8, []
    for segment in segments:
        starts.append(place)
        place += len(segment) + len(segment) % 2
    body = b"".join(segment + b"\0" * (len(segment) % 2) for segment in segments)
    values = {number: (_SHORT, list(value)) for number, value in entries.items() if not isinstance(value, bytes)}
    texts = {number: value for number, value in entries.items() if isinstance(value, bytes)}
    values[numbers[0]], values[numbers[1]] = (_LONG, starts), (_LONG, [len(segment) for segment in segments])
    directory, aside = b"", b""
    first_aside = place + 2 + 12 * (len(values) + len(texts)) + 4
    for number in sorted([*values, *texts]):
        if number in texts:
            kind, count, packed = (7 if number == 34675 else 2), len(texts[number]), texts[number]
        else:
            kind, given = values[number]
            count, packed = len(given), struct.pack(f"{order}{len(given)}{'H' if kind == _SHORT else 'I'}", *given)
        if len(packed) > 4:
            where = struct.pack(f"{order}I", first_aside + len(aside))
            aside += packed + b"\0" * (len(packed) % 2)
        else:
            where = packed.ljust(4, b"\0")
        directory += struct.pack(f"{order}HHI", number, kind, count) + where
    head = {"<": b"II", ">": b"MM"}[order] + struct.pack(f"{order}HI", 42, place)
    return head + body + struct.pack(f"{order}H", len(values) + len(texts)) + directory + bytes(4) + aside


def samples_of(picture: Samples, kind: Kind) -> tuple[Samples, dict[int, bytes | list[int]]]:
    """Return the samples of a photograph ``(H, W, 3)`` as a kind has them, and the further tags that they need."""
    tags: dict[int, bytes | list[int]] = {}
    image = Image.fromarray(picture)
    if kind.photometric == PALETTE:
        levels = 2**kind.bits
        grey = np.asarray(image.convert("L")).astype(int) * (levels - 1) // 255
        ramp = np.arange(levels) * 65535 // max(1, levels - 1)
        tags[320] = [*ramp.tolist(), *ramp[::-1].tolist(), *(ramp // 2).tolist()]
        return grey[..., None].astype(np.uint8), tags
    mode = {RGB: "RGB", CMYK: "CMYK"}.get(kind.photometric, "L")
    unit = np.asarray(image.convert(mode)).reshape(*picture.shape[:2], -1) / 255
    if kind.photometric == WHITE_IS_ZERO:
        unit = 1 - unit
    if kind.extra:
        alpha = np.linspace(0.2, 1, picture.shape[1])[None, :, None] * np.ones((picture.shape[0], 1, 1))
        unit = np.concatenate([unit * alpha if kind.extra[0] == 1 else unit, alpha], axis=2)
    return numbers_of(unit, kind), tags


def numbers_of(unit: Samples, kind: Kind) -> Samples:
    """Return numbers within [0, 1] as the samples of a kind, whose largest is 1 where they are floats."""
    if kind.sample_format == FLOAT:
        return unit.astype({16: np.float16, 32: np.float32, 64: np.float64}[kind.bits])
    most = 2 ** (kind.bits - (kind.sample_format == SIGNED)) - 1
    size = next(size for size in (8, 16, 32, 64) if size >= kind.bits)
    values = np.minimum(np.rint(unit * float(most)), float(most) if kind.bits < 53 else float(most) * (1 - 2**-52))
    return values.astype(f"{'i' if kind.sample_format == SIGNED else 'u'}{size // 8}")
