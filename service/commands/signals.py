"""Read signals from WAV and CSV files, to be matched as arrays."""

from __future__ import annotations

import io
import wave
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scs.errors import ImageError
from service.commands.files import read_file
from service.uploads import NamedBytes


@dataclass(frozen=True, eq=False)
class MatchFile:
    """A file to be matched, and how many samples a second it says to have; None where it is no WAV."""

    file: NamedBytes
    rate: int | None = None


def read_match_file(path: Path) -> MatchFile:
    """A picture or an array as it is; a signal, ``.wav`` or ``.csv``, as the array of its samples.

    Samples of a WAV file are shares of full scale, -1 to 1: ``(L,)``, or ``(1, L, channels)``. A CSV file is one number
    a line, or one line of numbers; a first line of words is its heading.

    Raises:
        ImageError: the file is not such a WAV or CSV.
    """
    kind = path.suffix.lower()
    if kind == ".wav":
        samples, rate = _from_wav(path)
        return MatchFile(_as_npy(path, samples), rate)
    if kind == ".csv":
        return MatchFile(_as_npy(path, _from_csv(path)))
    return MatchFile(read_file(path))


def _as_npy(path: Path, samples: NDArray[Any]) -> NamedBytes:
    buffer = io.BytesIO()
    np.save(buffer, samples, allow_pickle=False)
    return NamedBytes(path.name, buffer.getvalue(), is_npy=True)


def _from_wav(path: Path) -> tuple[NDArray[Any], int]:
    """Samples, and how many there are a second."""
    needed = f"{path.name}: a WAV file of whole numbers (PCM) was needed"
    try:
        with wave.open(str(path)) as file:
            channels, width, rate, promised, *_ = file.getparams()
            data = np.frombuffer(file.readframes(promised), np.uint8)
    except (wave.Error, EOFError) as error:
        why = str(error) or "it ends too early"
        raise ImageError(f"{needed} but it is damaged or of another kind: {why}") from None
    bits, count = 8 * width, promised * channels
    if not count or data.size != count * bits // 8:
        raise ImageError(f"{needed}; its header promises {count} but {8 * data.size // bits} follow")
    if bits == 8:  # the one width without a sign
        values = data - 128.0
    else:  # into the upper bytes of 32 bits, so that the sign is where it belongs
        padded = np.zeros((count, 4), np.uint8)
        padded[:, 4 - bits // 8 :] = data.reshape(count, -1)
        values = padded.view("<i4")[:, 0] / 2.0 ** (32 - bits)
    samples = values / 2.0 ** (bits - 1)
    return samples if channels == 1 else samples.reshape(1, -1, channels), rate


def _from_csv(path: Path) -> NDArray[np.float64]:
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


def _is_numbers(line: str) -> bool:
    try:
        np.array(line.split(","), dtype=np.float64)
    except ValueError:
        return False
    return True
