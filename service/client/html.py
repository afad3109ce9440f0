"""Results as HTML for notebooks: text is escaped, pictures are in the page, and nothing is fetched or run."""

from __future__ import annotations

import base64
import io
import struct
import zlib
from collections.abc import Iterable, Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

from scs.matching.found import Match
from service.api.files import NamedBytes
from service.colours import Map, colourise, scale_for

_LARGEST = 4 * 2**20  # bytes of a picture that is put into a notebook
_MOST_SIDE = 160  # pixels of a heatmap's longer side
_SHOWN = 320  # pixels of width of a picture
_SIGNATURES = {b"\xff\xd8\xff": "jpeg", b"\x89PNG": "png", b"GIF8": "gif", b"RIFF": "webp", b"BM": "bmp"}
PRESENT, ABSENT = "#d94801", "#777777"


def page(*parts: str) -> str:
    """Put parts below each other."""
    return f'<div style="font: 13px sans-serif; max-width: 60em">{"".join(parts)}</div>'


def row(parts: Iterable[str]) -> str:
    """Put parts beside each other."""
    return f'<div style="display: flex; flex-wrap: wrap; gap: 8px">{"".join(parts)}</div>'


def caption(text: str) -> str:
    """Write a line of small text."""
    return f'<div style="opacity: 0.7; margin: 4px 0">{escape(text)}</div>'


def bars(rows: Iterable[tuple[str, float, str]]) -> str:
    """Draw bars: of each the label, the length within [0, 1], and the number as text."""
    return "".join(
        f'<div style="display: grid; grid-template-columns: 12em 12em auto; gap: 8px; align-items: center">'
        f'<span style="text-align: right; overflow-wrap: anywhere">{escape(label)}</span><span>'
        f'<span style="display: block; height: 10px; width: {100 * length:.1f}%; background: #2171b5"></span></span>'
        f"<span>{escape(shown)}</span></div>"
        for label, length, shown in rows
    )


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a table of texts."""
    lines = [f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>" for cells in rows]
    return f"<table><tr>{''.join(f'<th>{escape(each)}</th>' for each in headings)}</tr>{''.join(lines)}</table>"


def heatmap(name: str, values: Map, signed: bool) -> str:
    """Draw a map ``(H, W)`` in the service's colours, smaller where it is large, with its least and largest number."""
    step = max(1, -(-max(values.shape) // _MOST_SIDE))
    scale = scale_for(values, signed)
    image = _uri("png", png(colourise(values[::step, ::step], scale), scale.colours))
    return (
        f'<figure style="margin: 0"><img alt="" src="{image}" style="width: 120px; image-rendering: pixelated">'
        f"<figcaption>{escape(name)}<br>{values.min():.3g} … {values.max():.3g}</figcaption></figure>"
    )


def picture(file: NamedBytes | None) -> str:
    """Show a picture; nothing where browsers cannot show it, or it is large."""
    source = _source(file)
    return f'<img alt="" src="{source}" style="max-width: {_SHOWN}px">' if source else ""


def boxes(file: NamedBytes | None, size: tuple[int, int], matches: Iterable[Match]) -> str:
    """Draw a scene of that width and height and the outline of each match, strong where it is present."""
    width, height = size
    source = _source(file)
    image = f'<image href="{source}" width="{width}" height="{height}"/>' if source else ""
    outlines = "".join(map(_outline, matches))
    return (
        f'<svg viewBox="0 0 {width} {height}" style="width: 100%; max-width: {2 * _SHOWN}px; border: 1px solid #999">'
        f"{image}{outlines}</svg>"
    )


def _outline(match: Match) -> str:
    colour, dashes = (PRESENT, "none") if match.present else (ABSENT, "4 3")
    corners = " ".join(f"{x:.1f},{y:.1f}" for x, y in match.corners)
    return (
        f'<polygon points="{corners}" fill="none" stroke="{colour}" stroke-width="2" stroke-dasharray="{dashes}" '
        f'vector-effect="non-scaling-stroke"><title>{match.score:.3f}</title></polygon>'
    )


def png(pixels: NDArray[np.uint8], palette: NDArray[np.uint8] | None = None) -> bytes:
    """Encode pixels as a PNG: ``(H, W)`` grey, or numbers of a palette ``(256, 3)``, or ``(H, W, 3)`` RGB."""
    kind = 2 if pixels.ndim == 3 else 0 if palette is None else 3
    height, width = pixels.shape[:2]
    lines = np.insert(pixels.reshape(height, -1), 0, 0, axis=1)  # each begins with its filter: none
    colours = b"" if palette is None else _chunk(b"PLTE", palette.tobytes())
    head = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n" + head + colours + _chunk(b"IDAT", zlib.compress(lines.tobytes())) + _chunk(b"IEND", b"")
    )


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def _source(file: NamedBytes | None) -> str:
    """Return the address of a picture's bytes; empty where there are none that a browser shows."""
    if file is None or len(file.content) > _LARGEST:
        return ""
    if file.is_npy:
        pixels = np.load(io.BytesIO(file.content))
        is_picture = pixels.dtype == np.uint8 and (pixels.ndim == 2 or pixels.shape[2:] == (3,))
        return _uri("png", png(pixels)) if is_picture else ""
    kinds = (kind for signature, kind in _SIGNATURES.items() if file.content.startswith(signature))
    return next((_uri(kind, file.content) for kind in kinds), "")


def _uri(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
