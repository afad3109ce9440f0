"""Readers of signals: WAV, FLAC and CSV files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scs.errors import ImageError


def read_audio(path: Path) -> tuple[NDArray[Any], int]:
    """Read the samples of a WAV or FLAC file, ``(L,)`` or ``(1, L, channels)``, and its sample rate.

    Samples are shares of full scale, -1 to 1.

    Raises:
        ImageError: the file is damaged, empty or of another kind.
    """
    import soundfile  # here, since it opens a C library that most commands do without

    _check_whole(path)
    try:
        samples, rate = soundfile.read(path)
    except soundfile.SoundFileError as error:
        why = str(error).rpartition(": ")[2]  # before it stands the path
        raise ImageError(
            f"{path.name}: a {_kind(path)} file was needed but it is damaged or of another kind: {why}"
        ) from None
    if not samples.size:
        raise ImageError(f"{path.name}: a {_kind(path)} file with samples was needed but there are none in it")
    return samples if samples.ndim == 1 else samples[None], rate


def read_csv(path: Path) -> NDArray[np.float64]:
    """Read a signal ``(L,)`` from CSV: one number a line, or one line of numbers; a heading is skipped.

    Raises:
        ImageError: the file is anything else.
    """
    needed = f"{path.name}: a CSV file of one number a line was needed"
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise ImageError(f"{needed} but it is not text") from None
    lines = [line for line in lines if line.strip()]
    if lines and not _is_numbers(lines[0]):
        del lines[0]
    if not lines:
        raise ImageError(f"{needed} but there are no numbers in it")
    try:
        values = np.loadtxt(lines, delimiter=",", comments=None, ndmin=2)
    except ValueError as error:
        raise ImageError(f"{needed}; {error}") from None
    if min(values.shape) > 1:
        rows, columns = values.shape
        raise ImageError(f"{needed} but it has {rows} lines of {columns}")
    return values.ravel()


def _check_whole(path: Path) -> None:
    """Refuse a truncated WAV file by the length in its RIFF header, which the library does not check."""
    with path.open("rb") as file:
        head = file.read(8)
    promised, size = 8 + int.from_bytes(head[4:], "little"), path.stat().st_size
    if head.startswith(b"RIFF") and size < promised:
        raise ImageError(
            f"{path.name}: a whole WAV file was needed; its header promises {promised} bytes but {size} came"
        )


def _kind(path: Path) -> str:
    return path.suffix[1:].upper()


def _is_numbers(line: str) -> bool:
    try:
        np.array(line.split(","), dtype=np.float64)
    except ValueError:
        return False
    return True
