"""The input files of ``scs match``: pictures and arrays as they are, signals as arrays of their samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scs.errors import OptionError
from service.api.files import MatchUpload, NamedBytes, shown_name
from service.cli.files import read_file
from service.cli.signals import read_audio, read_csv
from service.pictures.npy import to_npy


@dataclass(frozen=True, eq=False)
class MatchFile:
    """A file to match, and its sample rate, which is None unless it is audio."""

    file: NamedBytes
    rate: int | None = None


def read_match_files(
    scene: Path, templates: Sequence[Path], masks: Sequence[Path], reference: Path | None, boxed: bool = False
) -> tuple[MatchUpload, int | None]:
    """Read the files of a match; return with them the sample rate of the scene, None unless it is audio.

    A box (``boxed``) lies in the scene where neither templates nor a reference are named.

    Raises:
        ImageError: a file is damaged, or not of the kind that its name says.
        OptionError: sounds of different rates, or files that make no match, see :class:`MatchUpload`.
    """
    looked_in = read_match_file(scene)
    looked_for = [read_match_file(path) for path in templates]
    cut_from = read_match_file(reference) if reference else None
    if boxed and cut_from is None and not templates:
        cut_from = looked_in
    _check_rates(looked_in, [*looked_for, *([cut_from] if cut_from else [])])
    upload = MatchUpload(
        looked_in.file,
        [each.file for each in looked_for],
        [read_match_file(path).file for path in masks],
        cut_from.file if cut_from else None,
    )
    return upload, looked_in.rate


def read_match_file(path: Path) -> MatchFile:
    """Read a picture or an array as it is, or a signal (``.wav``, ``.flac``, ``.csv``) as an array of its samples.

    Samples of sound are shares of full scale, -1 to 1: ``(L,)``, or ``(1, L, channels)``. A CSV file is one number
    a line, or one line of numbers; a first line of words is its heading.

    Raises:
        ImageError: the file is damaged, or not of the kind that its name says.
    """
    kind = path.suffix.lower()
    if kind in (".wav", ".flac"):
        samples, rate = read_audio(path)
        return MatchFile(NamedBytes(shown_name(path.name), to_npy(samples), is_npy=True), rate)
    if kind == ".csv":
        return MatchFile(NamedBytes(shown_name(path.name), to_npy(read_csv(path)), is_npy=True))
    return MatchFile(read_file(path))


def _check_rates(scene: MatchFile, others: list[MatchFile]) -> None:
    for other in others:
        if None not in (scene.rate, other.rate) and scene.rate != other.rate:
            raise OptionError(
                f"signals are compared sample by sample, at one rate; {other.file.name} has {other.rate} a second and "
                f"{scene.file.name} {scene.rate}"
            )
